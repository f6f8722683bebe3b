//! What the names of one network stand for.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::base::Name;
use imbl::HashMap;

use crate::name::{encode, key};

/// What one owner (an endpoint, a service) is called, and where it is.
///
/// Two owners of one name and address are distinct: the name stays until the last of them is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Who owns the names; one registration for each owner.
    pub owner: String,
    /// The names, the first of which is the one for reverse lookups and the target of services.
    pub names: Vec<String>,
    /// The addresses that every name stands for; without any, the names are not known.
    pub addresses: Vec<IpAddr>,
    /// Whether the addresses lead back to the first name.
    pub reverse: Reverse,
    /// Services that the owner offers at the first name.
    pub services: Vec<Service>,
}

/// What a reverse lookup of an owner's addresses finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reverse {
    /// The owner's first name.
    #[default]
    FirstName,
    /// Nothing: virtual addresses and additional names.
    Nothing,
}

/// A service that SRV queries find (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The whole name, such as `_http._tcp.web`.
    pub name: String,
    /// The port that it listens on.
    pub port: u16,
}

/// The names of one network.
///
/// A clone shares its parts with the original, so that a change costs microseconds however many names there are:
/// clone, change, [publish](SharedZone::publish).
#[derive(Clone, Debug, Default)]
pub struct Zone {
    network: Arc<str>,
    registrations: HashMap<Arc<str>, Arc<Registration>>,
    names: Claims<String, IpAddr>,
    reverse: Claims<IpAddr, Encoded>,
    services: Claims<String, Target>,
}

/// A name that answers point to, or `None` if messages cannot carry it.
pub(crate) type Encoded = Option<Name<Vec<u8>>>;

/// Where a service is.
#[derive(Clone, Debug)]
pub(crate) struct Target<Name = Encoded> {
    pub(crate) name: Name,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Target {
    /// Returns the target if messages can carry its name.
    pub(crate) fn encodable(self) -> Option<Target<Name<Vec<u8>>>> {
        Some(Target { name: self.name?, port: self.port, addresses: self.addresses })
    }
}

impl Zone {
    /// Returns the zone of a network on which nothing has a name yet.
    pub fn new(network: &str) -> Self {
        Self { network: network.into(), ..Self::default() }
    }

    /// Returns the name of the network, as it was given.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Adds what an owner is called, in place of what that owner was called before.
    pub fn insert(&mut self, registration: Registration) {
        self.remove(&registration.owner);
        let owner: Arc<str> = registration.owner.as_str().into();
        let first = registration.names.first();
        for name in keys(&registration.names) {
            for &address in &registration.addresses {
                self.names.add(name.clone(), &owner, address);
            }
        }
        if let (Some(first), Reverse::FirstName) = (first, registration.reverse) {
            let target = encode(&format!("{}.{}", first.strip_suffix('.').unwrap_or(first), self.network));
            for &address in &registration.addresses {
                self.reverse.add(address, &owner, target.clone());
            }
        }
        for (first, service) in registration.services.iter().filter_map(|service| Some((first?, service))) {
            let addresses = registration.addresses.clone();
            let target = Target { name: encode(first), port: service.port, addresses };
            if let Some(name) = key(&service.name) {
                self.services.add(name, &owner, target);
            }
        }
        self.registrations.insert(owner, Arc::new(registration));
    }

    /// Removes what an owner is called, if it has names.
    pub fn remove(&mut self, owner: &str) {
        let Some(registration) = self.registrations.remove(owner) else { return };
        for name in keys(&registration.names) {
            self.names.remove(&name, owner);
        }
        for address in &registration.addresses {
            self.reverse.remove(address, owner);
        }
        for service in &registration.services {
            if let Some(name) = key(&service.name) {
                self.services.remove(&name, owner);
            }
        }
    }

    /// Returns the addresses of a name in lower case, each once; nothing if the name is not known.
    pub(crate) fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = self.names.of(name)?.copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        Some(addresses)
    }

    /// Returns `<name>.<network>.` of the owner that has had the address longest.
    pub(crate) fn pointer(&self, address: &IpAddr) -> Option<Encoded> {
        self.reverse.of(address)?.next().cloned()
    }

    /// Returns where a service is, by its name in lower case.
    pub(crate) fn services(&self, name: &str) -> Option<Vec<Target>> {
        self.services.of(name).map(|targets| targets.cloned().collect())
    }
}

/// The place where a network's zone is published, for every sandbox that is on the network.
///
/// A clone is the same place. Readers never wait, and see the whole of one zone or the whole of the next.
#[derive(Clone, Debug)]
pub struct SharedZone(Arc<ArcSwap<Zone>>);

impl SharedZone {
    /// Returns a place with a zone in it.
    pub fn new(zone: Zone) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(zone)))
    }

    /// Replaces the zone; queries from now on see the new one.
    pub fn publish(&self, zone: Zone) {
        self.0.store(Arc::new(zone));
    }

    /// Returns the zone that is published.
    pub fn load(&self) -> Arc<Zone> {
        self.0.load_full()
    }

    /// Calls a function with the zone that is published, without taking a reference of its own.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Zone) -> T) -> T {
        look(&self.0.load())
    }
}

impl From<Zone> for SharedZone {
    fn from(zone: Zone) -> Self {
        Self::new(zone)
    }
}

/// Values by key, each with the owner it goes away with, in the order in which they came.
#[derive(Clone, Debug)]
struct Claims<K, V>(HashMap<K, Arc<Vec<Claim<V>>>>);

#[derive(Clone, Debug)]
struct Claim<V> {
    owner: Arc<str>,
    value: V,
}

