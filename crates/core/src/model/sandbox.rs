//! Sandboxes: the network stack of one container.

use serde::{Deserialize, Serialize};

use super::{Labels, Phase, SandboxId};
use crate::ports::PortSpec;

/// What is asked for when a sandbox is created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxSpec {
    /// The container's id or name, unique among the sandboxes.
    pub name: String,
    /// The host name inside.
    pub hostname: Option<String>,
    /// The domain name inside.
    pub domainname: Option<String>,
    /// Ports to publish; they follow the endpoint that is the gateway, per family.
    pub ports: Vec<PortSpec>,
    /// Whose namespace it is.
    pub namespace: NamespaceSource,
    /// Free text.
    pub labels: Labels,
    /// The process the sandbox lives for: when it has gone, so has the sandbox.
    pub owner: Option<Owner>,
}

impl SandboxSpec {
    /// Asks for a sandbox with a new namespace.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the host name.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = Some(name.into());
        self
    }

    /// Sets the domain name.
    #[must_use]
    pub fn domainname(mut self, name: impl Into<String>) -> Self {
        self.domainname = Some(name.into());
        self
    }

    /// Publishes a port.
    #[must_use]
    pub fn publish(mut self, port: PortSpec) -> Self {
        self.ports.push(port);
        self
    }

    /// Sets whose namespace it is.
    #[must_use]
    pub fn namespace(mut self, source: NamespaceSource) -> Self {
        self.namespace = source;
        self
    }
}

/// Whose namespace a sandbox uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceSource {
    /// One that is made for it and destroyed with it.
    #[default]
    New,
    /// Somebody else's, at this path; it is left as it was found.
    Adopted(String),
    /// The host's own.
    Host,
}

/// A process, told from a later one of the same pid by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot (field 22 of /proc/PID/stat).
    pub started: u64,
}

/// A sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its identity.
    pub id: SandboxId,
    /// What was asked for.
    pub spec: SandboxSpec,
    /// When it was created, in nanoseconds since 1970.
    pub created: u128,
    /// Where it stands.
    #[serde(skip)]
    pub phase: Phase,
}
