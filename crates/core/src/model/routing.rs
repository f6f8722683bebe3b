//! Where an endpoint leads beyond its own subnets.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{Endpoint, Network};

/// Where the endpoints of a network lead: settled when an endpoint joins, and kept in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routing {
    /// The way out of IPv4.
    pub ipv4: WayOut,
    /// The way out of IPv6.
    pub ipv6: WayOut,
    /// Other destinations, whether or not the endpoint is its sandbox's gateway.
    pub routes: Vec<StaticRoute>,
    /// Whether the sandbox gets an endpoint on the gateway network if this one leads nowhere, and no other does. Upstream's
    /// drivers say no by `DisableGatewayService`.
    pub gateway_service: bool,
}

/// The way out of a network, for one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayOut {
    /// It leads nowhere.
    #[default]
    None,
    /// By a router on the network.
    Via(IpAddr),
    /// Whoever is asked for is on the link: the default route has no next hop.
    OnLink,
    /// It leads out, and its default route is made by somebody else: a sandbox whose gateway it is gets none. Upstream's
    /// drivers say so by `ForceGw4` and `ForceGw6`.
    Forced,
}

/// A route to a part of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StaticRoute {
    /// The destination, never that of a default route.
    pub to: IpNet,
    /// The next hop, on the network; none if the destination itself is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
}

impl Default for Routing {
    fn default() -> Self {
        Self { ipv4: WayOut::None, ipv6: WayOut::None, routes: Vec::new(), gateway_service: true }
    }
}

impl Routing {
    /// Returns what follows from the records: the way out is the gateway of the endpoint's pool, and routes are those of the
    /// network, of the families that the endpoint has, unless it is the next hop itself.
    pub fn of(network: &Network, endpoint: &Endpoint) -> Self {
        let has = |v6| endpoint.address(v6).is_some();
        let way_out = |v6| network.way_out(v6).filter(|_| has(v6)).map_or(WayOut::None, WayOut::Via);
        let is_router = |route: &StaticRoute| endpoint.addresses.iter().any(|own| Some(own.addr()) == route.via);
        let routes = network.spec.routes.iter().copied();
        let routes = routes.filter(|route| has(route.to.addr().is_ipv6()) && !is_router(route)).collect();
        Self { ipv4: way_out(false), ipv6: way_out(true), routes, gateway_service: true }
    }

    /// Returns that of an endpoint that leads nowhere and is not to: it has no part in what its sandbox reaches.
    pub fn nowhere() -> Self {
        Self { gateway_service: false, ..Self::default() }
    }

    /// Returns it without what leads anywhere by IPv6.
    #[must_use]
    pub fn without_ipv6(&self) -> Self {
        let routes = self.routes.iter().copied().filter(|route| route.to.addr().is_ipv4()).collect();
        Self { ipv6: WayOut::None, routes, ..self.clone() }
    }

    /// Returns the way out of a family.
    pub fn way_out(&self, v6: bool) -> WayOut {
        if v6 { self.ipv6 } else { self.ipv4 }
    }

    /// Returns whether it leads out, for a family.
    pub fn leads_out(&self, v6: bool) -> bool {
        self.way_out(v6) != WayOut::None
    }

    /// Returns the router that leads out, if there is one, for a family.
    pub fn gateway(&self, v6: bool) -> Option<IpAddr> {
        match self.way_out(v6) {
            WayOut::Via(router) => Some(router),
            WayOut::None | WayOut::OnLink | WayOut::Forced => None,
        }
    }

    /// Returns the default route that a sandbox has whose gateway this is.
    pub fn default_route(&self, v6: bool) -> Option<StaticRoute> {
        let to = if v6 { IpNet::V6(Ipv6Net::default()) } else { IpNet::V4(Ipv4Net::default()) };
        match self.way_out(v6) {
            WayOut::Via(router) => Some(StaticRoute { to, via: Some(router) }),
            WayOut::OnLink => Some(StaticRoute { to, via: None }),
            WayOut::None | WayOut::Forced => None,
        }
    }
}

/// As it is asked for: `PREFIX` or `PREFIX,NEXTHOP`.
impl fmt::Display for StaticRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Some(via) => write!(f, "{},{via}", self.to),
            None => write!(f, "{}", self.to),
        }
    }
}
