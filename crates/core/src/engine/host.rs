//! The seam between what should exist and what makes it exist: two verbs, and a survey.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::Kind;
use crate::ipam::Ranges;
use crate::model::SandboxId;
use crate::objects::{Key, Object, Objects, Op, Place, Plan};
use crate::ports::{PortProto, PortRange};

/// Reads a host.
pub trait Observe: Send + Sync {
    /// Returns what exists of the objects that are ours, as far as the query goes.
    fn observe(&self, query: &Query) -> Result<Objects, HostError>;
    /// Returns what edits and drivers need to know of the host beforehand.
    fn survey(&self) -> Result<HostProfile, HostError>;
}

/// Makes a host equal to a plan's outcome.
pub trait Host: Observe {
    /// Takes the steps of a plan.
    ///
    /// A plan of revertible steps is applied all or nothing: when a step fails, those before it are undone, and the error
    /// names the step and whatever could not be undone. A plan of final steps goes as far as it can; steps that failed are
    /// in [`ApplyError::left_behind`].
    fn apply(&self, plan: &Plan) -> Result<(), ApplyError>;
    /// Waits until deletions that go on in the background have ended.
    fn settle(&self) -> Result<(), HostError>;
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The sandboxes whose namespaces are looked into.
    pub sandboxes: Vec<SandboxId>,
    /// Objects that carry no mark, read by key.
    pub unmarked: Vec<Key>,
}

/// What edits and drivers need to know of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProfile {
    /// Names of the interfaces that are not ours.
    pub links: BTreeSet<String>,
    /// Prefixes that new subnets must avoid: on-link routes and name servers.
    pub reserved: Vec<IpNet>,
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// Whether the kernel has nf_tables and lets us use it.
    pub nf_tables: bool,
    /// Whether ports are published on a real host: not in a user namespace of one's own.
    pub publishes: bool,
    /// `net.ipv4.ip_local_port_range`.
    pub ephemeral: PortRange,
    /// `net.ipv4.ip_local_reserved_ports`.
    pub reserved_ports: Ranges<u16>,
}

impl Default for HostProfile {
    fn default() -> Self {
        Self {
            links: BTreeSet::new(),
            reserved: Vec::new(),
            ipv6: true,
            nf_tables: true,
            publishes: true,
            ephemeral: PortRange::new(32_768, 60_999).expect("the kernel's default range"),
            reserved_ports: Ranges::new(),
        }
    }
}

/// Why a host refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The kernel refused.
    #[error("{text}")]
    Kernel {
        /// The error number.
        errno: i32,
        /// The kernel's own words, or the number's name.
        text: String,
    },
    /// A host port is held by somebody else.
    #[error("failed to bind host port {ip}:{port}/{proto}: address already in use")]
    PortBusy {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
        /// The transport.
        proto: PortProto,
    },
    /// Something of that name exists and is not ours.
    #[error("{what} exists already and is not Pontoon's")]
    Foreign {
        /// What it is.
        what: String,
    },
    /// What a step needs is not there.
    #[error("{what} does not exist")]
    Missing {
        /// What is missing.
        what: String,
    },
    /// Privileges are missing.
    #[error("{what} needs privileges: run as root, or as an ordinary user in a user namespace (`pontoon run` does so)")]
    Privileges {
        /// What was attempted.
        what: String,
    },
    /// The kernel lacks something.
    #[error("this kernel does not have {what}")]
    Unsupported {
        /// What it lacks.
        what: String,
    },
}

impl HostError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Kernel { .. } | Self::Missing { .. } => Kind::Internal,
            Self::PortBusy { .. } | Self::Foreign { .. } => Kind::Conflict,
            Self::Privileges { .. } => Kind::Forbidden,
            Self::Unsupported { .. } => Kind::Unsupported,
        }
    }

    /// Returns the kernel's error number, if it was the kernel.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// Which step failed, and what could not be undone or done.
#[derive(Debug, thiserror::Error)]
#[error("step {} ({op}) failed{}", .step + 1, left(.left_behind))]
pub struct ApplyError {
    /// The step's position in the plan, from 0.
    pub step: usize,
    /// The step.
    pub op: Box<Op>,
    /// Why.
    #[source]
    pub cause: HostError,
    /// Steps that should have been taken, or undone, and were not.
    pub left_behind: Vec<(Op, HostError)>,
}

impl ApplyError {
    /// Returns the kind: naming what this host does not have is the request's fault, not the host's.
    pub fn kind(&self) -> Kind {
        match (self.op.object(), &self.cause) {
            (Object::Held(_), HostError::Kernel { errno: EADDRNOTAVAIL, .. }) => Kind::Invalid,
            (Object::Namespace(_), HostError::Kernel { errno: EINVAL, .. }) => Kind::Invalid,
            (Object::Namespace(_), HostError::Missing { .. }) => Kind::NotFound,
            (_, cause) => cause.kind(),
        }
    }
}

/// Not an address of this host.
const EADDRNOTAVAIL: i32 = 99;
/// Not a namespace.
const EINVAL: i32 = 22;

fn left(left_behind: &[(Op, HostError)]) -> String {
    match left_behind.len() {
        0 => String::new(),
        n => format!("; {n} of the steps before it could not be undone"),
    }
}

impl Query {
    /// Asks for everything on the host and in the given sandboxes.
    pub fn of(sandboxes: impl IntoIterator<Item = SandboxId>, unmarked: impl IntoIterator<Item = Key>) -> Self {
        Self { sandboxes: sandboxes.into_iter().collect(), unmarked: unmarked.into_iter().collect() }
    }

    /// Returns whether the query looks into a place.
    pub fn covers(&self, place: Place) -> bool {
        match place {
            Place::Host => true,
            Place::Sandbox(id) => self.sandboxes.contains(&id),
        }
    }
}
