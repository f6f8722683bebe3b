//! Host ports kept from other programs.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ports::PortProto;

/// Consecutive host ports, each bound by a socket that drops whatever reaches it: the kernel is the judge of who has a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The transport.
    pub proto: PortProto,
    /// The host's address.
    pub ip: IpAddr,
    /// The first port.
    pub port: u16,
    /// How many ports, at least one.
    pub count: u16,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::SocketAddr::new(self.ip, self.port);
        write!(f, "hold {address}")?;
        if self.count > 1 {
            write!(f, "-{}", self.port + (self.count - 1))?;
        }
        write!(f, "/{}", self.proto)
    }
}
