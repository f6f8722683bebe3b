//! What a host can hold.
//!
//! An [`Object`] is compared by value and found by its [`Key`]. Two sets of objects differ by a [`Plan`] of invertible steps.
//! Each object prints as one readable line.

mod address;
mod file;
mod firewall;
mod held;
mod limit;
mod link;
mod namespace;
mod nft;
mod plan;
mod redirect;
mod route;
mod sysctl;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::SandboxId;

pub use address::Address;
pub use file::{File, FileName};
pub use firewall::{Access, FirewallBridge, FirewallSubnet, Leaves, Opened, Published};
pub use held::Held;
pub use limit::{Direction, Limit};
pub use link::{Advertise, Bridge, Flaw, Veth};
pub use namespace::Namespace;
pub use nft::{Element, ElementKey, Ruleset, Verdict};
pub use plan::{Op, Plan, Rank};
pub use redirect::{RESOLVER_ADDRESS, RESOLVER_PORT, Redirect};
pub use route::Route;
pub(crate) use sysctl::{DISABLE_IPV6, written};
pub use sysctl::{Sysctl, Tenure};

/// The network namespace that an object lives in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The namespace that Pontoon runs in.
    Host,
    /// A sandbox's.
    Sandbox(SandboxId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Sandbox(id) => write!(f, "sandbox {}", id.short()),
        }
    }
}

/// One thing that exists on a host, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    /// A kernel setting.
    Sysctl(Sysctl),
    /// The static part of the firewall.
    Ruleset(Ruleset),
    /// A sandbox's network namespace.
    Namespace(Namespace),
    /// A file that a sandbox's container sees.
    File(File),
    /// A bridge on the host.
    Bridge(Bridge),
    /// An entry of one of the ruleset's sets or maps.
    Element(Element),
    /// An address of an interface.
    Address(Address),
    /// A pair of interfaces, one on the host and one in a sandbox.
    Veth(Veth),
    /// How fast data may pass a pair of interfaces.
    Limit(Limit),
    /// A route of the main table.
    Route(Route),
    /// The way to the resolver inside a sandbox.
    Redirect(Redirect),
    /// A host port kept from other programs.
    Held(Held),
    /// A bridge as the firewall sees it; lowered to elements.
    FirewallBridge(FirewallBridge),
    /// A published port as the firewall sees it; lowered to elements.
    Published(Published),
    /// Open ports as the firewall sees them; lowered to elements.
    Opened(Opened),
}

/// What identifies an object: two objects of one key cannot exist at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// A sysctl by place and name.
    Sysctl(Place, String),
    /// The ruleset, of which there is one.
    Ruleset,
    /// A namespace by its sandbox.
    Namespace(SandboxId),
    /// A file by its sandbox and name.
    File(SandboxId, FileName),
    /// An interface on the host by name.
    Link(String),
    /// An element by its set and key.
    Element(ElementKey),
    /// An address by place, interface and value.
    Address(Place, String, ipnet::IpNet),
    /// A limit by the host's end of the pair and the direction.
    Limit(String, Direction),
    /// A route by place and destination.
    Route(Place, ipnet::IpNet),
    /// The way to the resolver by its sandbox.
    Redirect(SandboxId),
    /// A held port by protocol, address and first port.
    Held(crate::ports::PortProto, std::net::IpAddr, u16),
    /// A bridge's firewall policy by interface name.
    FirewallBridge(String),
    /// A published port by protocol, host address and first host port.
    Published(crate::ports::PortProto, std::net::IpAddr, u16),
    /// Open ports by protocol, address, first port and how many.
    Opened(crate::ports::PortProto, std::net::IpAddr, u16, u16),
}

impl Object {
    /// Returns what identifies it.
    pub fn key(&self) -> Key {
        match self {
            Self::Sysctl(o) => Key::Sysctl(o.place, o.name.clone()),
            Self::Ruleset(_) => Key::Ruleset,
            Self::Namespace(o) => Key::Namespace(o.sandbox),
            Self::File(o) => Key::File(o.sandbox, o.name),
            Self::Bridge(o) => Key::Link(o.name.to_string()),
            Self::Veth(o) => Key::Link(o.name.to_string()),
            Self::Element(o) => Key::Element(o.key()),
            Self::Address(o) => Key::Address(o.place, o.link.to_string(), o.prefix),
            Self::Limit(o) => Key::Limit(o.link.to_string(), o.direction),
            Self::Route(o) => Key::Route(o.place, o.to),
            Self::Redirect(o) => Key::Redirect(o.sandbox),
            Self::Held(o) => Key::Held(o.proto, o.ip, o.port),
            Self::FirewallBridge(o) => Key::FirewallBridge(o.bridge.to_string()),
            Self::Published(o) => Key::Published(o.proto, o.host_ip, o.host_port),
            Self::Opened(o) => Key::Opened(o.proto, o.ip, o.port, o.count),
        }
    }

    /// Returns when it is made relative to others: protection first, then connection, then openings.
    pub fn rank(&self) -> Rank {
        match self {
            Self::Sysctl(o) if o.tenure == Tenure::Own => Rank::Setting,
            Self::Sysctl(_) => Rank::Sysctl,
            Self::Ruleset(_) => Rank::Ruleset,
            Self::Namespace(_) => Rank::Namespace,
            Self::File(_) => Rank::File,
            Self::Bridge(_) => Rank::Bridge,
            Self::Element(o) if o.opens() => Rank::Opening,
            Self::Element(_) | Self::FirewallBridge(_) | Self::Redirect(_) => Rank::Protection,
            Self::Address(o) if o.place == Place::Host => Rank::HostAddress,
            Self::Veth(_) => Rank::Veth,
            Self::Limit(_) => Rank::Limit,
            Self::Address(_) => Rank::Address,
            Self::Route(_) => Rank::Route,
            Self::Held(_) => Rank::Held,
            Self::Published(_) | Self::Opened(_) => Rank::Opening,
        }
    }

