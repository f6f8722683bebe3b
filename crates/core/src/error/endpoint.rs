//! Errors of operations on endpoints.

use std::net::IpAddr;

use super::Kind;

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
    /// A limit of how fast data passes, where there is no pair of interfaces.
    #[error(
        "network {network} makes no interface whose rate can be limited: leave the limits out, or join a bridge network"
    )]
    NoInterface {
        /// The network's name.
        network: String,
    },
    /// A route of its network that the sandbox cannot have as well.
    #[error("sandbox {sandbox} cannot join network {network}: its {mine} overlaps the {theirs} of network {other}")]
    Route {
        /// The sandbox's name.
        sandbox: String,
        /// The network's name.
        network: String,
        /// What overlaps: `subnet PREFIX` or `route PREFIX`.
        mine: String,
        /// What it overlaps, likewise.
        theirs: String,
        /// The network that the other one is of.
        other: String,
    },
    /// An endpoint that was made because nothing else leads out of its sandbox.
    #[error(
        "endpoint {name} is the way out of sandbox {sandbox}, for none of its other networks leads out: it goes by itself when \
         one does"
    )]
    WayOut {
        /// The endpoint's name.
        name: String,
        /// The sandbox's name.
        sandbox: String,
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
            Self::IfNameTaken { .. } | Self::LinkLocalTaken { .. } | Self::Route { .. } => Kind::Conflict,
            Self::LinkLocal { .. } | Self::NoInterface { .. } => Kind::Invalid,
            _ => Kind::Forbidden,
        }
    }
}
