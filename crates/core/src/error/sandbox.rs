//! Errors of operations on sandboxes.

use super::Kind;

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
}

impl SandboxError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::ContainerNotFound { .. } => Kind::NotFound,
            Self::Exists { .. } => Kind::Forbidden,
            Self::EmptyName | Self::EmptyKey => Kind::Invalid,
        }
    }
}
