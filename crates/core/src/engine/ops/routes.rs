//! Which static routes a network may have, and a sandbox beside those of its other networks.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::engine::Draft;
use crate::error::{EndpointError, NetworkError};
use crate::model::{Endpoint, Network, Routing, Sandbox, StaticRoute, is_link_local};

/// Checks those of a new network, whose pools are known.
pub(super) fn check(network: &Network) -> Result<(), NetworkError> {
    let routes = &network.spec.routes;
    for (number, route) in routes.iter().enumerate() {
        let reason = flaw(network, route).or_else(|| {
            let twice = routes[..number].iter().any(|other| other.to == route.to);
            twice.then(|| "it is asked for twice".to_owned())
        });
        if let Some(reason) = reason {
            return Err(NetworkError::Route { to: route.to, reason });
        }
    }
    Ok(())
}

fn flaw(network: &Network, route: &StaticRoute) -> Option<String> {
    let StaticRoute { to, via } = *route;
    let v6 = to.addr().is_ipv6();
    let subnets = || network.pools.iter().map(|pool| pool.prefix).filter(|prefix| prefix.addr().is_ipv6() == v6);
    if to.trunc() != to {
        return Some(format!("it has bits after the prefix length, {} has none", to.trunc()));
    }
    if to.prefix_len() == 0 {
        return Some("the way out is that of the gateway, which --gateway and gateway priorities choose".to_owned());
    }
    if let Some(block) = unroutable(to) {
        return Some(format!("it overlaps {block}, where no route leads"));
    }
    if subnets().any(|subnet| subnet == to) {
        return Some("it is the network's own subnet".to_owned());
    }
    if subnets().next().is_none() {
        return Some(format!("the network has no {} subnet", if v6 { "IPv6" } else { "IPv4" }));
    }
    let via = via.filter(|via| !(v6 && is_link_local(*via)))?;
    match subnets().find(|subnet| subnet.contains(&via)) {
        None => Some(format!("the next hop {via} is in none of the network's subnets")),
        Some(subnet) if is_whole(subnet, via) => {
            Some(format!("the next hop {via} is that of the whole subnet {subnet}"))
        }
        Some(_) => None,
    }
}

/// Returns the block that a destination overlaps and that is never forwarded (RFC 6890).
fn unroutable(to: IpNet) -> Option<&'static str> {
    let blocks = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/127", "fe80::/10", "ff00::/8"];
    blocks.into_iter().find(|block| overlap(&to, &block.parse().expect("a literal prefix")))
}

/// Whether an address is that of the IPv4 subnet itself, or its broadcast address.
fn is_whole(subnet: IpNet, address: IpAddr) -> bool {
    let has_both = address.is_ipv4() && subnet.prefix_len() < 31;
    has_both && (address == subnet.network() || address == subnet.broadcast())
}

/// Checks what an endpoint brings against what its sandbox has: one route for each destination, and none into the subnet of
/// another interface. Of two that overlap otherwise the narrower one holds.
pub(super) fn check_join(
    draft: &Draft<'_>,
    endpoint: &Endpoint,
    network: &Network,
    routing: &Routing,
    sandbox: &Sandbox,
) -> Result<(), EndpointError> {
    let refuse = |(mine, theirs), other: Option<&Network>| {
        let name = |network: &Network| network.spec.name.clone();
        Err(EndpointError::Route {
            sandbox: sandbox.spec.name.clone(),
            network: name(network),
            mine,
            theirs,
            other: other.map(name).unwrap_or_default(),
        })
    };
    if let Some(link) = routing.routes.iter().find_map(|route| link_of(endpoint, route)) {
        return refuse((format!("route {link}"), format!("subnet {link}")), Some(network));
    }
    for other in draft.state().attached_to(sandbox.id) {
        let Some(attached) = &other.attached else { continue };
        let Some((mine, theirs)) = collision((endpoint, routing), (other, &attached.routing)) else { continue };
        return refuse((mine, theirs), draft.state().network(other.network).map(|network| &**network));
    }
    Ok(())
}

fn collision(mine: (&Endpoint, &Routing), theirs: (&Endpoint, &Routing)) -> Option<(String, String)> {
    let subnet = |prefix: &IpNet| format!("subnet {}", prefix.trunc());
    let route = |route: &StaticRoute| format!("route {}", route.to);
    for own in &mine.1.routes {
        if let Some(other) = theirs.1.routes.iter().find(|other| other.to == own.to) {
            return Some((route(own), route(other)));
        }
        if let Some(other) = theirs.0.addresses.iter().find(|other| overlap(&own.to, other)) {
            return Some((route(own), subnet(other)));
        }
        if let Some(link) = link_of(theirs.0, own) {
            return Some((route(own), subnet(&link)));
        }
    }
    if let Some(link) = theirs.1.routes.iter().find_map(|route| link_of(mine.0, route)) {
        return Some((subnet(&link), format!("route {link}")));
    }
    for own in &mine.0.addresses {
        if let Some(other) = theirs.1.routes.iter().find(|other| overlap(&other.to, own)) {
            return Some((subnet(own), route(other)));
        }
    }
    None
}

/// Returns the subnet of an endpoint's link-local addresses, if that is where a route leads: the kernel has one of its own.
fn link_of(endpoint: &Endpoint, route: &StaticRoute) -> Option<IpNet> {
    endpoint.spec.link_local.iter().map(IpNet::trunc).find(|link| *link == route.to)
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}
