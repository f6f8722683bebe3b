//! What is around Pontoon in a network namespace: looked at, except for the loopback interface.

use std::fs;

use pontoon_core::engine::HostError;
use pontoon_host::linux::{LINK_GROUP, REAP_GROUP};
use pontoon_netlink::nft::{Hook, Policy, chains, tables};
use pontoon_netlink::route::{Family, Link, LinkChange, Route, RouteFilter, TABLE_MAIN, links, routes};
use pontoon_netlink::{Protocol, Socket};

use crate::Error;

/// The loopback interface of a namespace is always its first.
const LOOPBACK: u32 = 1;
/// Begins the name of our table.
const OURS: &str = "pontoon";
/// The protocol number of routes from router advertisements (`RTPROT_RA`, linux/rtnetlink.h).
const BY_ADVERTISEMENT: u8 = 9;

/// A chain of another firewall that sees forwarded packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChain {
    /// The family and name of its table, such as `ip filter`.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether packets that no rule decides about are lost.
    pub drops: bool,
}

/// Returns the chains of others that forwarded packets pass, in the calling thread's network namespace.
///
/// # Errors
///
/// If the kernel has no nf_tables, or does not let this process look.
pub fn foreign_chains() -> Result<Vec<ForeignChain>, Error> {
    let mut socket = Socket::open(Protocol::Netfilter).map_err(|e| failed("looking at the firewall", &e))?;
    let mut found = Vec::new();
    for table in tables(&mut socket).map_err(|e| failed("looking at the firewall", &e))? {
        if table.name == OURS {
            continue;
        }
        let chains =
            chains(&mut socket, table.family, &table.name).map_err(|e| failed("looking at the firewall", &e))?;
        found.extend(chains.into_iter().filter_map(|chain| {
            let base = chain.base.filter(|base| base.hook == Hook::Forward)?;
            let table = format!("{} {}", format!("{:?}", table.family).to_lowercase(), table.name);
            Some(ForeignChain { table, name: chain.name, drops: base.policy == Policy::Drop })
        }));
    }
    Ok(found)
}

/// An interface of others that takes router advertisements only as long as it does not forward: `accept_ra` is 1
/// (Documentation/networking/ip-sysctl.rst).
///
/// When it begins to forward, the kernel drops the default route that it has by one (`addrconf_fixup_forwarding` in
/// net/ipv6/addrconf.c).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedLink {
    /// Its name.
    pub name: String,
    /// Whether it forwards, so that it takes none now.
    pub forwards: bool,
    /// Whether it has a default route by a router advertisement.
    pub has_default_route: bool,
}

impl AdvertisedLink {
    /// Returns the kernel setting, as sysctl(8) takes it, with which the interface takes advertisements also while it forwards.
    pub fn remedy(&self) -> String {
        // A dot of the name's own is written as a slash (sysctl.d(5)).
        format!("net.ipv6.conf.{}.accept_ra=2", self.name.replace('.', "/"))
    }
}

/// Returns the interfaces of others that are up and take router advertisements only as long as they do not forward, in the
/// calling thread's network namespace.
///
/// # Errors
///
/// If netlink does not answer.
pub fn advertised_links() -> Result<Vec<AdvertisedLink>, Error> {
    let looking = |e| failed("looking at router advertisements", &e);
    let mut socket = Socket::open(Protocol::Route).map_err(looking)?;
    let filter =
        RouteFilter { family: Family::V6, table: Some(TABLE_MAIN), link: None, protocol: Some(BY_ADVERTISEMENT) };
    let routes = routes(&mut socket, &filter).map_err(looking)?;
    let is_default = |route: &&Route| route.destination.prefix_len() == 0 && route.protocol == BY_ADVERTISEMENT;
    let defaults: Vec<Option<u32>> = routes.iter().filter(is_default).map(|route| route.link).collect();
    let listens = |link: &Link| {
        let ours = [LINK_GROUP, REAP_GROUP].contains(&link.group);
        // What arrives at a port belongs to its bridge.
        let own = link.up && link.index != LOOPBACK && link.port.is_none() && !ours;
        own && setting(&link.name, "accept_ra") == Some(1) && setting(&link.name, "disable_ipv6") == Some(0)
    };
    let found = links(&mut socket).map_err(looking)?.into_iter().filter(listens);
    Ok(found
        .map(|link| AdvertisedLink {
            forwards: setting(&link.name, "forwarding") == Some(1),
            has_default_route: defaults.contains(&Some(link.index)),
            name: link.name,
        })
        .collect())
}

/// Returns an IPv6 setting of an interface, if the kernel has it.
fn setting(link: &str, name: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{link}/{name}")).ok()?.trim().parse().ok()
}

/// Sets the loopback interface of the calling thread's network namespace up.
///
/// # Errors
///
/// If privileges are missing.
pub fn loopback_up() -> Result<(), Error> {
    let mut socket = Socket::open(Protocol::Route).map_err(|e| failed("setting lo up", &e))?;
    let up = LinkChange { up: Some(true), ..LinkChange::new(LOOPBACK) };
    socket.request(&up.set()).map_err(|e| failed("setting lo up", &e))
}

fn failed(what: &str, error: &pontoon_netlink::Error) -> Error {
    let errno = error.errno().unwrap_or_default();
    HostError::Kernel { errno, text: format!("{what}: {error}") }.into()
}
