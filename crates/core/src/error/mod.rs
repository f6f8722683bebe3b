//! Errors: what went wrong as data, and its kind, which is all that front ends map to a status.

mod endpoint;
mod network;
mod sandbox;

pub use endpoint::EndpointError;
pub use network::NetworkError;
pub use sandbox::SandboxError;

use std::fmt;
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
    /// Nothing leads out of a sandbox, and the network that shall cannot be made.
    #[error("error creating external connectivity network {network}")]
    GatewayNetwork {
        /// Its name.
        network: &'static str,
        /// Why it cannot.
        #[source]
        source: Box<Error>,
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
            Self::GatewayNetwork { source, .. } => source.kind(),
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
