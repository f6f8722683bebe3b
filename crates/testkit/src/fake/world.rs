//! What the model consists of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_core::engine::{HostError, HostProfile};
use pontoon_core::model::{IfName, MacAddr, Mtu, NamespaceSource, Rate, SandboxId};
use pontoon_core::objects::{Advertise, FileName, Held, Namespace, Place};
use pontoon_core::ports::PortProto;

use super::files::{Etc, Written};
use super::firewall::Table;
use super::settings;

/// The whole host.
#[derive(Clone)]
pub(super) struct World {
    pub(super) netns: BTreeMap<NetnsKey, Netns>,
    /// The namespace files of ours.
    pub(super) sandboxes: BTreeMap<SandboxId, Namespace>,
    /// What containers see.
    pub(super) files: BTreeMap<(SandboxId, FileName), Written>,
    /// The host's own files.
    pub(super) etc: Etc,
    pub(super) table: Option<Table>,
    pub(super) held: Vec<Held>,
    pub(super) occupied: BTreeSet<(PortProto, IpAddr, u16)>,
    pub(super) profile: HostProfile,
    /// The host's settings as booting makes them.
    pub(super) boot_settings: BTreeMap<String, String>,
    /// Settings that cannot be written.
    pub(super) read_only: BTreeSet<String>,
}

/// Tells one namespace from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NetnsKey {
    Host,
    Made(SandboxId),
    At(String),
}

/// A network namespace.
#[derive(Clone)]
pub(super) struct Netns {
    pub(super) links: BTreeMap<IfName, Link>,
    /// In the order they were added: the first of a subnet is its primary one.
    pub(super) addresses: Vec<Assigned>,
    pub(super) routes: Vec<Static>,
    pub(super) settings: BTreeMap<String, String>,
    /// Where questions to the resolver go: the port in the namespace's own table.
    pub(super) redirect: Option<u16>,
}

/// An interface.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) ours: bool,
    /// Host ends of pairs may be down; all others are up.
    pub(super) up: bool,
    pub(super) kind: Kind,
    pub(super) mac: Option<MacAddr>,
    pub(super) mtu: Mtu,
    pub(super) port: Option<Port>,
    /// How fast it sends.
    pub(super) rate: Option<Rate>,
    /// Where everything is led that arrives.
    pub(super) leads_to: Option<IfName>,
    /// Its settings below `net.ipv4.conf` and `net.ipv6.conf`, such as `ipv6.disable_ipv6`.
    pub(super) conf: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Loopback,
    Bridge,
    /// One end of a pair; the host end of one of ours knows the sandbox, and how addresses are announced.
    Veth {
        peer: (NetnsKey, IfName),
        sandbox: Option<SandboxId>,
        advertise: Option<Advertise>,
    },
    /// One that sends what is led to it back to where it came from.
    Ifb,
    Other,
}

/// What a port of a bridge has; gone when it leaves the bridge.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) bridge: IfName,
    pub(super) isolated: bool,
    pub(super) hairpin: bool,
}

/// An address of an interface.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub(super) link: IfName,
    pub(super) prefix: IpNet,
    pub(super) ours: bool,
}

/// A route that somebody added.
#[derive(Clone, Debug)]
pub(super) struct Static {
    pub(super) to: IpNet,
    pub(super) via: Option<IpAddr>,
    pub(super) link: IfName,
    pub(super) ours: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let boot_settings = settings::defaults();
        Self {
            netns: BTreeMap::from([(NetnsKey::Host, Netns::new(boot_settings.clone()))]),
            sandboxes: BTreeMap::new(),
            files: BTreeMap::new(),
            etc: Etc::default(),
            table: None,
            held: Vec::new(),
            occupied: BTreeSet::new(),
            profile: HostProfile::default(),
            boot_settings,
            read_only: BTreeSet::new(),
        }
    }

    /// Returns the namespace of a place, if it is there.
    pub(super) fn key(&self, place: Place) -> Option<NetnsKey> {
        let key = match place {
            Place::Host => NetnsKey::Host,
            Place::Sandbox(id) => key_of(self.sandboxes.get(&id)?),
        };
        self.netns.contains_key(&key).then_some(key)
    }

    /// Returns the namespace of a place, or says that it is missing.
    pub(super) fn enter(&mut self, place: Place) -> Result<&mut Netns, HostError> {
        let key = self.key(place);
        let missing = || match place {
            Place::Host => missing("the host's namespace"),
            Place::Sandbox(id) => missing(format!("namespace of sandbox {}", id.short())),
        };
        key.and_then(|key| self.netns.get_mut(&key)).ok_or_else(missing)
    }

    pub(super) fn host(&mut self) -> &mut Netns {
        self.netns.get_mut(&NetnsKey::Host).expect("the host's namespace is never removed")
    }

    pub(super) fn link(&self, key: &NetnsKey, name: &IfName) -> Option<&Link> {
        self.netns.get(key)?.links.get(name)
    }

    pub(super) fn link_mut(&mut self, key: &NetnsKey, name: &IfName) -> Option<&mut Link> {
        self.netns.get_mut(key)?.links.get_mut(name)
    }

    /// Removes a link with everything that depends on it, and the other end of a pair.
    pub(super) fn remove_link(&mut self, key: &NetnsKey, name: &IfName) {
        let Some(netns) = self.netns.get_mut(key) else { return };
        let Some(link) = netns.links.remove(name) else { return };
        netns.addresses.retain(|address| address.link != *name);
        netns.routes.retain(|route| route.link != *name);
        for other in netns.links.values_mut() {
            if other.port.as_ref().is_some_and(|port| port.bridge == *name) {
                other.port = None;
            }
        }
        if let Kind::Veth { peer: (peer_netns, peer), .. } = link.kind {
            self.remove_link(&peer_netns, &peer);
        }
    }

    /// Destroys a namespace with its links; pairs lose their other ends too.
    pub(super) fn destroy(&mut self, key: &NetnsKey) {
        let names: Vec<IfName> =
            self.netns.get(key).into_iter().flat_map(|netns| netns.links.keys().cloned()).collect();
        names.iter().for_each(|name| self.remove_link(key, name));
        self.netns.remove(key);
    }
}

