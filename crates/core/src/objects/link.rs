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
    /// The ends of a pair take packets of different sizes.
    UnequalMtu,
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
            Self::UnequalMtu => "ends of different MTU",
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

/// How the addresses of an interface are announced to its neighbours, so that they forget who had them before: gratuitous ARP
/// (RFC 5227 section 3) and unsolicited neighbour advertisements (RFC 4861 section 7.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertise {
    /// How often, at least once.
    pub count: u8,
    /// The time between two announcements, in milliseconds.
    pub interval: u16,
}

impl Advertise {
    /// What holds where nothing else was asked for.
    pub const DEFAULT: Self = Self { count: 3, interval: 1000 };
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
    /// How the addresses of the other end are announced, if they are: the engine's decision, to which drivers say nothing.
    #[serde(default)]
    pub advertise: Option<Advertise>,
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
        match self.advertise {
            _ if self.flaw == Some(Flaw::Unfinished) => {}
            Some(Advertise::DEFAULT) => {}
            Some(Advertise { count, interval }) => write!(f, " announced {count} times every {interval} ms")?,
            None => f.write_str(" unannounced")?,
        }
        if self.bridge.is_none() {
            f.write_str(", not in a bridge")?;
        }
        self.flaw.iter().try_for_each(|flaw| write!(f, ", {flaw}"))
    }
}
