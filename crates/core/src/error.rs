//! Errors: what went wrong as data, and its kind, which is all that front ends map to a status.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::drivers::OptionError;
use crate::engine::{ApplyError, HostError, StoreError};
use crate::files::FileError;
use crate::ipam::IpamError;
use crate::model::{IdError, NameError, SettingError};
use crate::objects::{Clash, Op};
use crate::ports::PortError;

/// Returns an error with everything that caused it, as one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text += &format!(": {deeper}");
        cause = deeper.source();
    }
    text
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request makes no sense, whatever the state.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// It collides with what exists or is under way.
    Conflict,
    /// The state does not allow it.
    Forbidden,
    /// There are no more addresses, ports or pools.
    Exhausted,
    /// This host or this version cannot do it.
    Unsupported,
    /// Something it needs does not answer now.
    Unavailable,
    /// The host refused, or the program is wrong.
    Internal,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on networks.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An operation on endpoints.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An operation on sandboxes.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Address management.
    #[error(transparent)]
    Ipam(#[from] IpamError),
    /// Host ports.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Driver options.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A kernel setting of an interface.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A name or a small value.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An identifier.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A container's files, or what shall stand in them.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two parts of the state cannot be true together.
    #[error(transparent)]
    Clash(#[from] Clash),
    /// The host refused a step; everything before it was undone.
    #[error("{label} failed")]
    Apply {
        /// What was being done.
        label: String,
        /// The step and the refusal.
        #[source]
        source: Box<ApplyError>,
    },
    /// The host could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The store failed; the host was put back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new state directory, and a host that has things of an older one.
    #[error(
        "this network namespace has {count} things of a Pontoon with another state directory, such as {example}: name that \
         directory (--root), or remove them (`pontoon repair --purge`)"
    )]
    OtherState {
        /// How many objects.
        count: usize,
        /// One of them.
        example: String,
    },
    /// A state directory of another network namespace of this boot.
    #[error(
        "this state belongs to another network namespace: run the command there, or give this namespace a state directory \
         of its own (--root, --run-dir)"
    )]
    OtherNamespace,
    /// A state whose sandboxes are kept below another run directory of this boot.
    #[error(
        "this state keeps its sandboxes below {kept}, not below {given}: use that directory (--run-dir), or give this one a \
         state directory of its own (--root)"
    )]
    OtherRunDir {
        /// The run directory that the state belongs to.
        kept: String,
        /// The one that was asked for.
        given: String,
    },
    /// A state whose sandboxes are mounted in another mount namespace of this boot, which is or may be in use.
    #[error(
        "this state's sandboxes are mounted in another mount namespace, {}: run the command there ({})",
        .pid.map_or("and it cannot be told from here who uses it".to_owned(), |pid| format!("that of process {pid}")),
        .pid.map_or("in the PID namespace of its processes".to_owned(), |pid| format!("`nsenter -t {pid} -m COMMAND`"))
    )]
    OtherMounts {
        /// A process that is in it, if one can be seen.
        pid: Option<u32>,
    },
    /// A run directory that belongs to another state directory, of which this one may be a copy.
    #[error(
        "the run directory {run_dir} belongs to the state directory {kept}, of which {given} is at most a copy: use {kept} \
         (--root), or remove it if {given} is to take its place"
    )]
    OtherOwner {
        /// The run directory.
        run_dir: String,
        /// The state directory that it belongs to.
        kept: String,
        /// The one that was asked for.
        given: String,
    },
    /// The controller was opened to look only.
    #[error("{label}: this controller only looks (Config::read_only): open one that may change things")]
    ReadOnly {
        /// What was to be done.
        label: String,
    },
    /// Somebody else is using the same things for too long.
    #[error("{label}: gave up after {} s waiting for another operation on the same things to end", .waited.as_secs())]
    Busy {
        /// What was being done.
        label: String,
        /// How long it waited.
        waited: Duration,
    },
    /// Other programs hold every host port that was chosen.
    #[error("{label}: gave up after {rounds} choices of host ports that other programs hold")]
    Restless {
        /// What was being done.
        label: String,
        /// How many choices were tried.
        rounds: usize,
        /// The last refusal, which names the port.
        #[source]
        last: Box<HostError>,
    },
    /// What an operation did stands, but something remains to be removed.
    #[error("{label} is done, but {} left behind: {left}", count(.left.0.len()))]
    LeftBehind {
        /// What was being done.
        label: String,
        /// What remains; `repair` tries again.
        left: Leftovers,
    },
}

