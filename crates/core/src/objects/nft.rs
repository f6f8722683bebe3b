//! The nftables half of the firewall: a static ruleset, and elements of its sets and maps.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::IfName;
use crate::ports::{PortProto, PortRange};

/// The table with its chains, rules, sets and maps; only elements change while it stands.
///
/// Its text is [`crate::firewall::ruleset`]'s; the fingerprint tells one version from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// The table's name, in family `inet`.
    pub table: String,
    /// Which ruleset it is: 16 hexadecimal digits over everything in it.
    pub fingerprint: String,
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ruleset inet {} {}", self.table, self.fingerprint)
    }
}

/// Where a bridge's packets are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Chain `from_internal`: nothing leaves.
    FromInternal,
    /// Chain `to_internal`: nothing enters.
    ToInternal,
    /// Chain `to_nat`: replies, the bridge's own ports if allowed, open ports, and what the subnet lets in enter.
    ToNat,
}

/// One entry of a set or map of the ruleset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// Set `bridges`: interfaces of ours.
    Bridge(IfName),
    /// Set `same_bridge`: interfaces whose ports may talk to each other.
    SameBridge(IfName),
    /// Map `from`: who judges what comes from an interface.
    From(IfName, Verdict),
    /// Map `to`: who judges what goes to an interface.
    To(IfName, Verdict),
    /// Sets `subnets4`, `subnets6`: addresses that only their own bridge reaches directly.
    Subnet(IpNet),
    /// Sets `on_link4`, `on_link6`: which bridge that is.
    OnLink(IpNet, IfName),
    /// Sets `trusted4`, `trusted6`: which other interfaces do.
    Trusted(IpNet, IfName),
    /// Sets `masquerade4`, `masquerade6`: subnets that leave under the host's address.
    Masquerade(IpNet),
    /// Maps `snat4`, `snat6`: subnets that leave under another address.
    Snat(IpNet, IpAddr),
    /// Sets `routed4`, `routed6`: subnets that ICMP enters.
    Routed(IpNet),
    /// Sets `unprotected4`, `unprotected6`: subnets that everything enters.
    Unprotected(IpNet),
    /// Sets `open4`, `open6`, `open_range4`, `open_range6`: ports of containers that others may reach.
    Open {
        /// The container's address.
        ip: IpAddr,
        /// The transport.
        proto: PortProto,
        /// The ports.
        ports: PortRange,
    },
    /// Maps `publish4`, `publish_any4`, `publish_range4`, `publish_range_any4` and their IPv6 fellows: where packets to
    /// a host port go.
    Publish {
        /// The host's address, none for any.
        host: Option<IpAddr>,
        /// The transport.
        proto: PortProto,
        /// The host's ports.
        ports: PortRange,
        /// The container's address.
        to: IpAddr,
        /// The container's port; none keeps the port. A range keeps its ports.
        port: Option<u16>,
    },
}

/// What identifies an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementKey {
    /// See [`Element::Bridge`].
    Bridge(IfName),
    /// See [`Element::SameBridge`].
    SameBridge(IfName),
    /// See [`Element::From`].
    From(IfName),
    /// See [`Element::To`].
    To(IfName),
    /// See [`Element::Subnet`].
    Subnet(IpNet),
    /// See [`Element::OnLink`].
    OnLink(IpNet, IfName),
    /// See [`Element::Trusted`].
    Trusted(IpNet, IfName),
    /// See [`Element::Masquerade`].
    Masquerade(IpNet),
    /// See [`Element::Snat`].
    Snat(IpNet),
    /// See [`Element::Routed`].
    Routed(IpNet),
    /// See [`Element::Unprotected`].
    Unprotected(IpNet),
    /// See [`Element::Open`].
    Open(IpAddr, PortProto, PortRange),
    /// See [`Element::Publish`]: the family, the host's address, the transport and the ports.
    Publish(bool, Option<IpAddr>, PortProto, PortRange),
}

