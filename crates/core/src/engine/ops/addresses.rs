//! Which pools a network gets, and which addresses an endpoint.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::drivers::ErasedDriver;
use crate::engine::{Draft, HostProfile, State};
use crate::error::{Error, NetworkError};
use crate::ipam::{
    DefaultPools, Family, IpamError, Order, Pool, PoolStatus, PoolText, Subnet, SubnetQuery, check_auxiliary,
    check_overlap, choose_address, choose_gateway, choose_subnet, parse_pool,
};
use crate::model::{EndpointSpec, Network, NetworkPool, NetworkSpec, PoolSpec, label};

/// Returns the pools of a new network, IPv4 first.
pub(super) fn pools(
    draft: &Draft<'_>,
    network: &Network,
    driver: &dyn ErasedDriver,
    (host, defaults): (&HostProfile, &DefaultPools),
) -> Result<Vec<NetworkPool>, Error> {
    let spec = &network.spec;
    match spec.ipam.driver.as_str() {
        "default" => {}
        "null" => return null_pools(spec),
        other => return Err(NetworkError::NoIpam { driver: other.to_owned() }.into()),
    }
    let mut taken = draft.state().pools();
    let mut pools = Vec::new();
    for (on, family, asked) in [(spec.ipv4, Family::V4, &spec.ipam.v4), (spec.ipv6, Family::V6, &spec.ipam.v6)] {
        check_family(family, on, asked)?;
        let gateway = driver.needs_gateway(network, family == Family::V6)?;
        let automatic = [PoolSpec::default()];
        let asked = if asked.is_empty() { &automatic[..] } else { asked };
        for one in asked.iter().filter(|_| on) {
            let pool = choose_pool(family, one, &taken, host, defaults)?;
            taken.push(pool);
            pools.push(fill_pool(draft.state(), one, pool, gateway)?);
        }
    }
    Ok(pools)
}

/// A pool of a family that is switched off would never be used, and IPv4 in IPv6's form would be a pool of the other family.
fn check_family(family: Family, on: bool, asked: &[PoolSpec]) -> Result<(), IpamError> {
    let wrong = |subnet: &IpNet| match Family::of_prefix(subnet) {
        written if written != Family::of(subnet.network()) => Some("it maps IPv4 addresses, write them as IPv4"),
        written if written != family || !on => Some("the network must have its family switched on"),
        _ => None,
    };
    let found = asked.iter().filter_map(|pool| pool.subnet).find_map(|subnet| Some((subnet, wrong(&subnet)?)));
    match found {
        Some((subnet, expected)) => Err(IpamError::InvalidPool { value: subnet.to_string(), expected }),
        None => Ok(()),
    }
}

/// The `null` address manager hands out nothing and takes no wishes.
fn null_pools(spec: &NetworkSpec) -> Result<Vec<NetworkPool>, Error> {
    match spec.ipam.v4.iter().chain(&spec.ipam.v6).find_map(|pool| pool.subnet) {
        None => Ok(Vec::new()),
        Some(subnet) => Err(IpamError::InvalidPool {
            value: subnet.to_string(),
            expected: "null ipam driver does not handle specific address pool requests",
        }
        .into()),
    }
}

fn choose_pool(
    family: Family,
    asked: &PoolSpec,
    taken: &[Pool],
    host: &HostProfile,
    defaults: &DefaultPools,
) -> Result<Pool, IpamError> {
    let text = |value: Option<String>| value.unwrap_or_default();
    let request = parse_pool(
        family,
        &PoolText {
            subnet: text(asked.subnet.map(|prefix| prefix.to_string())),
            range: text(asked.range.map(|prefix| prefix.to_string())),
            gateway: text(asked.gateway.map(|address| address.to_string())),
        },
    )?;
    match request.subnet {
        Subnet::Static(pool) => check_overlap(&pool, taken).map(|()| pool),
        Subnet::Dynamic { family, size } => {
            let allocated: Vec<IpNet> = taken.iter().map(|pool| pool.prefix).collect();
            let query = SubnetQuery { family, size, allocated: &allocated, reserved: &host.reserved };
            choose_subnet(defaults, &query).map(Pool::whole)
        }
    }
}

