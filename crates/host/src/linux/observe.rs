//! What exists on the host with our mark.

use std::collections::{BTreeMap, HashMap};

use pontoon_core::engine::{Counters, HostError, Query};
use pontoon_core::model::{IfName, MacAddr, Mtu, NamespaceSource, SandboxId};
use pontoon_core::objects::{
    Address, Bridge, Flaw, Key, Namespace, Object, Objects, Place, Redirect, Route, Sysctl, Veth,
};
use pontoon_netlink::Socket;
use pontoon_netlink::route::{self, Family, Link, RouteFilter, RouteKind, TABLE_MAIN, addresses, links, routes};

use super::bridges::setting;
use super::namespaces;
use super::veths::{Told, read_alias};
use super::{LINK_GROUP, LinuxHost, PROTOCOL, REAP_GROUP, error, files, limits, redirect, sysctls};

pub(super) fn observe(host: &LinuxHost, query: &Query) -> Result<Objects, HostError> {
    let mut objects = Objects::new();
    // Before reading: what leaves this list meanwhile is not there any more.
    let leaving = host.reaper.leaving();
    let mut namespaces = host.files.present(&query.sandboxes)?;
    namespaces.retain(|namespace| !leaving.contains(&*namespace.sandbox.short()));
    let mut outside = Scene::read(&mut *host.routes.lend()?)?;
    for link in outside.links.iter_mut().filter(|link| leaving.contains(&link.name)) {
        link.group = REAP_GROUP;
    }
    let mut inside = HashMap::new();
    for namespace in &namespaces {
        objects.set(namespace.clone());
        if query.sandboxes.contains(&namespace.sandbox) && namespace.source != NamespaceSource::Host {
            match look_into(host, namespace) {
                Ok(scene) => drop(inside.insert(namespace.sandbox, scene)),
                // Removed by another thread a moment ago.
                Err(HostError::Missing { .. }) => drop(objects.remove(&Key::Namespace(namespace.sandbox))),
                Err(error) => return Err(error),
            }
        }
    }
    // A Pontoon inside a sandbox finds addresses with its own mark on the interface that leads out: they are another's.
    outside.layer3(Place::Host, &|link| link.group == LINK_GROUP).into_iter().for_each(|o| objects.set(o));
    for (sandbox, scene) in &inside {
        scene.redirect.iter().for_each(|port| objects.set(Redirect { sandbox: *sandbox, port: *port }));
        let lives = |link: &Link| !outside.waits_to_be_deleted(link);
        scene.layer3(Place::Sandbox(*sandbox), &lives).into_iter().for_each(|o| objects.set(o));
    }
    for link in outside.links.iter().filter(|link| link.group == LINK_GROUP) {
        match link.kind.as_deref() {
            Some("bridge") => bridge(link).into_iter().for_each(|bridge| objects.set(bridge)),
            Some("veth") => veth(link, &outside, &inside, query).into_iter().for_each(|veth| objects.set(veth)),
            _ => {}
        }
    }
    limits::observe(&mut *host.routes.lend()?, &outside.links, &mut objects)?;
    host.firewall.observe()?.into_iter().for_each(|object| objects.set(object));
    host.held.list().into_iter().for_each(|held| objects.set(held));
    files::present(&host.files, query)?.into_iter().for_each(|file| objects.set(file));
    for key in &query.unmarked {
        unmarked(host, key)?.into_iter().for_each(|object| objects.set(object));
    }
    Ok(objects)
}

