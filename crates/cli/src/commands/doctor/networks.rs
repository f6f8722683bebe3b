//! Networks against the host's own routes and MTU.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pontoon::{Controller, NetworkRecord, label};

use super::{Finding, read};
use crate::errors::Failure;

/// What the bridges of networks are called by default.
const BRIDGE: &str = "pn-";

/// A route of the host.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    to: IpNet,
    interface: String,
}

/// Compares every network with the host's routes, and its MTU with that of the way out.
pub(super) fn find(controller: &Controller) -> Result<Vec<Finding>, Failure> {
    let mut routes = read("/proc/thread-self/net/route").map(|text| routes4(&text)).unwrap_or_default();
    routes.extend(read("/proc/thread-self/net/ipv6_route").map(|text| routes6(&text)).unwrap_or_default());
    let mut findings = Vec::new();
    let networks = controller.networks();
    for network in &networks {
        let record = network.info()?;
        findings.extend(conflicts(&record, &routes));
        findings.extend(mtu(&record, &routes));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(match networks.len() {
            0 => "networks: none".to_owned(),
            count => format!("networks: {count}, none in the way of the host's routes"),
        }));
    }
    Ok(findings)
}

fn conflicts(record: &NetworkRecord, routes: &[Route]) -> Vec<Finding> {
    let bridge = bridge(record);
    let foreign =
        |route: &&Route| route.to.prefix_len() > 0 && route.interface != bridge && !route.interface.starts_with(BRIDGE);
    let mut findings = Vec::new();
    for pool in &record.pools {
        let overlaps = |route: &&Route| route.to.contains(&pool.prefix) || pool.prefix.contains(&route.to);
        findings.extend(routes.iter().filter(foreign).filter(overlaps).map(|route| {
            Finding::wrong(
                format!(
                    "networks: subnet {} of {} overlaps the host's route to {} on {}",
                    pool.prefix, record.spec.name, route.to, route.interface
                ),
                "make the network again with another --subnet",
            )
        }));
    }
    findings
}

/// The name that was asked for, or `pn-` and the beginning of the id.
fn bridge(record: &NetworkRecord) -> String {
    let named = record.config.get("bridge").and_then(|name| name.as_str());
    named.map_or_else(|| format!("{BRIDGE}{}", record.id.short()), str::to_owned)
}

/// Packets that are too long for the way out are lost where path MTU discovery does not work.
fn mtu(record: &NetworkRecord, routes: &[Route]) -> Option<Finding> {
    let way_out = routes.iter().find(|route| route.to.prefix_len() == 0)?;
    let theirs: u64 = read(&format!("/sys/class/net/{}/mtu", way_out.interface))?.parse().ok()?;
    let ours = record.config.get("mtu")?.as_u64()?;
    (!record.spec.internal && ours > theirs).then(|| {
        Finding::wrong(
            format!(
                "networks: {} has an MTU of {ours}, the way out on {} has {theirs}",
                record.spec.name, way_out.interface
            ),
            format!("make the network again with -o {}={theirs}", label::MTU),
        )
    })
}

/// The columns of /proc/net/route: interface, destination, gateway, flags, ..., mask as the eighth; numbers as the machine
/// has them in memory (proc_pid_net(5)).
fn routes4(text: &str) -> Vec<Route> {
    let address = |word: &str| Some(Ipv4Addr::from(u32::from_str_radix(word, 16).ok()?.to_ne_bytes()));
    let route = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let mask = address(words.get(7)?)?;
        let to = IpNet::with_netmask(IpAddr::V4(address(words.get(1)?)?), IpAddr::V4(mask)).ok()?;
        Some(Route { to, interface: (*words.first()?).to_owned() })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// The columns of /proc/net/ipv6_route: destination, its length, ..., interface as the last.
fn routes6(text: &str) -> Vec<Route> {
    let route = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
        let length = u8::from_str_radix(words.get(1)?, 16).ok()?;
        let to = IpNet::new(IpAddr::V6(address), length).ok()?;
        let interface = (*words.last()?).to_owned();
        // Every interface has these two, and lo stands for what is unreachable and for the host's own addresses.
        let ordinary = interface != "lo" && !address.is_unicast_link_local() && !address.is_multicast();
        ordinary.then_some(Route { to, interface })
    };
    text.lines().filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(routes: &[Route]) -> String {
        routes.iter().map(|route| format!("{} {}\n", route.to, route.interface)).collect()
    }

    #[test]
    fn routes_are_read() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(show(&routes4(text)), "0.0.0.0/0 eth0\n172.17.0.0/16 eth0\n");
        }
        let text = "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
                    fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n";
        assert_eq!(show(&routes6(text)), "2001:db8::/64 eth0\n");
    }
}
