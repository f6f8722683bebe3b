//! What one sandbox sees: its networks, its aliases, and the servers it may ask.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::name::{Division, QueryName};
use crate::zone::{Encoded, SharedZone, Target};

/// The address that the resolver has in every sandbox.
pub const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// How many servers are asked, as in resolv.conf(5).
const SERVERS: usize = 3;

/// What one sandbox sees.
///
/// Names are looked up in the order of the endpoints; the first network that knows a name answers, for both families.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The sandbox's endpoints, the best gateway first.
    pub endpoints: Vec<Endpoint>,
    /// The servers for what no network knows, in order; the first three are asked.
    pub servers: Vec<Server>,
    /// Servers in place of these, by the address that asks.
    pub overrides: HashMap<IpAddr, Vec<Server>>,
    /// The option `ndots` of the sandbox's resolv.conf, if somebody set it there.
    ///
    /// Above zero it promises a search list: names of one label are then not asked of other servers.
    pub ndots: Option<u32>,
    /// Whether the sandbox can reach beyond its networks. Without, servers are not reached from the host for it.
    pub external_access: bool,
}

/// A sandbox's place on a network.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The names of the network.
    pub zone: SharedZone,
    /// Names that this sandbox alone knows, by what it calls them: alias to the name on the network. Unlike names,
    /// aliases are case-sensitive.
    pub aliases: HashMap<String, String>,
}

/// A server that is asked what no network knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its address and port.
    pub address: SocketAddr,
    /// Where it is reached from.
    pub reach: Reach,
}

/// The network namespace that a server is reached from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The host's: servers from the host's own resolv.conf.
    Host,
    /// The sandbox's: servers that were asked for.
    Sandbox,
}

impl From<SharedZone> for Endpoint {
    fn from(zone: SharedZone) -> Self {
        Self { zone, aliases: HashMap::new() }
    }
}

impl View {
    /// Returns the servers to ask for a client, in order.
    pub fn servers_for(&self, client: IpAddr) -> impl Iterator<Item = Server> + '_ {
        let servers = self.overrides.get(&client.to_canonical()).unwrap_or(&self.servers);
        servers.iter().take(SERVERS).copied().filter(|server| match server.reach {
            Reach::Host => self.external_access,
            // The sandbox's 127.0.0.11 is this resolver, which would ask itself.
            Reach::Sandbox => server.address.ip().to_canonical() != IpAddr::V4(RESOLVER_ADDRESS),
        })
    }

    /// Returns whether a name of one label stays here when no network knows it.
    pub(crate) fn keeps_single_labels(&self) -> bool {
        self.ndots.is_some_and(|ndots| ndots > 0)
    }

    /// Returns the addresses of a name, of both families; nothing if no network knows the name.
    pub(crate) fn addresses(&self, name: &QueryName) -> Option<Vec<IpAddr>> {
        name.divisions().find_map(|name| self.by_alias(name).or_else(|| self.by_name(name)))
    }

    fn by_alias(&self, name: Division<'_>) -> Option<Vec<IpAddr>> {
        self.on(name).find_map(|endpoint| {
            let target = crate::name::key(endpoint.aliases.get(name.exact)?)?;
            endpoint.zone.read(|zone| zone.addresses(&target))
        })
    }

    /// An endpoint for which the name is an alias does not know it as a name.
    fn by_name(&self, name: Division<'_>) -> Option<Vec<IpAddr>> {
        let endpoints = self.on(name).filter(|endpoint| !endpoint.aliases.contains_key(name.exact));
        endpoints.into_iter().find_map(|endpoint| endpoint.zone.read(|zone| zone.addresses(name.lower)))
    }

    /// Returns the endpoints on the networks that a name can be on.
    fn on<'a>(&'a self, name: Division<'a>) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.iter().filter(move |endpoint| {
            name.network.is_none_or(|network| endpoint.zone.read(|zone| zone.network().eq_ignore_ascii_case(network)))
        })
    }

    /// Returns the name of an address, if one of the networks has given it one.
    pub(crate) fn pointer(&self, address: &IpAddr) -> Option<Encoded> {
        self.endpoints.iter().find_map(|endpoint| endpoint.zone.read(|zone| zone.pointer(address)))
    }

    /// Returns where a service is.
    pub(crate) fn services(&self, name: &QueryName) -> Option<Vec<Target>> {
        self.endpoints.iter().find_map(|endpoint| endpoint.zone.read(|zone| zone.services(&name.lower)))
    }
}
