//! What drivers ask of the firewall, without saying which firewall. [`lower`](crate::firewall::lower) turns these into
//! objects that a host can hold.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::IfName;
use crate::ports::PortProto;

/// How a bridge is protected and what may leave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallBridge {
    /// The bridge.
    pub bridge: IfName,
    /// Nothing passes between it and any other interface.
    pub internal: bool,
    /// Whether its ports may talk to each other.
    pub icc: bool,
    /// Its subnets: nobody else reaches addresses in them directly.
    pub subnets: Vec<IpNet>,
    /// Which subnets leave the host under the host's address.
    pub masquerade: Vec<IpNet>,
}

impl fmt::Display for FirewallBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "firewall for {}", self.bridge)?;
        if self.internal {
            f.write_str(" internal")?;
        }
        if !self.icc {
            f.write_str(" no-icc")?;
        }
        self.subnets.iter().try_for_each(|subnet| write!(f, " subnet {subnet}"))?;
        self.masquerade.iter().try_for_each(|subnet| write!(f, " masquerade {subnet}"))
    }
}

/// Consecutive published ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The transport.
    pub proto: PortProto,
    /// The host's address; unspecified for all addresses of the family.
    pub host_ip: IpAddr,
    /// The first port on the host.
    pub host_port: u16,
    /// The container's address, of the same family.
    pub container_ip: IpAddr,
    /// The first port in the container.
    pub container_port: u16,
    /// How many ports, at least one.
    pub count: u16,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = std::net::SocketAddr::new(self.host_ip, self.host_port);
        let to = std::net::SocketAddr::new(self.container_ip, self.container_port);
        write!(f, "publish {from} to {to}/{}", self.proto)?;
        if self.count > 1 {
            write!(f, " and the {} ports after it", self.count - 1)?;
        }
        Ok(())
    }
}
