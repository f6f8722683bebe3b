//! What can be seen of the model as objects of ours.

use std::collections::{BTreeMap, BTreeSet};

use pontoon_core::engine::{Counters, HostError, HostProfile, Query};
use pontoon_core::model::{IfName, SandboxId};
use pontoon_core::objects::{Address, Bridge, Flaw, Key, Object, Objects, Place, Redirect, Route, Sysctl, Veth};

use super::world::{Kind, Link, Netns, NetnsKey, World, key_of, missing};

impl World {
    /// Everything of ours on the host, what is inside the named sandboxes, and the named settings. Namespaces and pairs
    /// are found by their marks on the host, whether or not their sandbox is named.
    pub(super) fn observe(&self, query: &Query) -> Objects {
        let mut objects: Objects = self.own_links().chain(self.own_limits()).collect();
        let namespaces = self.sandboxes.values().filter(|namespace| self.netns.contains_key(&key_of(namespace)));
        namespaces.for_each(|namespace| objects.set(namespace.clone()));
        if let Some(table) = &self.table {
            objects.set(table.ruleset.clone());
            table.elements.values().for_each(|present| objects.set(present.element.clone()));
        }
        self.held.iter().for_each(|held| objects.set(held.clone()));
        self.own_files(query).for_each(|file| objects.set(file));
        let inside = query.sandboxes.iter().map(|id| Place::Sandbox(*id));
        for place in [Place::Host].into_iter().chain(inside) {
            match self.key(place) {
                // The host's own things are the host's, whoever shares its namespace.
                Some(NetnsKey::Host) if place != Place::Host => {}
                Some(key) => self.netns[&key].own(place).for_each(|object| objects.set(object)),
                None => {}
            }
        }
        query.unmarked.iter().filter_map(|key| self.unmarked(key)).for_each(|object| objects.set(object));
        objects
    }

    /// The interfaces of a sandbox, which pass nothing here.
    pub(super) fn counters(&self, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError> {
        let key = self.key(Place::Sandbox(sandbox));
        let key = key.ok_or_else(|| missing(format!("the network namespace of sandbox {}", sandbox.short())))?;
        Ok(self.netns[&key].links.keys().map(|name| (name.to_string(), Counters::default())).collect())
    }

    /// Bridges and pairs of ours on the host.
    pub(super) fn own_links(&self) -> impl Iterator<Item = Object> {
        let host = &self.netns[&NetnsKey::Host];
        host.links.iter().filter(|(_, link)| link.ours).filter_map(|(name, link)| self.as_object(name, link))
    }

    fn as_object(&self, name: &IfName, link: &Link) -> Option<Object> {
        match &link.kind {
            Kind::Bridge => Some(Object::Bridge(Bridge {
                name: name.clone(),
                mac: link.mac?,
                mtu: link.mtu,
                route_localnet: link.is_on("ipv4.route_localnet"),
                ipv6: !link.is_on("ipv6.disable_ipv6"),
                flaw: None,
            })),
            Kind::Veth { peer: (netns, peer), sandbox: Some(sandbox), advertise } => Some(Object::Veth(Veth {
                name: name.clone(),
                bridge: link.port.as_ref().map(|port| port.bridge.clone()),
                mtu: link.mtu,
                sandbox: *sandbox,
                peer: peer.clone(),
                mac: self.link(netns, peer)?.mac?,
                isolated: link.port.as_ref().is_some_and(|port| port.isolated),
                hairpin: link.port.as_ref().is_some_and(|port| port.hairpin),
                advertise: *advertise,
                flaw: (!link.up).then_some(Flaw::Down),
            })),
            _ => None,
        }
    }

    fn unmarked(&self, key: &Key) -> Option<Object> {
        let Key::Sysctl(place, name) = key else { return None };
        let value = self.netns[&self.key(*place)?].setting(name)?.to_owned();
        Some(Object::Sysctl(Sysctl::found(*place, name.clone(), value)))
    }

    /// The configured profile, with the links and on-link prefixes that are not ours.
    pub(super) fn survey(&self) -> HostProfile {
        let mut profile = self.profile.clone();
        let host = &self.netns[&NetnsKey::Host];
        let foreign = host.links.iter().filter(|(_, link)| !link.ours);
        profile.links.extend(foreign.map(|(name, _)| name.to_string()).collect::<BTreeSet<_>>());
        let addresses = host.addresses.iter().filter(|address| !address.ours).map(|address| address.prefix.trunc());
        let routes = host.routes.iter().filter(|route| !route.ours && route.via.is_none()).map(|route| route.to);
        profile.reserved.extend(addresses.chain(routes));
        profile
    }
}

impl Netns {
    /// On the host, addresses with our mark on links of others are another Pontoon's, which made the sandbox that we run in.
    fn own(&self, place: Place) -> impl Iterator<Item = Object> {
        let counts = move |link: &IfName| place != Place::Host || self.links.get(link).is_some_and(|link| link.ours);
        let addresses =
            self.addresses.iter().filter(move |address| address.ours && counts(&address.link)).map(move |address| {
                Object::Address(Address { place, link: address.link.clone(), prefix: address.prefix })
            });
        let routes =
            self.routes.iter().filter(move |route| route.ours && counts(&route.link)).map(move |route| {
                Object::Route(Route { place, to: route.to, via: route.via, link: route.link.clone() })
            });
        let redirect = self.redirect.and_then(|port| match place {
            Place::Sandbox(sandbox) => Some(Object::Redirect(Redirect { sandbox, port })),
            Place::Host => None,
        });
        addresses.chain(routes).chain(redirect)
    }
}