fn count(things: usize) -> String {
    match things {
        1 => "one thing was".to_owned(),
        more => format!("{more} things were"),
    }
}

/// Steps that could not be taken, and why.
#[derive(Debug, Default)]
pub struct Leftovers(pub Vec<(Op, HostError)>);

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (op, error)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{} ({error})", op.object())?;
        }
        Ok(())
    }
}

/// Why an operation on networks failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No network of this name or id.
    #[error("network {name} not found")]
    NotFound {
        /// The name or id.
        name: String,
    },
    /// It was there once.
    #[error("unknown network {name} id {id}")]
    Unknown {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// The name or id is taken.
    #[error("network with name {name} already exists")]
    Exists {
        /// The name or id.
        name: String,
    },
    /// Several networks begin with this id prefix.
    #[error("network id prefix {prefix} is ambiguous: {count} networks begin with it; give more digits")]
    Ambiguous {
        /// The prefix.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// It still has endpoints.
    #[error("network {name} has active endpoints ({})", .endpoints.join(", "))]
    ActiveEndpoints {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
        /// The endpoints, each as `name:"..." id:"..."`.
        endpoints: Vec<String>,
    },
    /// No such driver.
    #[error("could not find plugin {driver} in v1 plugin registry: plugin not found")]
    NoDriver {
        /// The driver's name.
        driver: String,
    },
    /// No such address manager.
    #[error("invalid ipam driver: {driver:?}")]
    NoIpam {
        /// Its name.
        driver: String,
    },
    /// A driver of which there is one network only.
    #[error("only one instance of {driver:?} network is allowed")]
    OnlyOne {
        /// The driver.
        driver: String,
    },
    /// A network that cannot be deleted.
    #[error("network of type {driver:?} cannot be deleted")]
    Undeletable {
        /// The driver.
        driver: String,
    },
    /// A config-only network with operator fields.
    #[error(
        "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal \
         | attachable | scope ] are not supported."
    )]
    OperatorFields,
    /// A config-only network with config-from.
    #[error("a configuration network cannot depend on another configuration network")]
    ConfigOnlyFrom,
    /// config-from with settings of one's own.
    #[error("user-specified configurations are not supported if the network depends on a configuration network")]
    ConfigFromOwn,
    /// config-from with driver options.
    #[error("network driver options are not supported if the network depends on a configuration network")]
    ConfigFromOptions,
    /// config-from of what is not there.
    #[error("configuration network {name:?} does not exist")]
    NoConfig {
        /// The name.
        name: String,
    },
    /// A config-only network that others use.
    #[error("configuration network {name:?} is in use")]
    ConfigInUse {
        /// Its name.
        name: String,
    },
    /// This kernel has no IPv6.
    #[error("network {name} asks for IPv6, which this kernel does not have; create it with IPv4 only")]
    NoIpv6 {
        /// The network's name.
        name: String,
    },
}

impl NetworkError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::Unknown { .. } | Self::NoDriver { .. } | Self::NoConfig { .. } => {
                Kind::NotFound
            }
            Self::Exists { .. } => Kind::Conflict,
            Self::Ambiguous { .. } | Self::NoIpam { .. } => Kind::Invalid,
            Self::NoIpv6 { .. } => Kind::Unsupported,
            Self::ActiveEndpoints { .. }
            | Self::OnlyOne { .. }
            | Self::Undeletable { .. }
            | Self::OperatorFields
            | Self::ConfigOnlyFrom
            | Self::ConfigFromOwn
            | Self::ConfigFromOptions
            | Self::ConfigInUse { .. } => Kind::Forbidden,
        }
    }
}

