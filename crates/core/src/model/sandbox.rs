//! Sandboxes: the network stack of one container.

use serde::{Deserialize, Serialize};

use super::{Labels, Phase, SandboxId};
use crate::files::resolv_conf::Overrides;
use crate::files::{Basis, ExtraHost};
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
    /// Whether it has a resolver at 127.0.0.11; unless something is said here, it has one if a network of its has names and the
    /// engine that makes it has somebody to answer for them.
    pub resolver: Option<bool>,
    /// Hosts that it finds by name, in the order of its hosts file.
    pub extra_hosts: Vec<ExtraHost>,
    /// What stands in its resolv.conf in the place of what the host's says.
    pub dns: Overrides,
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

    /// Adds a host that it finds by name.
    #[must_use]
    pub fn extra_host(mut self, host: ExtraHost) -> Self {
        self.extra_hosts.push(host);
        self
    }

    /// Sets what stands in its resolv.conf in the place of what the host's says.
    #[must_use]
    pub fn dns(mut self, overrides: Overrides) -> Self {
        self.dns = overrides;
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
    /// One that somebody names later: until then what is joined has its addresses and ports, and no interface.
    Later,
}

/// A process, told from a later one of the same pid by when it started, and from one of another PID namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot (field 22 of /proc/PID/stat).
    pub started: u64,
    /// The PID namespace in which it has this pid, as the inode of /proc/PID/ns/pid; nothing in records of old.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
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
    /// The host's files at that time.
    #[serde(default)]
    pub basis: Basis,
    /// Where it stands.
    #[serde(skip)]
    pub phase: Phase,
}
