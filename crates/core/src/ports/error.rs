//! What can go wrong with ports.

use std::net::IpAddr;

use super::proto::PortProto;
use super::range::PortRange;
use crate::error::Kind;

/// A refused port specification or a port that cannot be had. The texts of the last three are upstream's: tools compare them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not a port or a range of ports.
    #[error("invalid port `{value}`: write a number from 1 to 65535, or two joined by `-`")]
    InvalidPort {
        /// What was given.
        value: String,
    },
    /// Port 0 where a port is needed.
    #[error("invalid port {value}: ports start at 1")]
    ZeroPort {
        /// What was given.
        value: String,
    },
    /// A range that ends before it starts.
    #[error("invalid port range {first}-{last}: it ends before it starts, did you mean {last}-{first}")]
    ReversedRange {
        /// The first port given.
        first: u16,
        /// The last port given.
        last: u16,
    },
    /// Host and container ranges that do not fit together.
    #[error("host port range {host} and container port range {container} differ in length: {} and {} ports", host.count(), container.count())]
    UnequalRanges {
        /// The host ports given.
        host: PortRange,
        /// The container ports given.
        container: PortRange,
    },
    /// Not a protocol with ports.
    #[error("unknown protocol `{value}`: use tcp, udp or sctp")]
    UnknownProto {
        /// What was given.
        value: String,
    },
    /// Not an address of the host.
    #[error("invalid host address `{value}`: write an IPv4 address, or an IPv6 address in brackets")]
    InvalidHostIp {
        /// What was given.
        value: String,
    },
    /// A specification that cannot be taken apart.
    #[error(
        "invalid port specification `{value}`: write [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp][;from=PREFIX][;proxy-protocol]"
    )]
    InvalidSpec {
        /// What was given.
        value: String,
    },
    /// An option after `;` that does not exist.
    #[error("unknown port option `{value}`: use from=PREFIX or proxy-protocol")]
    UnknownOption {
        /// What was given.
        value: String,
    },
    /// A source prefix that cannot be used.
    #[error("invalid source `{value}` in from=: {reason}")]
    InvalidSource {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The PROXY protocol on something that is not a stream.
    #[error("proxy-protocol needs tcp, not {proto}")]
    ProxyProtocol {
        /// The protocol given.
        proto: PortProto,
    },
    /// No address to take a port on.
    #[error("no host address to take a port on")]
    NoAddresses,
    /// The port is in use by an endpoint.
    #[error("Bind for {ip}:{port} failed: port is already allocated")]
    AlreadyAllocated {
        /// The address asked for.
        ip: IpAddr,
        /// The port asked for.
        port: u16,
    },
    /// The port is in use by another program of the host.
    #[error("failed to bind host port {ip}:{port}/{proto}: address already in use")]
    Busy {
        /// The address asked for.
        ip: IpAddr,
        /// The port asked for.
        port: u16,
        /// The protocol asked for.
        proto: PortProto,
    },
    /// Nothing is left of the range.
    #[error("all ports are allocated")]
    AllAllocated,
    /// A request that this version cannot serve.
    #[error("published port {spec}: {what} cannot be served by the bridge driver yet; leave it out")]
    Unsupported {
        /// The request.
        spec: String,
        /// The part of it.
        what: &'static str,
    },
}

impl PortError {
    /// Returns the class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            PortError::AlreadyAllocated { .. } | PortError::Busy { .. } => Kind::Conflict,
            PortError::AllAllocated => Kind::Exhausted,
            PortError::Unsupported { .. } => Kind::Unsupported,
            _ => Kind::Invalid,
        }
    }
}
