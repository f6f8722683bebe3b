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
    /// A port that one request names twice.
    #[error("port {port} is asked for twice")]
    PortTwice {
        /// The port as it was asked for.
        port: String,
    },
    /// A port that is published already, in the same words.
    #[error("sandbox {name} publishes {port} already")]
    Publishes {
        /// The sandbox.
        name: String,
        /// The port as it was asked for.
        port: String,
    },
    /// A port that is not published.
    #[error("sandbox {name} does not publish {port}: it publishes {}", listed(.published))]
    NotPublished {
        /// The sandbox.
        name: String,
        /// The port as it was asked for.
        port: String,
        /// What is published, as it was asked for.
        published: Vec<String>,
    },
    /// A port of a sandbox in the host's namespace.
    #[error(
        "port {port} cannot be published: sandbox {name} is in the host's namespace, and its ports are the host's own"
    )]
    HostNamespace {
        /// The sandbox.
        name: String,
        /// The port as it was asked for.
        port: String,
    },
    /// A port of a sandbox without a namespace so far.
    #[error("port {port} cannot be published: sandbox {name} waits for its namespace")]
    Waits {
        /// The sandbox.
        name: String,
        /// The port as it was asked for.
        port: String,
    },
}

fn listed(ports: &[String]) -> String {
    match ports {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    }
}

impl SandboxError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::ContainerNotFound { .. } | Self::NotPublished { .. } => Kind::NotFound,
            Self::Exists { .. } | Self::OwnNamespace { .. } | Self::HostNamespace { .. } | Self::Waits { .. } => {
                Kind::Forbidden
            }
            Self::BadKey { source, .. } => match **source {
                HostError::Missing { .. } => Kind::NotFound,
                HostError::Kernel { .. } => Kind::Invalid,
                _ => source.kind(),
            },
            Self::Publishes { .. } => Kind::Conflict,
            Self::EmptyName | Self::EmptyKey | Self::PortTwice { .. } => Kind::Invalid,
        }
    }
}