impl Element {
    /// Returns what identifies it.
    pub fn key(&self) -> ElementKey {
        match self {
            Self::Bridge(name) => ElementKey::Bridge(name.clone()),
            Self::SameBridge(name) => ElementKey::SameBridge(name.clone()),
            Self::From(name, _) => ElementKey::From(name.clone()),
            Self::To(name, _) => ElementKey::To(name.clone()),
            Self::Subnet(prefix) => ElementKey::Subnet(*prefix),
            Self::OnLink(prefix, name) => ElementKey::OnLink(*prefix, name.clone()),
            Self::Trusted(prefix, name) => ElementKey::Trusted(*prefix, name.clone()),
            Self::Masquerade(prefix) => ElementKey::Masquerade(*prefix),
            Self::Snat(prefix, _) => ElementKey::Snat(*prefix),
            Self::Routed(prefix) => ElementKey::Routed(*prefix),
            Self::Unprotected(prefix) => ElementKey::Unprotected(*prefix),
            Self::Open { ip, proto, ports } => ElementKey::Open(*ip, *proto, *ports),
            Self::Publish { host, proto, ports, to, .. } => ElementKey::Publish(to.is_ipv6(), *host, *proto, *ports),
        }
    }

    /// Returns whether it lets packets through: such elements come last and go first.
    pub fn opens(&self) -> bool {
        match self {
            Self::Trusted(..) | Self::Routed(_) | Self::Unprotected(_) | Self::Open { .. } | Self::Publish { .. } => {
                true
            }
            Self::Bridge(_) | Self::SameBridge(_) | Self::From(..) | Self::To(..) => false,
            Self::Subnet(_) | Self::OnLink(..) | Self::Masquerade(_) | Self::Snat(..) => false,
        }
    }

    /// Returns the name of the set or map it belongs to.
    pub fn set(&self) -> &'static str {
        let family = |v4, v6, is_v6: bool| if is_v6 { v6 } else { v4 };
        match self {
            Self::Bridge(_) => "bridges",
            Self::SameBridge(_) => "same_bridge",
            Self::From(..) => "from",
            Self::To(..) => "to",
            Self::Subnet(p) => family("subnets4", "subnets6", p.addr().is_ipv6()),
            Self::OnLink(p, _) => family("on_link4", "on_link6", p.addr().is_ipv6()),
            Self::Trusted(p, _) => family("trusted4", "trusted6", p.addr().is_ipv6()),
            Self::Masquerade(p) => family("masquerade4", "masquerade6", p.addr().is_ipv6()),
            Self::Snat(p, _) => family("snat4", "snat6", p.addr().is_ipv6()),
            Self::Routed(p) => family("routed4", "routed6", p.addr().is_ipv6()),
            Self::Unprotected(p) => family("unprotected4", "unprotected6", p.addr().is_ipv6()),
            Self::Open { ip, ports, .. } if ports.count() == 1 => family("open4", "open6", ip.is_ipv6()),
            Self::Open { ip, .. } => family("open_range4", "open_range6", ip.is_ipv6()),
            Self::Publish { host, to, port, .. } => match (host.is_some(), port.is_some()) {
                (true, true) => family("publish4", "publish6", to.is_ipv6()),
                (false, true) => family("publish_any4", "publish_any6", to.is_ipv6()),
                (true, false) => family("publish_range4", "publish_range6", to.is_ipv6()),
                (false, false) => family("publish_range_any4", "publish_range_any6", to.is_ipv6()),
            },
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "element {} ", self.set())?;
        match self {
            Self::Bridge(name) | Self::SameBridge(name) => write!(f, "{name}"),
            Self::From(name, verdict) | Self::To(name, verdict) => write!(f, "{name} : jump {}", verdict.chain()),
            Self::Subnet(prefix) | Self::Masquerade(prefix) => write!(f, "{prefix}"),
            Self::Routed(prefix) | Self::Unprotected(prefix) => write!(f, "{prefix}"),
            Self::Snat(prefix, address) => write!(f, "{prefix} : {address}"),
            Self::OnLink(prefix, name) | Self::Trusted(prefix, name) => write!(f, "{prefix} . {name}"),
            Self::Open { ip, proto, ports } => write!(f, "{ip} . {proto} . {ports}"),
            Self::Publish { host, proto, ports, to, port } => {
                if let Some(host) = host {
                    write!(f, "{host} . ")?;
                }
                write!(f, "{proto} . {ports} : {to}")?;
                port.map_or(Ok(()), |port| write!(f, " . {port}"))
            }
        }
    }
}

impl Verdict {
    /// Returns the chain's name.
    pub fn chain(self) -> &'static str {
        match self {
            Self::FromInternal => "from_internal",
            Self::ToInternal => "to_internal",
            Self::ToNat => "to_nat",
        }
    }
}
