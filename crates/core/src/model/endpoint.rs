//! Endpoints: attachment points of networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{EndpointId, IfName, MacAddr, NetworkId, Options, Phase, Rate, Routing, SandboxId};
use crate::ports::{PortProto, PortSpec};

/// What is asked for when an endpoint is created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// Unique in its network.
    pub name: String,
    /// Driver options, as given; those that stand for a field below are in that field too once the endpoint is there.
    pub options: Options,
    /// The IPv4 address to have.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address to have.
    pub ipv6: Option<Ipv6Addr>,
    /// The MAC address to have; a random one otherwise.
    pub mac: Option<MacAddr>,
    /// The interface's name inside the sandbox; the network's prefix and the lowest free number otherwise.
    pub ifname: Option<IfName>,
    /// No IPv6 address, even on an IPv6 network.
    pub disable_ipv6: bool,
    /// Link-local addresses of its interface, besides those of the network; see [`EndpointSpec::link_local`].
    pub link_local: Vec<IpNet>,
    /// Kernel settings of its interface, each `net.X.Y.IFNAME.Z=V`; see [`InterfaceSetting`](super::InterfaceSetting).
    pub sysctls: Vec<String>,
    /// How fast data may come in to its interface, as the sandbox sees it; unlimited if absent.
    pub rate_in: Option<Rate>,
    /// How fast data may go out of its interface, likewise.
    pub rate_out: Option<Rate>,
    /// Ports that this endpoint publishes whether or not it is the sandbox's gateway.
    pub publish: Vec<PortSpec>,
    /// The sandbox's endpoint of highest priority becomes its gateway, per family.
    pub priority: i32,
    /// What it is called on its network, in order: the first is what its addresses lead back to. Without any, nobody finds it
    /// by name.
    pub dns_names: Vec<String>,
    /// What its sandbox alone calls others of the network: alias and name.
    pub links: Vec<(String, String)>,
}

impl EndpointSpec {
    /// Asks for an endpoint with automatic addresses.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Publishes a port on this endpoint.
    #[must_use]
    pub fn publish(mut self, port: PortSpec) -> Self {
        self.publish.push(port);
        self
    }

    /// Asks for an address; its family follows from its value.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.ipv4 = Some(address),
            IpAddr::V6(address) => self.ipv6 = Some(address),
        }
        self
    }

    /// Adds a name by which it is found on its network.
    #[must_use]
    pub fn dns_name(mut self, name: impl Into<String>) -> Self {
        self.dns_names.push(name.into());
        self
    }

    /// Lets its sandbox call another of the network by a name that nobody else knows.
    #[must_use]
    pub fn link(mut self, alias: impl Into<String>, name: impl Into<String>) -> Self {
        self.links.push((alias.into(), name.into()));
        self
    }

    /// Asks for a link-local address, in the whole of its family's link: `169.254.0.0/16` or `fe80::/64`.
    #[must_use]
    pub fn link_local(mut self, address: IpAddr) -> Self {
        self.link_local.push(on_link(address));
        self
    }

    /// Asks for a kernel setting of the interface, as `net.X.Y.IFNAME.Z=V`.
    #[must_use]
    pub fn sysctl(mut self, setting: impl Into<String>) -> Self {
        self.sysctls.push(setting.into());
        self
    }

    /// Limits how fast data may come in.
    #[must_use]
    pub fn rate_in(mut self, rate: Rate) -> Self {
        self.rate_in = Some(rate);
        self
    }

    /// Limits how fast data may go out.
    #[must_use]
    pub fn rate_out(mut self, rate: Rate) -> Self {
        self.rate_out = Some(rate);
        self
    }

    /// Asks for a MAC address.
    #[must_use]
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }
}

/// Returns whether an address is of 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291 section 2.5.6).
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Returns a link-local address with the length of its family's link: `169.254.0.0/16` or `fe80::/64`.
pub fn on_link(address: IpAddr) -> IpNet {
    let length = if address.is_ipv6() { 64 } else { 16 };
    IpNet::new(address, length).expect("both lengths are those of a prefix of the family")
}

/// The place of an endpoint in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The interface's name inside it.
    pub ifname: IfName,
    /// Where it leads.
    #[serde(default)]
    pub routing: Routing,
}

/// One published port, or range of ports, as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBinding {
    /// The transport.
    pub proto: PortProto,
    /// The host's address; the unspecified one of a family means all of that family.
    pub host_ip: IpAddr,
    /// The first port on the host.
    pub host_port: u16,
    /// The container's address.
    pub container_ip: IpAddr,
    /// The first port in the container.
    pub container_port: u16,
    /// How many consecutive ports, at least one.
    pub count: u16,
    /// The request this answers, for telling which bindings belong together.
    pub request: PortSpec,
}

impl PortBinding {
    /// Returns the last port on the host.
    pub fn last_host_port(&self) -> u16 {
        self.host_port + (self.count - 1)
    }
}

/// One open port, or range of ports, that others reach by the container's own address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPort {
    /// The transport.
    pub proto: PortProto,
    /// The container's address.
    pub ip: IpAddr,
    /// The first port.
    pub port: u16,
    /// How many consecutive ports, at least one.
    pub count: u16,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its identity.
    pub id: EndpointId,
    /// The network it belongs to.
    pub network: NetworkId,
    /// What was asked for.
    pub spec: EndpointSpec,
    /// Its addresses with their pool's prefix length, IPv4 first.
    pub addresses: Vec<IpNet>,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Where it is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Attachment>,
    /// Whether it was made because nothing else leads out of its sandbox; it goes when something does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// The ports it publishes now on the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<PortBinding>,
    /// The ports it publishes now by its own addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<OpenPort>,
    /// Where it stands.
    #[serde(skip)]
    pub phase: Phase,
}

impl Endpoint {
    /// Returns its address of a family, with the prefix length of its pool.
    pub fn address(&self, v6: bool) -> Option<IpNet> {
        self.addresses.iter().copied().find(|prefix| prefix.addr().is_ipv6() == v6)
    }

    /// Returns whether it can be a sandbox's way out, for a family.
    pub fn leads_out(&self, v6: bool) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.routing.leads_out(v6))
    }

    /// Returns the name of its interface on the host: `pv` and nine digits of the id.
    pub fn host_ifname(&self) -> IfName {
        IfName::new(format!("pv{}", self.id.digits(9))).expect("pv and nine digits are a valid interface name")
    }
}