    /// Returns whether several scopes may ask for it: it goes with the last of them.
    pub fn is_shared(&self) -> bool {
        self.is_ledgered() || matches!(self, Self::Ruleset(_))
    }

    /// Returns whether it carries no mark of ours, so that it is found by its key only.
    pub fn is_unmarked(&self) -> bool {
        matches!(self, Self::Sysctl(_))
    }

    /// Returns whether it carries no mark of ours and was there before, so that its original is written down before it is
    /// touched.
    pub fn is_ledgered(&self) -> bool {
        matches!(self, Self::Sysctl(sysctl) if sysctl.tenure != Tenure::Own)
    }

    /// Returns whether removing it cannot be undone, for other objects go with it, or what somebody wrote into it: it is
    /// removed only after the commit.
    pub fn is_final(&self) -> bool {
        self.is_container() || matches!(self, Self::File(_))
    }

    /// Returns whether it dies with the process that made it.
    pub fn is_volatile(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Returns whether other objects may go with it.
    pub fn is_container(&self) -> bool {
        matches!(self, Self::Namespace(_) | Self::Veth(_) | Self::Bridge(_))
    }

    /// Returns whether removing `container` removes this one too.
    pub fn goes_with(&self, container: &Object) -> bool {
        let (place, link) = match self {
            Self::Address(o) => (o.place, o.link.to_string()),
            Self::Route(o) => (o.place, o.link.to_string()),
            Self::Sysctl(o) => match o.link() {
                Some(link) => (o.place, link),
                None => return false,
            },
            Self::Redirect(o) => {
                return matches!(container, Self::Namespace(ns) if ns.is_made() && ns.sandbox == o.sandbox);
            }
            // The interface that a limit out goes through stays.
            Self::Limit(o) if o.direction == Direction::In => {
                return matches!(container, Self::Veth(veth) if veth.name == o.link);
            }
            _ => return false,
        };
        match container {
            Self::Namespace(ns) => ns.is_made() && place == Place::Sandbox(ns.sandbox),
            Self::Veth(veth) if veth.flaw == Some(Flaw::PeerLost) => false,
            Self::Veth(veth) => place == Place::Sandbox(veth.sandbox) && link == veth.peer.as_str(),
            Self::Bridge(bridge) => place == Place::Host && link == bridge.name.as_str(),
            _ => false,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl(o) => o.fmt(f),
            Self::Ruleset(o) => o.fmt(f),
            Self::Namespace(o) => o.fmt(f),
            Self::File(o) => o.fmt(f),
            Self::Bridge(o) => o.fmt(f),
            Self::Veth(o) => o.fmt(f),
            Self::Limit(o) => o.fmt(f),
            Self::Element(o) => o.fmt(f),
            Self::Address(o) => o.fmt(f),
            Self::Route(o) => o.fmt(f),
            Self::Redirect(o) => o.fmt(f),
            Self::Held(o) => o.fmt(f),
            Self::FirewallBridge(o) => o.fmt(f),
            Self::Published(o) => o.fmt(f),
            Self::Opened(o) => o.fmt(f),
        }
    }
}

/// A set of objects, one per key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects(BTreeMap<Key, Object>);

/// Two scopes ask for different objects under one key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two parts of the state need one thing to be different: {one} and {other}")]
pub struct Clash {
    /// The one.
    pub one: Box<Object>,
    /// The other.
    pub other: Box<Object>,
}

impl Objects {
    /// Returns the empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object; an equal one is merged.
    ///
    /// # Errors
    ///
    /// [`Clash`] if another object has the same key.
    pub fn add(&mut self, object: impl Into<Object>) -> Result<(), Clash> {
        let object = object.into();
        match self.0.get(&object.key()) {
            Some(present) if *present == object => Ok(()),
            Some(present) => Err(Clash { one: Box::new(present.clone()), other: Box::new(object) }),
            None => {
                self.0.insert(object.key(), object);
                Ok(())
            }
        }
    }

    /// Sets the object of its key, whatever was there.
    pub fn set(&mut self, object: impl Into<Object>) {
        let object = object.into();
        self.0.insert(object.key(), object);
    }

    /// Takes an object out.
    pub fn remove(&mut self, key: &Key) -> Option<Object> {
        self.0.remove(key)
    }

    /// Returns the object of a key.
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.0.get(key)
    }

    /// Returns all objects in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.0.values()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the objects that `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&Object) -> bool) {
        self.0.retain(|_, object| keep(object));
    }
}

impl FromIterator<Object> for Objects {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        Self(objects.into_iter().map(|object| (object.key(), object)).collect())
    }
}

impl IntoIterator for Objects {
    type Item = Object;
    type IntoIter = std::collections::btree_map::IntoValues<Key, Object>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|object| writeln!(f, "{object}"))
    }
}

macro_rules! into_object {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(object)
            }
        }
    )*};
}

into_object!(
    File,
    Redirect,
    Sysctl,
    Ruleset,
    Namespace,
    Bridge,
    Veth,
    Limit,
    Element,
    Address,
    Route,
    Held,
    FirewallBridge,
    Published,
    Opened
);
