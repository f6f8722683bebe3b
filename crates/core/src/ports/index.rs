//! Which host ports are taken.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use imbl::OrdMap;

use super::proto::PortProto;
use crate::ipam::{Family, Ranges};

/// The taken ports of every host address, as a persistent value.
///
/// Beside each address' own ports it counts, per family, how many addresses hold a port, so that "free on every address" is
/// one look-up however many addresses there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortIndex {
    own: OrdMap<(PortProto, IpAddr), Ranges<u16>>,
    any: OrdMap<(PortProto, Family), Ranges<u16>>,
    holders: OrdMap<(PortProto, Family, u16), u32>,
}

impl PortIndex {
    /// Returns the empty index.
    pub fn new() -> Self {
        PortIndex::default()
    }

    /// Says whether nothing is taken.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Says whether exactly this address holds the port.
    pub fn contains(&self, ip: IpAddr, proto: PortProto, port: u16) -> bool {
        self.own.get(&(proto, ip.to_canonical())).is_some_and(|ports| ports.contains(port))
    }

    /// Marks a port as taken on one address; says whether it was not.
    pub fn insert(&mut self, ip: IpAddr, proto: PortProto, port: u16) -> bool {
        let ip = ip.to_canonical();
        if !self.own.entry((proto, ip)).or_default().insert(port) {
            return false;
        }
        let family = Family::of(ip);
        let holders = self.holders.entry((proto, family, port)).or_default();
        *holders += 1;
        if *holders == 1 {
            self.any.entry((proto, family)).or_default().insert(port);
        }
        true
    }

    /// Marks a port as free on one address; says whether it was taken. Freeing a free port is harmless.
    pub fn remove(&mut self, ip: IpAddr, proto: PortProto, port: u16) -> bool {
        let ip = ip.to_canonical();
        if !take(&mut self.own, &(proto, ip), port) {
            return false;
        }
        let family = Family::of(ip);
        let key = (proto, family, port);
        match self.holders.get(&key) {
            Some(&others) if others > 1 => {
                self.holders.insert(key, others - 1);
            }
            _ => {
                self.holders.remove(&key);
                take(&mut self.any, &(proto, family), port);
            }
        }
        true
    }

    /// Marks every port of `ports` as taken on every address.
    pub fn insert_all(&mut self, ips: &[IpAddr], proto: PortProto, ports: RangeInclusive<u16>) {
        for ip in ips {
            for port in ports.clone() {
                self.insert(*ip, proto, port);
            }
        }
    }

    /// Marks every port of `ports` as free on every address.
    pub fn remove_all(&mut self, ips: &[IpAddr], proto: PortProto, ports: RangeInclusive<u16>) {
        for ip in ips {
            for port in ports.clone() {
                self.remove(*ip, proto, port);
            }
        }
    }

    /// Says whether a port is free on an address. A port held on the unspecified address is free on no address of the
    /// family, and a port held anywhere is not free on the unspecified address.
    pub fn is_free(&self, ip: IpAddr, proto: PortProto, port: u16) -> bool {
        !self.blocking(ip, proto).any(|ports| ports.contains(port))
    }

    /// Yields the sets that must not hold a port for it to be free on `ip`.
    pub(super) fn blocking(&self, ip: IpAddr, proto: PortProto) -> impl Iterator<Item = &Ranges<u16>> {
        let ip = ip.to_canonical();
        let family = Family::of(ip);
        let sets = if ip.is_unspecified() {
            [self.any.get(&(proto, family)), None]
        } else {
            [self.own.get(&(proto, ip)), self.own.get(&(proto, family.unspecified()))]
        };
        sets.into_iter().flatten()
    }
}

/// Takes a port out of a set of the map, and the set out when it gets empty, so that equal usage is an equal index.
fn take<K: Ord + Clone>(map: &mut OrdMap<K, Ranges<u16>>, key: &K, port: u16) -> bool {
    let Some(ports) = map.get_mut(key) else {
        return false;
    };
    let taken = ports.remove(port);
    if ports.is_empty() {
        map.remove(key);
    }
    taken
}
