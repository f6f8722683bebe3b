//! Which static routes a network may have, and a sandbox beside those of its other networks.

use ipnet::IpNet;

use crate::engine::Draft;
use crate::error::{EndpointError, NetworkError};
use crate::model::{Endpoint, Network, Routing, Sandbox, StaticRoute};

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
    if subnets().any(|subnet| subnet == to) {
        return Some("it is the network's own subnet".to_owned());
    }
    match (subnets().next(), via) {
        (None, _) => Some(format!("the network has no {} subnet", if v6 { "IPv6" } else { "IPv4" })),
        (Some(_), Some(via)) if !subnets().any(|subnet| subnet.contains(&via)) => {
            Some(format!("the next hop {via} is in none of the network's subnets"))
        }
        _ => None,
    }
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
    for other in draft.state().attached_to(sandbox.id) {
        let Some(attached) = &other.attached else { continue };
        let Some((mine, theirs)) = collision((endpoint, routing), (other, &attached.routing)) else { continue };
        let other = draft.state().network(other.network).map(|network| network.spec.name.clone());
        return Err(EndpointError::Route {
            sandbox: sandbox.spec.name.clone(),
            network: network.spec.name.clone(),
            mine,
            theirs,
            other: other.unwrap_or_default(),
        });
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
    }
    for own in &mine.0.addresses {
        if let Some(other) = theirs.1.routes.iter().find(|other| overlap(&other.to, own)) {
            return Some((subnet(own), route(other)));
        }
    }
    None
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}
