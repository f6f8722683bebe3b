//! Addresses and routes.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_core::engine::HostError;
use pontoon_core::model::{IfName, is_link_local};
use pontoon_core::objects::{Address, Object, Place, Route};

use super::world::{
    Assigned, EEXIST, EHOSTUNREACH, EINVAL, ENETUNREACH, ENODEV, Netns, Static, World, errno, foreign, missing,
};

impl World {
    pub(super) fn add_address(&mut self, address: &Address) -> Result<(), HostError> {
        let netns = self.enter(address.place)?;
        let link = netns.links.get(&address.link).ok_or_else(|| no_link(address.place, &address.link))?;
        let v6 = address.prefix.addr().is_ipv6();
        if v6 && let Some((number, _)) = link.without_ipv6() {
            return Err(errno(number));
        }
        let on_link = || netns.addresses.iter().filter(|present| present.link == address.link);
        if let Some(present) = on_link().find(|present| present.prefix == address.prefix) {
            return if present.ours { Ok(()) } else { Err(foreign(Object::Address(address.clone()).to_string())) };
        }
        // IPv4 allows one address with two lengths of its subnet, IPv6 does not.
        if v6 && on_link().any(|present| present.prefix.addr() == address.prefix.addr()) {
            return Err(errno(EEXIST));
        }
        if address.place != Place::Host
            && let Some(route) = netns.competing(address)
        {
            return Err(HostError::RouteConflict { address: address.prefix, route });
        }
        netns.addresses.push(Assigned { link: address.link.clone(), prefix: address.prefix, ours: true });
        Ok(())
    }

    pub(super) fn remove_address(&mut self, address: &Address) {
        let Some(key) = self.key(address.place) else { return };
        let Some(netns) = self.netns.get_mut(&key) else { return };
        let is_it = |present: &Assigned| present.link == address.link && present.prefix == address.prefix;
        if netns.addresses.iter().any(|present| present.ours && is_it(present)) {
            netns.delete_address(&address.link, address.prefix);
        }
    }

    pub(super) fn add_route(&mut self, route: &Route) -> Result<(), HostError> {
        let netns = self.enter(route.place)?;
        let new = netns.check_route(route)?;
        match netns.holder(&new) {
            Some(present) if !present.ours => Err(foreign(Object::Route(route.clone()).to_string())),
            Some(present) if present.via == new.via && present.link == new.link => Ok(()),
            Some(_) => Err(errno(EEXIST)),
            None => {
                netns.routes.push(new);
                Ok(())
            }
        }
    }

    /// Replaces a route at once, as the kernel does; one that is gone comes back.
    pub(super) fn change_route(&mut self, to: &Route) -> Result<(), HostError> {
        let netns = self.enter(to.place)?;
        let new = netns.check_route(to)?;
        if netns.holder(&new).is_some_and(|present| !present.ours) {
            return Err(foreign(Object::Route(to.clone()).to_string()));
        }
        netns.routes.retain(|present| present.to != new.to);
        netns.routes.push(new);
        Ok(())
    }

    pub(super) fn remove_route(&mut self, route: &Route) {
        let Some(key) = self.key(route.place) else { return };
        if let Some(netns) = self.netns.get_mut(&key) {
            let to = if route.to.addr().is_ipv6() { route.to.trunc() } else { route.to };
            netns.routes.retain(|present| !(present.ours && present.to == to));
        }
    }
}

pub(super) fn no_link(place: Place, link: &IfName) -> HostError {
    missing(format!("interface {link} in {place}"))
}

impl Netns {
    /// Deletes an address with what the kernel deletes along (`__inet_del_ifa`, `fib_del_ifaddr`).
    pub(super) fn delete_address(&mut self, link: &IfName, prefix: IpNet) {
        let subnet = |address: &Assigned| address.link == *link && address.prefix.trunc() == prefix.trunc();
        // An IPv4 subnet's first address on a link takes the later ones with it, unless they are promoted.
        let primary = self.addresses.iter().find(|address| subnet(address)).is_some_and(|first| first.prefix == prefix);
        let whole_subnet = prefix.addr().is_ipv4() && primary;
        self.addresses.retain(|address| {
            let is_it = address.link == *link && address.prefix == prefix;
            !(is_it || whole_subnet && subnet(address))
        });
        // A link without any IPv4 address has no IPv4: its routes go. Otherwise routes stay, even those whose gateway
        // nothing reaches any more. IPv6 keeps all of them.
        let is_v4 = |of: &IpNet| of.addr().is_ipv4();
        if is_v4(&prefix) && !self.addresses.iter().any(|address| address.link == *link && is_v4(&address.prefix)) {
            self.routes.retain(|route| route.link != *link || !is_v4(&route.to));
        }
    }

