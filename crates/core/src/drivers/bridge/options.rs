//! The options of bridge networks and of the driver.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::super::options::bad_value;
use super::{Bridge, Driver, NetworkView, OptionError};
use crate::drivers::OptionReader;
use crate::model::{IfName, Mtu, NetworkSpec, Options, label};

const NAME: &str = "com.docker.network.bridge.name";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
const TRUSTED: &str = "com.docker.network.bridge.trusted_host_interfaces";
const GATEWAY_MODE_IPV4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const GATEWAY_MODE_IPV6: &str = "com.docker.network.bridge.gateway_mode_ipv6";

/// What holds for all networks of the driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeDriverConfig {
    /// Whether the driver switches the host's forwarding on for networks that lead out. It is never switched off again:
    /// others may have come to rely on it.
    pub ip_forward: bool,
}

impl Default for BridgeDriverConfig {
    fn default() -> Self {
        Self { ip_forward: true }
    }
}

/// What the host is to the endpoints of a network, for one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// It translates addresses: others reach ports that are published on the host.
    #[default]
    Nat,
    /// It translates addresses, and lets everybody reach all ports of endpoints by their own addresses.
    NatUnprotected,
    /// It routes: others reach published ports by the endpoints' own addresses, and nothing is translated.
    Routed,
    /// It has no address on the network; only for internal ones.
    Isolated,
}

impl FromStr for GatewayMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nat" => Ok(Self::Nat),
            "nat-unprotected" => Ok(Self::NatUnprotected),
            "routed" => Ok(Self::Routed),
            "isolated" => Ok(Self::Isolated),
            _ => Err("it must be nat, nat-unprotected, routed or isolated"),
        }
    }
}

/// What holds for one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeConfig {
    /// The bridge's name, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<IfName>,
    /// The MTU of all its links.
    pub mtu: Mtu,
    /// Whether endpoints may talk to each other.
    pub icc: bool,
    /// Whether endpoints leave the host under its address.
    pub masquerade: bool,
    /// What the host is to its endpoints, for IPv4.
    #[serde(default)]
    pub gateway_mode_ipv4: GatewayMode,
    /// What the host is to its endpoints, for IPv6.
    #[serde(default)]
    pub gateway_mode_ipv6: GatewayMode,
    /// Whether the gateway's IPv4 address is left to somebody else on the network: the bridge does not have it.
    #[serde(default)]
    pub inhibit_ipv4: bool,
    /// Interfaces of the host by which published ports are reached by the endpoints' own addresses too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_interfaces: Vec<IfName>,
    /// The address under which endpoints leave the host by IPv4; that of the interface they leave by otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ipv4: Option<Ipv4Addr>,
    /// The same for IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ipv6: Option<Ipv6Addr>,
    /// Where ports are published that name no host address; all addresses otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_binding: Option<IpAddr>,
    /// The prefix of interface names inside sandboxes.
    pub interface_prefix: String,
}

impl BridgeConfig {
    /// Parses the options of a network.
    ///
    /// # Errors
    ///
    /// [`OptionError::Value`] for a bad value, [`OptionError::Unknown`] for an option the driver does not have.
    pub fn parse(options: &Options) -> Result<Self, OptionError> {
        let mut read = OptionReader::new(Bridge::NAME, options);
        let config = Self {
            bridge: read.parsed(NAME)?,
            mtu: mtu(read.text(label::MTU))?,
            icc: read.flag(ICC, true)?,
            masquerade: read.flag(MASQUERADE, true)?,
            gateway_mode_ipv4: read.parsed(GATEWAY_MODE_IPV4)?.unwrap_or_default(),
            gateway_mode_ipv6: read.parsed(GATEWAY_MODE_IPV6)?.unwrap_or_default(),
            inhibit_ipv4: read.flag(INHIBIT_IPV4, false)?,
            trusted_interfaces: interfaces(read.text(TRUSTED))?,
            host_ipv4: source(label::HOST_IPV4, read.parsed(label::HOST_IPV4)?)?,
            host_ipv6: source(label::HOST_IPV6, read.parsed(label::HOST_IPV6)?)?,
            host_binding: read.parsed::<IpAddr>(HOST_BINDING)?.map(|ip| ip.to_canonical()),
            interface_prefix: prefix(read.text(label::IFACE_PREFIX))?,
        };
        read.finish()?;
        Ok(config)
    }

