//! The seam between what should exist and what makes it exist: two verbs, and a survey.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::Kind;
use crate::files::Basis;
use crate::ipam::Ranges;
use crate::model::{IfName, NamespaceSource, SandboxId};
use crate::objects::{Key, Object, Objects, Op, Place, Plan, Tenure};
use crate::ports::{PortProto, PortRange};

/// Reads a host.
pub trait Observe: Send + Sync {
    /// Returns what exists of the objects that are ours, as far as the query goes.
    fn observe(&self, query: &Query) -> Result<Objects, HostError>;
    /// Returns what the interfaces of a sandbox have passed, `lo` included, by name.
    fn counters(&self, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError>;
    /// Returns what edits and drivers need to know of the host beforehand.
    fn survey(&self) -> Result<HostProfile, HostError>;
    /// Returns the host's files that those of a sandbox in this namespace are made from. Every new sandbox asks, so it is a few small
    /// reads.
    fn files_basis(&self, namespace: &NamespaceSource) -> Result<Basis, HostError>;
    /// Refuses a path that leads to no network namespace, or to one that a sandbox cannot have: the host's own, or that of another.
    fn check_namespace(&self, sandbox: SandboxId, path: &str) -> Result<(), HostError>;
}

/// Makes a host equal to a plan's outcome.
pub trait Host: Observe {
    /// Takes the steps of a plan.
    ///
    /// A plan of revertible steps is applied all or nothing: when a step fails, those before it are undone, and the error
    /// names the step and whatever could not be undone. A plan of final steps goes as far as it can; steps that failed are
    /// in [`ApplyError::left_behind`].
    fn apply(&self, plan: &Plan) -> Result<(), ApplyError>;
    /// Listens to others who change our part of the firewall. Not every host can.
    fn watch_firewall(&self) -> Result<Box<dyn FirewallWatch>, HostError> {
        Err(HostError::Unsupported { what: "a way to tell that the firewall was changed".to_owned() })
    }
    /// Waits until deletions that go on in the background have ended.
    fn settle(&self) -> Result<(), HostError>;
    /// Forgets tracked flows that touch an address of these subnets which is not taken.
    ///
    /// A process that dies takes along what it was still to forget, and such a flow would carry the traffic of a published
    /// port to whoever gets the address next. Flows that cannot be forgotten end by their own timeouts: a host says so in its
    /// log, and nothing fails.
    fn forget_strays(&self, subnets: &[IpNet], taken: &BTreeSet<IpAddr>);
}

/// Ends a wait, from another thread.
pub type Interrupt = Box<dyn Fn() + Send + Sync>;

/// Tells when somebody else changes our part of the firewall.
pub trait FirewallWatch: Send {
    /// Waits until another program has changed something since the last call, and returns its name; nothing once it was
    /// interrupted. Several changes that nobody waited for are one.
    fn changed(&mut self) -> Result<Option<String>, HostError>;
    /// Returns what ends the wait, now and from then on.
    fn interrupter(&self) -> Result<Interrupt, HostError>;
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The sandboxes whose namespaces and files are looked into.
    pub sandboxes: Vec<SandboxId>,
    /// Objects that carry no mark, read by key.
    pub unmarked: Vec<Key>,
}

/// What an interface has passed since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets received and dropped.
    pub rx_dropped: u64,
    /// Packets received that were bad.
    pub rx_errors: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets that were to be sent and were dropped.
    pub tx_dropped: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
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
    /// The subnet of an address is reached another way already.
    #[error(
        "cannot program address {address} in sandbox interface because it conflicts with existing route {route}: delete that \
         route inside, or connect to another network"
    )]
    RouteConflict {
        /// The address with the length of its subnet.
        address: IpNet,
        /// Where the route leads to.
        route: IpNet,
    },
    /// It belongs to another sandbox.
    #[error("{what} is the network namespace of sandbox {sandbox} already: a namespace has one sandbox")]
    InUse {
        /// The namespace.
        what: String,
        /// The beginning of the other sandbox's id.
        sandbox: String,
    },
    /// An interface of a sandbox cannot have IPv6, because the setting that would switch it on cannot be written.
    #[error("unable to switch IPv6 on for {0}")]
    NoIpv6(Box<NoIpv6>),
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

/// An interface that cannot have IPv6, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interface {interface} of sandbox {}: {reason}", .sandbox.short())]
pub struct NoIpv6 {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The interface.
    pub interface: IfName,
    /// The refusal, which names the setting.
    pub reason: String,
}

impl HostError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Kernel { .. } | Self::Missing { .. } => Kind::Internal,
            Self::PortBusy { .. } | Self::Foreign { .. } | Self::InUse { .. } | Self::RouteConflict { .. } => {
                Kind::Conflict
            }
            Self::Privileges { .. } | Self::NoIpv6(_) => Kind::Forbidden,
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
            // A setting that the kernel does not have, or not with that value; not files that nobody here may write.
            (Object::Sysctl(own), HostError::Kernel { errno, .. }) if own.tenure == Tenure::Own && *errno != EROFS => {
                Kind::Invalid
            }
            (_, cause) => cause.kind(),
        }
    }
}

/// Not an address of this host.
const EADDRNOTAVAIL: i32 = 99;
/// Not a namespace.
const EINVAL: i32 = 22;
/// A file system that is read only.
const EROFS: i32 = 30;

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
