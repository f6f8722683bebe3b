//! Routes that others have in a sandbox, and that addresses of ours would compete with.

use std::collections::BTreeSet;

use ipnet::IpNet;
use pontoon_core::engine::HostError;
use pontoon_core::model::is_link_local;
use pontoon_core::objects::Address;
use pontoon_netlink::Socket;
use pontoon_netlink::route::{Family, Route, RouteFilter, TABLE_MAIN, addresses, routes};

use super::{PROTOCOL, error};

/// Routes of others, listed once for each family that is needed.
#[derive(Default)]
pub(super) struct Foreign([Option<Vec<Route>>; 2]);

impl Foreign {
    /// Refuses an address whose subnet is reached over another interface already: packets would go one way or the other.
    /// Default routes lead everywhere and are no conflict; link-local addresses are on every link.
    pub(super) fn check(&mut self, socket: &mut Socket, address: &Address, link: u32) -> Result<(), HostError> {
        let prefix = address.prefix;
        if is_link_local(prefix.addr()) {
            return Ok(());
        }
        let present = &mut self.0[usize::from(prefix.addr().is_ipv6())];
        let routes = match present {
            Some(routes) => routes,
            None => present.insert(list(socket, prefix)?),
        };
        let conflict = routes.iter().find(|route| {
            let elsewhere = route.link != Some(link);
            elsewhere && (route.destination.contains(&prefix.addr()) || prefix.contains(&route.destination.network()))
        });
        match conflict {
            Some(route) => Err(HostError::RouteConflict { address: prefix, route: route.destination }),
            None => Ok(()),
        }
    }
}

/// Lists what leads somewhere in a namespace and is not there because of us.
fn list(socket: &mut Socket, like: IpNet) -> Result<Vec<Route>, HostError> {
    let family = if like.addr().is_ipv6() { Family::V6 } else { Family::V4 };
    let filter = RouteFilter { family, table: Some(TABLE_MAIN), link: None, protocol: None };
    let mut listed = routes(socket, &filter).map_err(|e| error::failed(&e))?;
    let present = addresses(socket, None).map_err(|e| error::failed(&e))?;
    let ours: BTreeSet<u32> = present.iter().filter(|one| one.protocol == PROTOCOL).map(|one| one.link).collect();
    // The kernel's own are those of subnets that addresses bring.
    let because_of_us = |route: &Route| {
        route.protocol == PROTOCOL
            || route.protocol == libc::RTPROT_KERNEL && route.link.is_some_and(|link| ours.contains(&link))
    };
    listed.retain(|route| route.destination.prefix_len() > 0 && !because_of_us(route));
    Ok(listed)
}