    /// Returns the address under which endpoints leave the host, if it is always the same, for a family.
    pub fn source_address(&self, v6: bool) -> Option<IpAddr> {
        if v6 { self.host_ipv6.map(IpAddr::V6) } else { self.host_ipv4.map(IpAddr::V4) }
    }

    /// Returns whether the bridge has the gateway's address of a family.
    pub fn has_gateway_address(&self, v6: bool) -> bool {
        self.gateway_mode(v6) != GatewayMode::Isolated && (v6 || !self.inhibit_ipv4)
    }

    /// Returns what the host is to its endpoints, for a family.
    pub fn gateway_mode(&self, v6: bool) -> GatewayMode {
        if v6 { self.gateway_mode_ipv6 } else { self.gateway_mode_ipv4 }
    }
}

/// Returns the network that leads out of sandboxes whose own networks do not: nobody talks to anybody on it.
pub(crate) fn gateway_network(name: &str) -> NetworkSpec {
    NetworkSpec::new(name).option(ICC, "false").option(MASQUERADE, "true")
}

/// Names between colons, which no name has.
fn interfaces(text: Option<&str>) -> Result<Vec<IfName>, OptionError> {
    let text = text.unwrap_or_default();
    let names = text.split(':').filter(|name| !name.is_empty());
    let names: Result<BTreeSet<_>, _> = names.map(|name| IfName::new(name.to_owned())).collect();
    names.map(Vec::from_iter).map_err(|error| bad_value(TRUSTED, text, error))
}

/// What leaves must come from an address that can be answered.
fn source<A: Copy + Into<IpAddr>>(option: &str, address: Option<A>) -> Result<Option<A>, OptionError> {
    match address.map(Into::into) {
        Some(ip) if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() => {
            Err(bad_value(option, &ip.to_string(), "it must be an address of the host that others can answer to"))
        }
        _ => Ok(address),
    }
}

fn mtu(text: Option<&str>) -> Result<Mtu, OptionError> {
    match text.unwrap_or_default() {
        // Upstream takes 0 for "not set".
        "" | "0" => Ok(Mtu::ETHERNET),
        text => {
            let number =
                text.parse::<i64>().map_err(|_| bad_value(label::MTU, text, "it must be a number of bytes"))?;
            Mtu::try_from(number).map_err(|error| bad_value(label::MTU, text, error))
        }
    }
}

/// The prefix must leave room for a number.
fn prefix(text: Option<&str>) -> Result<String, OptionError> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("eth");
    match IfName::new(format!("{text}999")) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(bad_value(label::IFACE_PREFIX, text, format!("a number must fit behind it: {error}"))),
    }
}

/// Without the host's address nothing leads out.
pub(super) fn check_gateway_modes(view: &NetworkView<'_, BridgeConfig>) -> Result<(), OptionError> {
    for (v6, option) in [(false, GATEWAY_MODE_IPV4), (true, GATEWAY_MODE_IPV6)] {
        if view.config.gateway_mode(v6) == GatewayMode::Isolated && !view.network.spec.internal {
            let reason = "it is for internal networks only: make the network internal, or choose another mode";
            return Err(bad_value(option, "isolated", reason));
        }
    }
    Ok(())
}

