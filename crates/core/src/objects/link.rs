//! Interfaces.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{IfName, MacAddr, Mtu, SandboxId};

/// A bridge on the host, up, with spanning tree off and without forwarding delay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Its name.
    pub name: IfName,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: Mtu,
    /// Whether the host routes 127.0.0.0/8 over it, which publishing on loopback addresses needs
    /// (`net.ipv4.conf.NAME.route_localnet`).
    pub route_localnet: bool,
    /// Whether IPv6 is on (`net.ipv6.conf.NAME.disable_ipv6`); router advertisements are never accepted.
    pub ipv6: bool,
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bridge {} mac {} mtu {}", self.name, self.mac, self.mtu.bytes())?;
        if self.route_localnet {
            f.write_str(" route-localnet")?;
        }
        if self.ipv6 {
            f.write_str(" ipv6")?;
        }
        Ok(())
    }
}

/// A pair of interfaces: one end is a port of a bridge, the other is in a sandbox. Both are up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veth {
    /// The host end's name.
    pub name: IfName,
    /// The bridge it is a port of.
    pub bridge: IfName,
    /// The MTU of both ends.
    pub mtu: Mtu,
    /// The sandbox that has the other end.
    pub sandbox: SandboxId,
    /// The other end's name.
    pub peer: IfName,
    /// The other end's MAC address.
    pub mac: MacAddr,
    /// Whether the port cannot reach other isolated ports of the bridge.
    pub isolated: bool,
    /// Whether the port gets back what it sent, which reaching one's own published port needs.
    pub hairpin: bool,
}

impl fmt::Display for Veth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "veth {} on {} to {} in sandbox {} mac {} mtu {}",
            self.name,
            self.bridge,
            self.peer,
            self.sandbox.short(),
            self.mac,
            self.mtu.bytes()
        )?;
        if self.isolated {
            f.write_str(" isolated")?;
        }
        if self.hairpin {
            f.write_str(" hairpin")?;
        }
        Ok(())
    }
}