/// Returns which namespace a namespace file leads to.
pub(super) fn key_of(namespace: &Namespace) -> NetnsKey {
    match &namespace.source {
        NamespaceSource::New => NetnsKey::Made(namespace.sandbox),
        NamespaceSource::Adopted(path) => NetnsKey::At(path.clone()),
        NamespaceSource::Host => NetnsKey::Host,
        NamespaceSource::Later => NetnsKey::At(String::new()),
    }
}

impl Netns {
    pub(super) fn new(settings: BTreeMap<String, String>) -> Self {
        let mut netns =
            Self { links: BTreeMap::new(), addresses: Vec::new(), routes: Vec::new(), settings, redirect: None };
        let lo = IfName::new("lo").expect("lo is a valid interface name");
        netns.insert(lo, Link::new(Kind::Loopback, Mtu::try_from(65_535).expect("in range")));
        netns
    }

    /// Adds a link, which begins with the namespace's default settings.
    pub(super) fn insert(&mut self, name: IfName, mut link: Link) {
        settings::inherit(&self.settings, &mut link.conf);
        self.links.insert(name, link);
    }
}

impl Link {
    pub(super) fn new(kind: Kind, mtu: Mtu) -> Self {
        let conf = BTreeMap::new();
        Self { ours: false, up: true, kind, mac: None, mtu, port: None, rate: None, leads_to: None, conf }
    }

    pub(super) fn is_on(&self, setting: &str) -> bool {
        self.conf.get(setting).is_some_and(|value| value != "0")
    }

    pub(super) fn set(&mut self, setting: &str, on: bool) {
        self.conf.insert(setting.to_owned(), u8::from(on).to_string());
    }

    /// Returns why it cannot have IPv6 addresses, and why routes: the error numbers differ.
    pub(super) fn without_ipv6(&self) -> Option<(i32, i32)> {
        if self.mtu.bytes() < Mtu::MIN_V6 {
            // addrconf_notify, net/ipv6/addrconf.c: the interface's IPv6 half is destroyed.
            Some((EINVAL, ENODEV))
        } else if self.is_on("ipv6.disable_ipv6") {
            Some((EACCES, EACCES))
        } else {
            None
        }
    }
}

pub(super) const ENOENT: i32 = 2;
pub(super) const EACCES: i32 = 13;
pub(super) const EEXIST: i32 = 17;
pub(super) const ENODEV: i32 = 19;
pub(super) const EINVAL: i32 = 22;
pub(super) const EROFS: i32 = 30;
pub(super) const EOPNOTSUPP: i32 = 95;
pub(super) const EADDRNOTAVAIL: i32 = 99;
pub(super) const ENETUNREACH: i32 = 101;
pub(super) const EHOSTUNREACH: i32 = 113;

/// Returns the kernel's refusal of this number.
pub(super) fn errno(errno: i32) -> HostError {
    let error = std::io::Error::from_raw_os_error(errno).to_string();
    let text = error.split(" (os error").next().unwrap_or_default().to_owned();
    HostError::Kernel { errno, text }
}

pub(super) fn missing(what: impl Into<String>) -> HostError {
    HostError::Missing { what: what.into() }
}

pub(super) fn foreign(what: impl Into<String>) -> HostError {
    HostError::Foreign { what: what.into() }
}