/// Takes the auxiliary addresses and the gateway's, if there is to be one.
fn fill_pool(state: &State, asked: &PoolSpec, pool: Pool, gateway: bool) -> Result<NetworkPool, IpamError> {
    let mut used = state.addresses_in(pool.prefix);
    let mut filled = NetworkPool { prefix: pool.prefix, range: pool.sub, gateway: None, aux: asked.aux.clone() };
    // What is named comes before what is chosen.
    for (name, address) in &asked.aux {
        check_auxiliary(&used, &pool, name, &address.to_string())?;
        used.insert(*address);
    }
    if gateway || asked.gateway.is_some() {
        filled.gateway = Some(choose_gateway(&used, &pool, asked.gateway)?);
    }
    Ok(filled)
}

/// Returns the addresses of a new endpoint, IPv4 first, and of IPv6 only if it has that at all.
pub(super) fn of_endpoint(
    draft: &Draft<'_>,
    network: &Network,
    spec: &EndpointSpec,
    ipv6: bool,
) -> Result<Vec<IpNet>, Error> {
    let mut addresses = Vec::new();
    let wanted4 = spec.ipv4.map(IpAddr::V4);
    let wanted6 = spec.ipv6.map(IpAddr::V6);
    for (on, v6, wanted) in [(network.spec.ipv4, false, wanted4), (network.spec.ipv6 && ipv6, true, wanted6)] {
        match (on, wanted) {
            (true, wanted) => addresses.push(choose(draft.state(), network, v6, wanted)?),
            (false, Some(address)) => return Err(elsewhere(network, address).into()),
            (false, None) => {}
        }
    }
    Ok(addresses)
}

fn elsewhere(network: &Network, address: IpAddr) -> IpamError {
    match network.pools.first() {
        Some(pool) => IpamError::OutOfRange { address, pool: pool.prefix },
        None => IpamError::InvalidAddress {
            what: "address of an endpoint without pools".to_owned(),
            value: address.to_string(),
        },
    }
}

fn choose(state: &State, network: &Network, v6: bool, wanted: Option<IpAddr>) -> Result<IpNet, IpamError> {
    let of_family = network.pools.iter().filter(|pool| pool.prefix.addr().is_ipv6() == v6);
    let mut refused = None;
    for pool in of_family {
        if wanted.is_some_and(|address| !pool.prefix.contains(&address)) {
            continue;
        }
        let mut used = state.addresses_in(pool.prefix);
        if wanted.is_none() {
            // Whoever is the router of a static route asks for that address.
            let routers = network.spec.routes.iter().filter_map(|route| route.via);
            for router in routers.filter(|router| pool.prefix.contains(router)) {
                used.insert(router);
            }
        }
        let pool = Pool { prefix: pool.prefix, sub: pool.range };
        match choose_address(&used, &pool, wanted, order(state, network, &pool)) {
            Ok(address) => return Ok(pool.with_length(address)),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| elsewhere(network, wanted.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)))))
}

/// Serial allocation continues after the address given last. After a restart it begins anew, as upstream's does.
fn order(state: &State, network: &Network, pool: &Pool) -> Order {
    let serial = network.spec.ipam.options.get(label::IPAM_SERIAL).is_some_and(|value| value == "true");
    if serial { Order::Serial { after: state.last_given(pool.prefix) } } else { Order::Lowest }
}

pub(super) fn status(state: &State, pool: &NetworkPool) -> PoolStatus {
    crate::ipam::status(&state.addresses_in(pool.prefix), &Pool { prefix: pool.prefix, sub: pool.range })
}
