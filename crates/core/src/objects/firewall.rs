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
    /// Other interfaces by which its open ports are reached by their containers' own addresses.
    pub trusted: Vec<IfName>,
    /// Its subnets, at most one of each family.
    pub subnets: Vec<FirewallSubnet>,
}

/// A subnet of a bridge: what enters it and under whose address it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallSubnet {
    /// The subnet.
    pub prefix: IpNet,
    /// What others reach by the addresses in it.
    pub access: Access,
    /// Under which address it leaves the host.
    pub leaves: Leaves,
}

/// Under which address packets of a subnet leave the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leaves {
    /// Their own.
    Unchanged,
    /// That of the interface by which they leave.
    Masqueraded,
    /// This one, of the same family.
    As(IpAddr),
}

/// What others reach of a subnet by the addresses in it, rather than by ports of the host. Connections that began inside are
/// answered always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Nothing, but for open ports by way of trusted interfaces.
    Closed,
    /// Open ports, and ICMP.
    Routed,
    /// Everything.
    Open,
}

impl fmt::Display for FirewallSubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subnet {}", self.prefix)?;
        f.write_str(match self.access {
            Access::Closed => "",
            Access::Routed => " routed",
            Access::Open => " open",
        })?;
        match self.leaves {
            Leaves::Unchanged => Ok(()),
            Leaves::Masqueraded => f.write_str(" masquerade"),
            Leaves::As(address) => write!(f, " leaves as {address}"),
        }
    }
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
        self.trusted.iter().try_for_each(|name| write!(f, " trusts {name}"))?;
        self.subnets.iter().try_for_each(|subnet| write!(f, " {subnet}"))
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

/// Consecutive ports of a container that others reach by its own address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The transport.
    pub proto: PortProto,
    /// The container's address.
    pub ip: IpAddr,
    /// The first port.
    pub port: u16,
    /// How many ports, at least one.
    pub count: u16,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open {}/{}", std::net::SocketAddr::new(self.ip, self.port), self.proto)?;
        if self.count > 1 {
            write!(f, " and the {} ports after it", self.count - 1)?;
        }
        Ok(())
    }
}