/// A bridge has one pool for each family that is switched on, and at least one family.
pub(super) fn check_pools(view: &NetworkView<'_, BridgeConfig>) -> Result<(), OptionError> {
    let spec = &view.network.spec;
    if !spec.ipv4 && !spec.ipv6 {
        return Err(OptionError::Combination("IPv4 or IPv6 must be enabled".to_owned()));
    }
    for (v6, on, family) in [(false, spec.ipv4, "ipv4"), (true, spec.ipv6, "ipv6")] {
        let pools: Vec<_> = view.network.pools.iter().filter(|pool| pool.prefix.addr().is_ipv6() == v6).collect();
        match pools.as_slice() {
            [] if on => return Err(OptionError::Combination(format!("{family} pool is empty"))),
            [pool] if on && pool.prefix.addr().is_unspecified() => {
                return Err(OptionError::Combination(format!("{family} pool is empty")));
            }
            [_, second, ..] => {
                return Err(OptionError::Combination(format!(
                    "a bridge network has one {family} subnet: remove {}",
                    second.prefix
                )));
            }
            _ => {}
        }
        if let [pool] = pools.as_slice() {
            check_blocks(pool.prefix)?;
            check_size(pool.prefix)?;
            check_v6_prefix(pool.prefix)?;
        }
    }
    Ok(())
}

/// Blocks that no host on a network can have an address of (RFC 6890).
fn check_blocks(prefix: IpNet) -> Result<(), OptionError> {
    let blocks = [
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::1/128", "loopback"),
    ];
    for (block, what) in blocks {
        let block: IpNet = block.parse().expect("a literal prefix");
        if block.contains(&prefix) || prefix.contains(&block) {
            return Err(OptionError::Combination(format!("'{prefix}' overlaps the {what} addresses {block}")));
        }
    }
    Ok(())
}

/// The gateway has an address of each subnet, and somebody must be able to use it.
fn check_size(prefix: IpNet) -> Result<(), OptionError> {
    match prefix.prefix_len() == prefix.max_prefix_len() {
        true => Err(OptionError::Combination(format!("'{prefix}' has no address left for an endpoint"))),
        false => Ok(()),
    }
}

/// Linux gives every interface an address in `fe80::/64`; another prefix that overlaps it would give it two.
fn check_v6_prefix(prefix: IpNet) -> Result<(), OptionError> {
    let IpNet::V6(prefix) = prefix else { return Ok(()) };
    let link_local: Ipv6Net = "fe80::/64".parse().expect("a literal prefix");
    let refuse = |what: &str| Err(OptionError::Combination(format!("'{prefix}' {what}")));
    if prefix.addr().is_multicast() {
        return refuse("is a multicast subnet, which a bridge cannot have");
    }
    if prefix != link_local && (prefix.contains(&link_local) || link_local.contains(&prefix)) {
        return refuse("clashes with the Link-Local prefix 'fe80::/64'");
    }
    Ok(())
}

pub(super) fn check_mtu(view: &NetworkView<'_, BridgeConfig>) -> Result<(), OptionError> {
    let mtu = view.config.mtu.bytes();
    if view.network.spec.ipv6 && mtu < Mtu::MIN_V6 {
        let reason = format!("IPv6 needs at least {} bytes (RFC 8200 section 5)", Mtu::MIN_V6);
        return Err(bad_value(label::MTU, &mtu.to_string(), reason));
    }
    Ok(())
}

/// Two bridges with one subnet would each claim the way to it.
pub(super) fn check_overlap(
    view: &NetworkView<'_, BridgeConfig>,
    others: &[NetworkView<'_, BridgeConfig>],
) -> Result<(), OptionError> {
    for pool in &view.network.pools {
        for other in others {
            let overlaps = |theirs: &IpNet| theirs.contains(&pool.prefix) || pool.prefix.contains(theirs);
            if other.network.pools.iter().any(|theirs| overlaps(&theirs.prefix)) {
                return Err(OptionError::Collision {
                    network: view.network.spec.name.clone(),
                    other: other.network.spec.name.clone(),
                    what: format!("have addresses of {}", pool.prefix),
                });
            }
        }
    }
    Ok(())
}
