//! Interfaces.
//!
//! One that was found may have a [`Flaw`]; one that is asked for has none, and so differs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{IfName, MacAddr, Mtu, SandboxId};

/// What is wrong with an interface that was found. Changing it into one without sets it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// It is down; of a pair, the host end is.
    Down,
    /// It is a bridge that takes routes and addresses from whoever advertises them.
    AcceptsRouters,
    /// Of a pair, the end in the sandbox is down.
    PeerDown,
    /// Of a pair, the other end is not in its sandbox.
    PeerLost,
    /// It is a pair whose making was cut short. Nothing but its name is known.
    Unfinished,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::AcceptsRouters => "accepts router advertisements",
            Self::PeerDown => "other end down",
            Self::PeerLost => "other end lost",
            Self::Unfinished => "unfinished",
        })
    }
}

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
    /// What is wrong with one that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<Flaw>,
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
        self.flaw.iter().try_for_each(|flaw| write!(f, ", {flaw}"))
    }
}

/// A pair of interfaces: one end is a port of a bridge, the other is in a sandbox. Both are up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veth {
    /// The host end's name.
    pub name: IfName,
    /// The bridge it is a port of: one that is asked for is a port of one.
    pub bridge: Option<IfName>,
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
    /// What is wrong with one that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<Flaw>,
}

impl fmt::Display for Veth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "veth {}", self.name)?;
        if let Some(bridge) = &self.bridge {
            write!(f, " on {bridge}")?;
        }
        if self.flaw != Some(Flaw::Unfinished) {
            let (sandbox, mtu) = (self.sandbox.short(), self.mtu.bytes());
            write!(f, " to {} in sandbox {sandbox} mac {} mtu {mtu}", self.peer, self.mac)?;
        }
        if self.isolated {
            f.write_str(" isolated")?;
        }
        if self.hairpin {
            f.write_str(" hairpin")?;
        }
        if self.bridge.is_none() {
            f.write_str(", not in a bridge")?;
        }
        self.flaw.iter().try_for_each(|flaw| write!(f, ", {flaw}"))
    }
}