impl<K, V> Default for Claims<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Claims<K, V> {
    fn add(&mut self, key: K, owner: &Arc<str>, value: V) {
        let claims = self.0.entry(key).or_default();
        Arc::make_mut(claims).push(Claim { owner: Arc::clone(owner), value });
    }

    fn remove<Q>(&mut self, key: &Q, owner: &str)
    where
        Q: Hash + Eq + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        let Some(claims) = self.0.get_mut(key) else { return };
        Arc::make_mut(claims).retain(|claim| &*claim.owner != owner);
        if claims.is_empty() {
            self.0.remove(key);
        }
    }

    fn of<Q>(&self, key: &Q) -> Option<impl Iterator<Item = &V>>
    where
        Q: Hash + Eq + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        Some(self.0.get(key)?.iter().map(|claim| &claim.value))
    }
}

/// Returns the keys of an owner's names, each once.
fn keys(names: &[String]) -> Vec<String> {
    let mut keys: Vec<String> = names.iter().filter_map(|name| key(name)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn registration(owner: &str, names: &[&str], addresses: &[&str]) -> Registration {
        Registration {
            owner: owner.into(),
            names: names.iter().map(ToString::to_string).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            ..Registration::default()
        }
    }

    /// Everything that a zone answers, a line each.
    fn check(zone: &Zone, expected: Expect) {
        let mut lines = Vec::new();
        for name in zone.names.0.keys() {
            lines.push(format!("{name} -> {:?}\n", zone.addresses(name).unwrap()));
        }
        for address in zone.reverse.0.keys() {
            let target = zone.pointer(address).unwrap();
            lines
                .push(format!("{address} -> {}\n", target.map_or("cannot be encoded".into(), |name| name.to_string())));
        }
        for name in zone.services.0.keys() {
            let targets: Vec<_> = zone.services(name).unwrap().iter().map(|t| (t.port, t.addresses.clone())).collect();
            lines.push(format!("{name} -> {targets:?}\n"));
        }
        lines.sort();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn every_name_has_the_addresses_and_the_first_is_the_reverse() {
        let mut zone = Zone::new("Front");
        zone.insert(registration("e1", &["Web", "www.", "web", "0123456789ab"], &["10.0.0.2", "fd00::2"]));
        check(
            &zone,
            expect![[r#"
                0123456789ab -> [10.0.0.2, fd00::2]
                10.0.0.2 -> Web.Front
                fd00::2 -> Web.Front
                web -> [10.0.0.2, fd00::2]
                www -> [10.0.0.2, fd00::2]
            "#]],
        );
    }

    #[test]
    fn a_name_stays_until_its_last_owner_is_gone() {
        let mut zone = Zone::new("n");
        zone.insert(registration("e1", &["a", "svc"], &["10.0.0.2"]));
        zone.insert(registration("e2", &["b", "svc"], &["10.0.0.2"]));
        let both = zone.clone();
        zone.remove("e1");
        zone.remove("e1");
        check(
            &zone,
            expect![[r#"
                10.0.0.2 -> b.n
                b -> [10.0.0.2]
                svc -> [10.0.0.2]
            "#]],
        );
        zone.remove("e2");
        check(&zone, expect![""]);
        // What was cloned before is as it was.
        check(
            &both,
            expect![[r#"
                10.0.0.2 -> a.n
                a -> [10.0.0.2]
                b -> [10.0.0.2]
                svc -> [10.0.0.2]
            "#]],
        );
    }

    #[test]
    fn an_owner_has_one_registration() {
        let mut zone = Zone::new("n");
        zone.insert(registration("e1", &["old"], &["10.0.0.2"]));
        zone.insert(registration("e1", &["new"], &["10.0.0.3"]));
        zone.insert(registration("e2", &["nowhere"], &[]));
        zone.insert(registration("e3", &[], &["10.0.0.4"]));
        check(
            &zone,
            expect![[r#"
                10.0.0.3 -> new.n
                new -> [10.0.0.3]
            "#]],
        );
    }

    #[test]
    fn services_and_virtual_addresses() {
        let mut zone = Zone::new("n");
        let service = Service { name: "_HTTP._tcp.web".into(), port: 80 };
        zone.insert(Registration { services: vec![service.clone()], ..registration("t1", &["web.1"], &["10.0.0.2"]) });
        zone.insert(Registration { services: vec![service], ..registration("t2", &["web.2"], &["10.0.0.3"]) });
        zone.insert(Registration { reverse: Reverse::Nothing, ..registration("s", &["web"], &["10.0.0.9"]) });
        check(
            &zone,
            expect![[r#"
                10.0.0.2 -> web.1.n
                10.0.0.3 -> web.2.n
                _http._tcp.web -> [(80, [10.0.0.2]), (80, [10.0.0.3])]
                web -> [10.0.0.9]
                web.1 -> [10.0.0.2]
                web.2 -> [10.0.0.3]
            "#]],
        );
        zone.remove("t1");
        zone.remove("s");
        check(
            &zone,
            expect![[r#"
                10.0.0.3 -> web.2.n
                _http._tcp.web -> [(80, [10.0.0.3])]
                web.2 -> [10.0.0.3]
            "#]],
        );
    }

    #[test]
    fn a_reverse_name_that_does_not_fit_is_kept_as_such() {
        let mut zone = Zone::new(&"n".repeat(64));
        zone.insert(registration("e1", &["a"], &["10.0.0.2"]));
        check(
            &zone,
            expect![[r#"
                10.0.0.2 -> cannot be encoded
                a -> [10.0.0.2]
            "#]],
        );
    }
}
