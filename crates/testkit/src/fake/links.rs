//! Namespaces, bridges and pairs of interfaces.

use pontoon_core::engine::HostError;
use pontoon_core::model::{IfName, NamespaceSource, SandboxId};
use pontoon_core::objects::{Bridge, Flaw, Namespace, Object, Place, Veth};

use super::settings;
use super::world::{EEXIST, EOPNOTSUPP, Kind, Link, Netns, NetnsKey, Port, World, errno, foreign, key_of, missing};

impl World {
    pub(super) fn add_namespace(&mut self, namespace: &Namespace) -> Result<(), HostError> {
        match self.sandboxes.get(&namespace.sandbox) {
            Some(present) if present == namespace && self.netns.contains_key(&key_of(present)) => return Ok(()),
            Some(_) => return Err(errno(EEXIST)),
            None => {}
        }
        let key = key_of(namespace);
        match &namespace.source {
            NamespaceSource::New => {
                let mut netns = Netns::new(settings::defaults());
                netns.set("net.ipv6.conf.default.accept_ra", "0");
                netns.set("net.ipv6.conf.default.disable_ipv6", "1");
                self.netns.insert(key, netns);
            }
            NamespaceSource::Later => return Err(missing(namespace.to_string())),
            NamespaceSource::Adopted(path) if !self.netns.contains_key(&key) => {
                return Err(missing(format!("namespace {path}")));
            }
            NamespaceSource::Adopted(_) | NamespaceSource::Host => {}
        }
        self.sandboxes.insert(namespace.sandbox, namespace.clone());
        Ok(())
    }

    /// One that was made dies; another only loses its file.
    pub(super) fn remove_namespace(&mut self, sandbox: SandboxId) {
        if let Some(namespace) = self.sandboxes.remove(&sandbox)
            && namespace.source == NamespaceSource::New
        {
            self.destroy(&key_of(&namespace));
        }
    }

    /// A bridge keeps the MTU that it is given. (One whose MTU nobody ever changed after it was made takes the least of its
    /// ports': a host must change it once.)
    pub(super) fn add_bridge(&mut self, bridge: &Bridge) -> Result<(), HostError> {
        match self.link(&NetnsKey::Host, &bridge.name) {
            Some(present) if !present.ours => return Err(taken(&bridge.name)),
            Some(_) => return self.same(&Object::Bridge(bridge.clone())),
            None => {}
        }
        let link = Link { ours: true, ..Link::new(Kind::Bridge, bridge.mtu) };
        self.host().insert(bridge.name.clone(), link);
        self.change_bridge(bridge)
    }

    pub(super) fn change_bridge(&mut self, to: &Bridge) -> Result<(), HostError> {
        let link = self.own(&to.name).ok_or_else(|| missing(format!("bridge {}", to.name)))?;
        (link.mac, link.mtu) = (Some(to.mac), to.mtu);
        link.set("ipv4.route_localnet", to.route_localnet);
        link.set("ipv6.disable_ipv6", !to.ipv6);
        link.set("ipv6.accept_ra", false);
        self.host().drop_ipv6(&to.name);
        Ok(())
    }

    pub(super) fn add_veth(&mut self, veth: &Veth) -> Result<(), HostError> {
        self.check_bridge(veth.bridge.as_ref())?;
        let inside = Place::Sandbox(veth.sandbox);
        self.enter(inside)?;
        match self.link(&NetnsKey::Host, &veth.name) {
            Some(present) if !present.ours => return Err(taken(&veth.name)),
            Some(_) => return self.same(&Object::Veth(veth.clone())),
            None => {}
        }
        let key = self.key(inside).expect("entered above");
        if self.link(&key, &veth.peer).is_some() || key == NetnsKey::Host && veth.peer == veth.name {
            return Err(errno(EEXIST));
        }
        let kind = |peer, sandbox| Kind::Veth { peer, sandbox, advertise: None };
        let end = |peer, sandbox| Link { ours: true, ..Link::new(kind(peer, sandbox), veth.mtu) };
        let outer = end((key.clone(), veth.peer.clone()), Some(veth.sandbox));
        let inner = end((NetnsKey::Host, veth.name.clone()), None);
        self.host().insert(veth.name.clone(), outer);
        self.enter(inside)?.insert(veth.peer.clone(), inner);
        self.furnish(veth, &key);
        Ok(())
    }

