//! What others do to the host: administrators, other programs, the kernel, and death.

use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_core::engine::HostProfile;
use pontoon_core::model::{IfName, Mtu, SandboxId};
use pontoon_core::objects::{Place, Route};
use pontoon_core::ports::PortProto;

use super::FakeHost;
use super::settings;
use super::world::{Assigned, Kind, Link, Netns, NetnsKey, Static, World, key_of};

/// Foreign things and accidents. Each panics if what it needs is not there: the test is wrong then.
impl FakeHost {
    /// Sets what [`survey`](pontoon_core::engine::Observe::survey) says; foreign links and prefixes are added to it.
    pub fn set_profile(&self, profile: HostProfile) {
        self.lock().world.profile = profile;
    }

    /// Adds a foreign interface to the host.
    pub fn add_foreign_link(&self, name: &str) {
        self.add_foreign_link_in(Place::Host, name);
    }

    /// Adds a foreign interface to a place.
    pub fn add_foreign_link_in(&self, place: Place, name: &str) {
        self.within(place, |netns| netns.insert(ifname(name), Link::new(Kind::Other, Mtu::ETHERNET)));
    }

    /// Adds a foreign bridge to the host.
    pub fn add_foreign_bridge(&self, name: &str) {
        self.within(Place::Host, |netns| netns.insert(ifname(name), Link::new(Kind::Bridge, Mtu::ETHERNET)));
    }

    /// Adds a foreign address to an interface.
    pub fn add_foreign_address(&self, place: Place, link: &str, prefix: IpNet) {
        let link = ifname(link);
        self.within(place, |netns| {
            assert!(netns.links.contains_key(&link), "{link} does not exist in {place}");
            netns.addresses.push(Assigned { link, prefix, ours: false });
        });
    }

    /// Adds a foreign route, whether or not its gateway is reachable.
    pub fn add_foreign_route(&self, route: Route) {
        self.within(route.place, |netns| {
            netns.routes.push(Static { to: route.to.trunc(), via: route.via, link: route.link, ours: false });
        });
    }

    /// Makes a foreign namespace at a path, for adoption.
    pub fn add_namespace(&self, path: &str) {
        let netns = Netns::new(settings::defaults());
        self.lock().world.netns.insert(NetnsKey::At(path.to_owned()), netns);
    }

    /// Destroys a foreign namespace.
    pub fn delete_namespace(&self, path: &str) {
        self.lock().world.destroy(&NetnsKey::At(path.to_owned()));
    }

    /// Destroys a sandbox's namespace behind our back, with its file; never the host's.
    pub fn delete_namespace_of(&self, sandbox: SandboxId) {
        let world = &mut self.lock().world;
        let namespace = world.sandboxes.remove(&sandbox).expect("the sandbox has a namespace");
        let key = key_of(&namespace);
        assert_ne!(key, NetnsKey::Host, "the host's namespace is never removed");
        world.destroy(&key);
    }

    /// Writes a setting; on the host it is also what booting sets.
    pub fn set_sysctl(&self, place: Place, name: &str, value: &str) {
        if place == Place::Host {
            self.lock().world.boot_settings.insert(name.to_owned(), value.to_owned());
        }
        self.within(place, |netns| netns.set(name, value));
    }

    /// Returns a setting's value.
    pub fn sysctl(&self, place: Place, name: &str) -> Option<String> {
        self.within(place, |netns| netns.setting(name).map(str::to_owned))
    }

    /// Makes a setting read-only, on the host and in sandboxes: writing it fails with EROFS.
    pub fn make_read_only(&self, name: &str) {
        self.lock().world.read_only.insert(name.to_owned());
    }

    /// Has another program bind a host port; an IPv6 address takes IPv6 only.
    pub fn occupy(&self, ip: IpAddr, port: u16, proto: PortProto) {
        self.lock().world.occupied.insert((proto, ip, port));
    }

    /// Has the other program close that socket.
    pub fn vacate(&self, ip: IpAddr, port: u16, proto: PortProto) {
        self.lock().world.occupied.remove(&(proto, ip, port));
    }

    /// Deletes an interface of the host, as `ip link delete` does.
    pub fn delete_link(&self, name: &str) {
        self.delete_link_in(Place::Host, name);
    }

    /// Deletes an interface of a place.
    pub fn delete_link_in(&self, place: Place, name: &str) {
        let world = &mut self.lock().world;
        let key = world.key(place).expect("the place exists");
        world.remove_link(&key, &ifname(name));
    }

    /// Sets the host end of a pair down, as `ip link set NAME down` does.
    pub fn set_down(&self, name: &str) {
        self.within(Place::Host, |host| {
            let link = host.links.get_mut(&ifname(name)).expect("the interface exists");
            assert!(matches!(link.kind, Kind::Veth { .. }), "what a {name} that is down does is not modelled");
            link.up = false;
        });
    }

    /// Takes a port from its bridge, as `ip link set NAME nomaster` does.
    pub fn release_port(&self, name: &str) {
        self.within(Place::Host, |host| host.links.get_mut(&ifname(name)).expect("the interface exists").port = None);
    }

    /// Renames an interface of a place.
    pub fn rename_link(&self, place: Place, from: &str, to: &str) {
        let world = &mut self.lock().world;
        let key = world.key(place).expect("the place exists");
        world.rename(&key, &ifname(from), &ifname(to)).expect("the interface exists and the new name is free");
    }

    /// Deletes an address, as `ip address delete` does.
    pub fn delete_address(&self, place: Place, link: &str, prefix: IpNet) {
        self.within(place, |netns| netns.delete_address(&ifname(link), prefix));
    }

    /// Deletes the routes to a destination.
    pub fn delete_route(&self, place: Place, to: IpNet) {
        self.within(place, |netns| netns.routes.retain(|route| route.to != to));
    }

    /// Does what `nft flush ruleset` does.
    pub fn flush_ruleset(&self) {
        self.lock().world.table = None;
    }

    /// Restarts the kernel: everything of ours is gone, and what others set up is there again, as booting makes it.
    ///
    /// Namespaces for adoption stay, without what we put into them. The [generation](crate::TestEnvironment::reboot)
    /// changes by itself.
    pub fn reboot(&self) {
        self.lock().world.reboot();
    }

    /// Ends the process that holds ports.
    pub fn process_died(&self) {
        self.lock().world.held.clear();
    }

    fn within<T>(&self, place: Place, f: impl FnOnce(&mut Netns) -> T) -> T {
        f(self.lock().world.enter(place).expect("the place exists"))
    }
}

impl World {
    fn reboot(&mut self) {
        let made: Vec<NetnsKey> = self.netns.keys().filter(|key| matches!(key, NetnsKey::Made(_))).cloned().collect();
        made.iter().for_each(|key| self.destroy(key));
        self.sandboxes.clear();
        self.files.clear();
        self.table = None;
        self.held.clear();
        for key in self.netns.keys().cloned().collect::<Vec<_>>() {
            let netns = &self.netns[&key];
            let ours: Vec<IfName> = netns.links.iter().filter(|(_, l)| l.ours).map(|(name, _)| name.clone()).collect();
            ours.iter().for_each(|name| self.remove_link(&key, name));
            let netns = self.netns.get_mut(&key).expect("listed above");
            netns.addresses.retain(|address| !address.ours);
            netns.routes.retain(|route| !route.ours);
        }
        self.boot_settings.clone().iter().for_each(|(name, value)| self.host().set(name, value));
    }
}

fn ifname(name: &str) -> IfName {
    IfName::new(name).expect("a valid interface name")
}
