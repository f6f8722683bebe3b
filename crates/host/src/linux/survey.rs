//! What edits and drivers need to know of the host beforehand.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pontoon_core::engine::{HostError, HostProfile};
use pontoon_core::ipam::{HostRoute, RouteScope, reserved_prefixes};
use pontoon_core::ports::{PortRange, parse_reserved_ports};
use pontoon_netlink::Socket;
use pontoon_netlink::route::{self, Family, Link, RouteFilter, TABLE_MAIN, links, routes};

use super::firewall::Firewall;
use super::{LINK_GROUP, LinuxHost, REAP_GROUP, error, files};

/// All user ids map to themselves: the user namespace of the boot.
const WHOLE: [&str; 3] = ["0", "0", "4294967295"];

pub(super) fn survey(host: &LinuxHost) -> Result<HostProfile, HostError> {
    let mut socket = host.routes.lend()?;
    let links = links(&mut socket).map_err(|e| error::failed(&e))?;
    let routes = host_routes(&mut socket, &links)?;
    Ok(HostProfile {
        links: links.iter().filter(|link| !is_ours(link)).map(|link| link.name.clone()).collect::<BTreeSet<_>>(),
        reserved: reserved_prefixes(&files::name_servers().unwrap_or_default().text, &routes),
        ipv6: Path::new("/proc/net/if_inet6").exists(),
        nf_tables: Firewall::is_usable()?,
        publishes: publishes(),
        ephemeral: read("/proc/sys/net/ipv4/ip_local_port_range")
            .and_then(|text| PortRange::parse_local(&text).ok())
            .unwrap_or_else(PortRange::default_ephemeral),
        reserved_ports: read("/proc/sys/net/ipv4/ip_local_reserved_ports")
            .and_then(|text| parse_reserved_ports(&text).ok())
            .unwrap_or_default(),
    })
}

pub(super) fn is_ours(link: &Link) -> bool {
    [LINK_GROUP, REAP_GROUP].contains(&link.group)
}

fn host_routes(socket: &mut Socket, links: &[Link]) -> Result<Vec<HostRoute>, HostError> {
    let ours: BTreeSet<u32> = links.iter().filter(|link| is_ours(link)).map(|link| link.index).collect();
    let filter = RouteFilter { family: Family::V4, table: Some(TABLE_MAIN), link: None, protocol: None };
    let routes = routes(socket, &filter).map_err(|e| error::failed(&e))?;
    let foreign = routes.into_iter().filter(|route| !route.link.is_some_and(|link| ours.contains(&link)));
    Ok(foreign
        .map(|route| HostRoute {
            destination: route.destination,
            scope: match route.scope {
                route::RouteScope::Link => RouteScope::Link,
                _ => RouteScope::Other,
            },
        })
        .collect())
}

fn publishes() -> bool {
    let map = read("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(WHOLE)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}