    pub(super) fn change_veth(&mut self, to: &Veth) -> Result<(), HostError> {
        let gone = || missing(format!("interface {} in host", to.name));
        let Some(Link { kind: Kind::Veth { peer: (key, peer), sandbox: Some(sandbox), .. }, .. }) =
            self.own(&to.name).cloned()
        else {
            return Err(gone());
        };
        if sandbox != to.sandbox {
            return Err(HostError::Unsupported { what: format!("moving {} to another sandbox", to.name) });
        }
        self.check_bridge(to.bridge.as_ref())?;
        if peer != to.peer {
            self.rename(&key, &peer, &to.peer)?;
        }
        self.furnish(to, &key);
        Ok(())
    }

    /// Removes a link of ours on the host; a foreign one of that name is not the one that was meant.
    pub(super) fn remove_own_link(&mut self, name: &IfName) {
        if self.own(name).is_some() {
            self.remove_link(&NetnsKey::Host, name);
        }
    }

    fn own(&mut self, name: &IfName) -> Option<&mut Link> {
        self.link_mut(&NetnsKey::Host, name).filter(|link| link.ours)
    }

    /// No bridge is right: that is a repair that is taken back.
    fn check_bridge(&self, name: Option<&IfName>) -> Result<(), HostError> {
        let Some(name) = name else { return Ok(()) };
        match self.link(&NetnsKey::Host, name) {
            None => Err(missing(format!("bridge {name}"))),
            Some(link) if matches!(link.kind, Kind::Bridge) => Ok(()),
            Some(_) => Err(errno(EOPNOTSUPP)),
        }
    }

    /// Adding what is there already succeeds if it is equal.
    fn same(&self, wanted: &Object) -> Result<(), HostError> {
        if self.own_links().any(|present| present == *wanted) { Ok(()) } else { Err(errno(EEXIST)) }
    }

    /// Gives both ends what the object says; a small MTU costs the inner one its IPv6.
    fn furnish(&mut self, veth: &Veth, inside: &NetnsKey) {
        if let Some(outer) = self.own(&veth.name) {
            outer.mtu = veth.mtu;
            outer.up = veth.flaw != Some(Flaw::Down);
            if let Kind::Veth { advertise, .. } = &mut outer.kind {
                *advertise = veth.advertise;
            }
            let (isolated, hairpin) = (veth.isolated, veth.hairpin);
            outer.port = veth.bridge.clone().map(|bridge| Port { bridge, isolated, hairpin });
        }
        if let Some(inner) = self.link_mut(inside, &veth.peer) {
            (inner.mac, inner.mtu) = (Some(veth.mac), veth.mtu);
        }
        self.host().drop_ipv6(&veth.name);
        if let Some(netns) = self.netns.get_mut(inside) {
            netns.drop_ipv6(&veth.peer);
        }
    }

    /// Renames a link; what refers to it follows, as it does by index.
    pub(super) fn rename(&mut self, key: &NetnsKey, from: &IfName, to: &IfName) -> Result<(), HostError> {
        let netns = self.netns.get_mut(key).ok_or_else(|| missing("namespace"))?;
        if netns.links.contains_key(to) {
            return Err(errno(EEXIST));
        }
        let link = netns.links.remove(from).ok_or_else(|| missing(format!("interface {from}")))?;
        netns.addresses.iter_mut().filter(|a| a.link == *from).for_each(|a| a.link = to.clone());
        netns.routes.iter_mut().filter(|r| r.link == *from).for_each(|r| r.link = to.clone());
        for port in netns.links.values_mut().filter_map(|other| other.port.as_mut()) {
            if port.bridge == *from {
                port.bridge = to.clone();
            }
        }
        let other_end = match &link.kind {
            Kind::Veth { peer, .. } => Some(peer.clone()),
            _ => None,
        };
        netns.links.insert(to.clone(), link);
        if let Some((peer_netns, peer)) = other_end
            && let Some(Link { kind: Kind::Veth { peer, .. }, .. }) = self.link_mut(&peer_netns, &peer)
        {
            peer.1 = to.clone();
        }
        Ok(())
    }
}

fn taken(name: &IfName) -> HostError {
    foreign(format!("interface {name}"))
}