    /// Drops the IPv6 addresses and routes of a link that has no IPv6 any more.
    pub(super) fn drop_ipv6(&mut self, name: &IfName) {
        if self.links.get(name).is_some_and(|link| link.without_ipv6().is_some()) {
            self.addresses.retain(|address| address.link != *name || address.prefix.addr().is_ipv4());
            self.routes.retain(|route| route.link != *name || route.to.addr().is_ipv4());
        }
    }

    /// Returns the route as the kernel would keep it, or its refusal.
    fn check_route(&self, route: &Route) -> Result<Static, HostError> {
        let link = self.links.get(&route.link).ok_or_else(|| no_link(route.place, &route.link))?;
        let v6 = route.to.addr().is_ipv6();
        if route.via.is_some_and(|via| via.is_ipv6() != v6) {
            return Err(errno(EINVAL));
        }
        // IPv4 refuses bits behind the prefix, IPv6 clears them.
        if !v6 && route.to.addr() != route.to.network() {
            return Err(errno(EINVAL));
        }
        let without_ipv6 = if v6 { link.without_ipv6().map(|(_, number)| number) } else { None };
        // An interface without IPv6 half is refused before the gateway is looked at, one that has it switched off after.
        if without_ipv6 == Some(ENODEV) {
            return Err(errno(ENODEV));
        }
        match route.via {
            Some(via) if v6 => self.check_gateway6(via, &route.link)?,
            Some(via) => self.check_gateway4(via, &route.link)?,
            None => {}
        }
        if let Some(number) = without_ipv6 {
            return Err(errno(number));
        }
        Ok(Static { to: route.to.trunc(), via: route.via, link: route.link.clone(), ours: true })
    }

    /// `fib_check_nh_v4_gw`: a route of link scope on this link must lead to it; routes with gateways do not count.
    fn check_gateway4(&self, via: IpAddr, link: &IfName) -> Result<(), HostError> {
        let connected = || self.connected(link);
        if connected().any(|prefix| prefix.prefix_len() < 31 && prefix.broadcast() == via) {
            return Err(errno(EINVAL));
        }
        let own = self.addresses.iter().any(|address| address.link == *link && address.prefix.addr() == via);
        let on_link = self.routes.iter().any(|r| r.link == *link && r.via.is_none() && r.to.contains(&via));
        let reached = own || on_link || connected().any(|prefix| prefix.contains(&via));
        if reached { Ok(()) } else { Err(errno(ENETUNREACH)) }
    }

    /// `ip6_route_check_nh`: the longest match on this link must have no gateway. Link-local ones are always there.
    fn check_gateway6(&self, via: IpAddr, link: &IfName) -> Result<(), HostError> {
        if via.is_multicast() || self.addresses.iter().any(|address| address.prefix.addr() == via) {
            return Err(errno(EINVAL));
        }
        if matches!(via, IpAddr::V6(via) if via.is_unicast_link_local()) {
            return Ok(());
        }
        let connected = self.connected(link).filter(|prefix| prefix.contains(&via));
        let connected = connected.map(|prefix| (prefix.prefix_len(), true));
        let statics = self.routes.iter().filter(|route| route.link == *link && route.to.contains(&via));
        let statics = statics.map(|route| (route.to.prefix_len(), route.via.is_none()));
        let longest = connected.chain(statics).max();
        if longest.is_some_and(|(_, on_link)| on_link) { Ok(()) } else { Err(errno(EHOSTUNREACH)) }
    }

    /// Returns a route of others, other than a default route, by which the subnet of an address is reached over another link.
    fn competing(&self, address: &Address) -> Option<IpNet> {
        let prefix = address.prefix;
        let ours = |link: &IfName| self.addresses.iter().any(|present| present.ours && present.link == *link);
        let connected = self.links.keys().filter(|link| **link != address.link && !ours(link));
        let connected = connected.flat_map(|link| self.connected(link));
        let statics =
            self.routes.iter().filter(|route| !route.ours && route.link != address.link).map(|route| route.to);
        let mut routes = connected.chain(statics).filter(|to| to.prefix_len() > 0 && !is_link_local(prefix.addr()));
        routes.find(|to| to.contains(&prefix.addr()) || prefix.contains(&to.network()))
    }

    /// Returns the prefixes that a link's addresses make reachable.
    fn connected(&self, link: &IfName) -> impl Iterator<Item = IpNet> {
        let of_link = self.addresses.iter().filter(move |address| address.link == *link);
        of_link.map(|address| address.prefix.trunc()).filter(|prefix| prefix.prefix_len() < prefix.max_prefix_len())
    }

    /// Returns the route that has the place of a new one, of whatever link. Those that IPv4 addresses bring count; those
    /// of IPv6 addresses have another metric.
    fn holder(&self, new: &Static) -> Option<Static> {
        let present = self.routes.iter().find(|route| route.to == new.to);
        let connected = || {
            let link = self.links.keys().find(|link| self.connected(link).any(|prefix| prefix == new.to))?;
            new.to.addr().is_ipv4().then(|| Static { to: new.to, via: None, link: link.clone(), ours: false })
        };
        present.cloned().or_else(connected)
    }
}