/// Reads what the interfaces of a sandbox have passed.
pub(super) fn counters(host: &LinuxHost, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError> {
    let mut open = namespaces::open(&host.files, &host.visitor, sandbox)?;
    let listed = route::counters(&mut open.socket).map_err(|e| error::failed(&e))?;
    Ok(listed.into_iter().map(|(name, of)| (name, passed(of))).collect())
}

fn passed(of: route::Counters) -> Counters {
    Counters {
        rx_bytes: of.rx_bytes,
        rx_packets: of.rx_packets,
        rx_dropped: of.rx_dropped,
        rx_errors: of.rx_errors,
        tx_bytes: of.tx_bytes,
        tx_packets: of.tx_packets,
        tx_dropped: of.tx_dropped,
        tx_errors: of.tx_errors,
    }
}

fn look_into(host: &LinuxHost, namespace: &Namespace) -> Result<Scene, HostError> {
    let mut open = namespaces::open(&host.files, &host.visitor, namespace.sandbox)?;
    let redirect = redirect::observe(host, &open)?;
    Ok(Scene { redirect, ..Scene::read(&mut open.socket)? })
}

fn unmarked(host: &LinuxHost, key: &Key) -> Result<Option<Object>, HostError> {
    let Key::Sysctl(place, name) = key else { return Ok(None) };
    if matches!(place, Place::Sandbox(id) if !host.files.is_kept(*id)) {
        return Ok(None);
    }
    let value = sysctls::read(&host.files, &host.visitor, *place, name)?;
    Ok(value.map(|value| Sysctl::found(*place, name.clone(), value).into()))
}

/// The links of one namespace, and the addresses and routes with our mark.
struct Scene {
    links: Vec<Link>,
    addresses: Vec<route::Address>,
    routes: Vec<route::Route>,
    /// The port to which questions to the resolver go.
    redirect: Option<u16>,
}

impl Scene {
    fn read(socket: &mut Socket) -> Result<Self, HostError> {
        let failed = |e: pontoon_netlink::Error| error::failed(&e);
        let mut scene = Self {
            links: links(socket).map_err(failed)?,
            addresses: addresses(socket, None).map_err(failed)?,
            routes: Vec::new(),
            redirect: None,
        };
        scene.addresses.retain(|address| address.protocol == PROTOCOL);
        for family in [Family::V4, Family::V6] {
            let filter = RouteFilter { family, table: Some(TABLE_MAIN), link: None, protocol: Some(PROTOCOL) };
            let present = routes(socket, &filter).map_err(failed)?;
            // Kernels without strict checking list all.
            scene.routes.extend(present.into_iter().filter(|route| route.protocol == PROTOCOL));
        }
        Ok(scene)
    }

    fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    fn layer3(&self, place: Place, lives: &dyn Fn(&Link) -> bool) -> Vec<Object> {
        let by_index: HashMap<u32, IfName> = self
            .links
            .iter()
            .filter(|link| lives(link))
            .filter_map(|link| Some((link.index, IfName::new(link.name.as_str()).ok()?)))
            .collect();
        let addresses = self.addresses.iter().filter_map(|address| {
            let link = by_index.get(&address.link)?.clone();
            Some(Object::from(Address { place, link, prefix: address.prefix }))
        });
        let unicast = self.routes.iter().filter(|route| route.kind == RouteKind::Unicast);
        let routes = unicast.filter_map(|route| {
            let link = by_index.get(&route.link?)?.clone();
            Some(Object::from(Route { place, to: route.destination, via: route.gateway, link }))
        });
        addresses.chain(routes).collect()
    }

    /// Whether a link of a sandbox is the other end of one that is as good as deleted.
    fn waits_to_be_deleted(&self, theirs: &Link) -> bool {
        let other = theirs.peer.and_then(|index| self.link(index));
        other.is_some_and(|link| link.group == REAP_GROUP && link.peer == Some(theirs.index))
    }
}

fn bridge(link: &Link) -> Option<Bridge> {
    let value = |family, name| setting(family, &link.name, name);
    let accepts_routers = value("ipv6", "accept_ra").is_some_and(|value| value != "0");
    let ipv6 = value("ipv6", "disable_ipv6").as_deref() == Some("0");
    Some(Bridge {
        name: IfName::new(link.name.as_str()).ok()?,
        mac: mac(link).unwrap_or_else(no_mac),
        mtu: mtu(link.mtu)?,
        route_localnet: value("ipv4", "route_localnet").as_deref() == Some("1"),
        ipv6,
        flaw: match link.up {
            false => Some(Flaw::Down),
            true => (ipv6 && accepts_routers).then_some(Flaw::AcceptsRouters),
        },
    })
}

fn mac(link: &Link) -> Option<MacAddr> {
    link.mac.and_then(|mac| MacAddr::new(mac).ok())
}

/// What no interface of ours has.
fn no_mac() -> MacAddr {
    MacAddr::draw(|bytes| bytes.fill(0))
}

/// What the other end says is looked up in the sandbox where the query goes there, and believed otherwise.
fn veth(link: &Link, outside: &Scene, inside: &HashMap<SandboxId, Scene>, query: &Query) -> Option<Veth> {
    let name = IfName::new(link.name.as_str()).ok()?;
    let mut flaw = (!link.up).then_some(Flaw::Down);
    let told = link.alias.as_deref().and_then(read_alias);
    // Without an alias it was made in a moment that a crash cut short: enough to remove it.
    let Told { sandbox, mut peer, mut mac, advertise } = told.unwrap_or_else(|| {
        flaw = Some(Flaw::Unfinished);
        let sandbox = SandboxId::draw(|bytes| bytes.fill(0));
        Told { sandbox, peer: name.clone(), mac: no_mac(), advertise: None }
    });
    let mut link_mtu = link.mtu;
    if let Some(scene) = inside.get(&sandbox) {
        let other = link.peer.and_then(|index| scene.link(index)).filter(|other| other.peer == Some(link.index));
        match other {
            Some(other) => {
                peer = IfName::new(other.name.as_str()).unwrap_or(peer);
                mac = self::mac(other).unwrap_or(mac);
                let unequal = (other.mtu != link.mtu).then_some(Flaw::UnequalMtu);
                link_mtu = other.mtu;
                flaw = flaw.or((!other.up).then_some(Flaw::PeerDown)).or(unequal);
            }
            None => flaw = Some(Flaw::PeerLost),
        }
    } else if query.sandboxes.contains(&sandbox) {
        // The sandbox's namespace is gone, or another has taken its place: wherever the other end is, it is not there.
        flaw = Some(Flaw::PeerLost);
    }
    let bridge = link.master.and_then(|master| outside.link(master));
    let port = link.port.unwrap_or_default();
    Some(Veth {
        name,
        bridge: bridge.and_then(|bridge| IfName::new(bridge.name.as_str()).ok()),
        mtu: mtu(link_mtu)?,
        sandbox,
        peer,
        mac,
        isolated: port.isolated,
        hairpin: port.hairpin,
        advertise,
        flaw,
    })
}

fn mtu(bytes: u32) -> Option<Mtu> {
    Mtu::try_from(i64::from(bytes)).ok()
}