/// Why an operation on endpoints failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No endpoint of this name or id.
    #[error("endpoint {name} not found")]
    NotFound {
        /// The name or id.
        name: String,
    },
    /// The name is taken.
    #[error("endpoint with name {name} already exists in network {network}")]
    Exists {
        /// The name.
        name: String,
        /// The network's name.
        network: String,
    },
    /// The network only lends its configuration.
    #[error("cannot create endpoint on configuration-only network")]
    ConfigOnly,
    /// It is attached to another sandbox.
    #[error("another container is attached to the same network endpoint")]
    AlreadyAttached,
    /// It is attached to no sandbox.
    #[error("cannot leave endpoint with no attached sandbox")]
    NotAttached,
    /// It is attached to another sandbox than the one named.
    #[error("unexpected sandbox ID in leave request. Expected {expected}. Got {got}")]
    OtherSandbox {
        /// Where it is attached.
        expected: String,
        /// What was named.
        got: String,
    },
    /// It is attached.
    #[error("endpoint with name {name} id {id} has active containers")]
    ActiveContainer {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// The interface name is taken inside the sandbox.
    #[error("interface name {ifname} is already used in sandbox {sandbox}")]
    IfNameTaken {
        /// The name.
        ifname: String,
        /// The sandbox's name.
        sandbox: String,
    },
    /// A link-local address that makes no sense.
    #[error("link-local address {address} cannot be had: {reason}")]
    LinkLocal {
        /// The address.
        address: IpAddr,
        /// Why.
        reason: &'static str,
    },
    /// A link-local address that another endpoint has.
    #[error("link-local address {address} is already used by endpoint {other}: choose another one")]
    LinkLocalTaken {
        /// The address.
        address: IpAddr,
        /// The other endpoint's name.
        other: String,
    },
    /// A sandbox in the host's namespace joins the host network only, and others do not.
    #[error("sandbox {sandbox} cannot join network {network}: {reason}")]
    Namespace {
        /// The sandbox's name.
        sandbox: String,
        /// The network's name.
        network: String,
        /// Why.
        reason: &'static str,
    },
}

impl EndpointError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::IfNameTaken { .. } | Self::LinkLocalTaken { .. } => Kind::Conflict,
            Self::LinkLocal { .. } => Kind::Invalid,
            _ => Kind::Forbidden,
        }
    }
}

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

impl Error {
    /// Returns the kind, which is all that a front end needs for a status.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Network(e) => e.kind(),
            Self::Endpoint(e) => e.kind(),
            Self::Sandbox(e) => e.kind(),
            Self::Ipam(e) => e.kind(),
            Self::Port(e) => e.kind(),
            Self::Option(e) => e.kind(),
            Self::File(e) => e.kind(),
            Self::Setting(_) | Self::Name(_) | Self::Id(_) => Kind::Invalid,
            Self::Clash(_)
            | Self::OtherState { .. }
            | Self::OtherNamespace
            | Self::OtherRunDir { .. }
            | Self::OtherMounts { .. }
            | Self::OtherOwner { .. } => Kind::Conflict,
            Self::ReadOnly { .. } => Kind::Forbidden,
            Self::Apply { source, .. } => source.kind(),
            Self::Host(e) => e.kind(),
            Self::Store(StoreError::Held { .. }) | Self::Busy { .. } | Self::Restless { .. } => Kind::Unavailable,
            Self::Store(StoreError::Io { source, .. }) if is_denied(&**source) => Kind::Forbidden,
            Self::Store(_) | Self::LeftBehind { .. } => Kind::Internal,
        }
    }
}

fn is_denied(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let io = source.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}
