//! Errors of operations on sandboxes.

use super::Kind;
use crate::engine::HostError;

/// Why an operation on sandboxes failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// No sandbox of this id.
    #[error("sandbox {name} not found")]
    NotFound {
        /// The name or id.
        name: String,
    },
    /// No sandbox of this container.
    #[error("network sandbox for container {name} not found")]
    ContainerNotFound {
        /// The container.
        name: String,
    },
    /// The container has one already.
    #[error("container {name} is already present in sandbox {id}")]
    Exists {
        /// The container.
        name: String,
        /// Its sandbox.
        id: String,
    },
    /// A container id of nothing.
    #[error("invalid container ID")]
    EmptyName,
    /// A key, the path of a network namespace, of nothing.
    #[error("invalid sandbox key: it is the path of a network namespace, and must not be empty")]
    EmptyKey,
    /// A key for a sandbox whose namespace is not somebody else's.
    #[error("sandbox {name} has a namespace of its own: only one that was created to wait for another's takes a key")]
    OwnNamespace {
        /// Its name.
        name: String,
    },
    /// A key that leads to no namespace which the sandbox could have.
    #[error("sandbox {name} keeps the namespace that it has")]
    BadKey {
        /// Its name.
        name: String,
        /// What is wrong with the key.
        #[source]
        source: Box<HostError>,
    },
}

impl SandboxError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::ContainerNotFound { .. } => Kind::NotFound,
            Self::BadKey { source, .. } => match **source {
                HostError::Missing { .. } => Kind::NotFound,
                HostError::Kernel { .. } => Kind::Invalid,
                _ => source.kind(),
            },
            Self::Exists { .. } | Self::OwnNamespace { .. } => Kind::Forbidden,
            Self::EmptyName | Self::EmptyKey => Kind::Invalid,
        }
    }
}
