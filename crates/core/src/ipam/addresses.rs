//! Sets of addresses of both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address; a v4-mapped IPv6 address is IPv4.
    pub fn of(address: IpAddr) -> Family {
        match address.to_canonical() {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Returns the family of a prefix.
    pub fn of_prefix(prefix: &IpNet) -> Family {
        match prefix {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// Returns the length of an address in bits.
    pub fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }

    /// Returns the unspecified address.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// A persistent set of addresses; both families may share one set.
///
/// IPv4 addresses are kept at their v4-mapped IPv6 place. A v4-mapped address *is* its IPv4 address everywhere in this crate,
/// so the two never collide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    ranges: Ranges<u128>,
}

impl AddressSet {
    /// Returns the empty set.
    pub fn new() -> Self {
        AddressSet::default()
    }

    /// Says whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Says whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.contains(number(address))
    }

    /// Adds an address; says whether it was new.
    pub fn insert(&mut self, address: IpAddr) -> bool {
        self.ranges.insert(number(address))
    }

    /// Takes an address out; says whether it was there.
    pub fn remove(&mut self, address: IpAddr) -> bool {
        self.ranges.remove(number(address))
    }

    /// Adds every address of `range`.
    pub fn insert_range(&mut self, range: RangeInclusive<IpAddr>) {
        self.ranges.insert_range(numbers(&range));
    }

    /// Takes every address of `range` out.
    pub fn remove_range(&mut self, range: RangeInclusive<IpAddr>) {
        self.ranges.remove_range(numbers(&range));
    }

    /// Returns the lowest address of `range` that is not in the set.
    pub fn first_free_in(&self, range: RangeInclusive<IpAddr>) -> Option<IpAddr> {
        self.ranges.first_free_in(numbers(&range)).map(address)
    }

    /// Returns the first address of `range` after `cursor` that is not in the set, wrapping; see [`Ranges::next_free_after`].
    pub fn next_free_after(&self, cursor: IpAddr, range: RangeInclusive<IpAddr>) -> Option<IpAddr> {
        self.ranges.next_free_after(number(cursor), numbers(&range)).map(address)
    }

    /// Counts the addresses of `prefix` that are in the set.
    pub fn count_in(&self, prefix: &IpNet) -> u128 {
        self.ranges.count_in(number(prefix.network())..=number(prefix.broadcast()))
    }

    /// Counts the addresses of `range` that are in the set.
    pub fn count_in_range(&self, range: RangeInclusive<IpAddr>) -> u128 {
        self.ranges.count_in(numbers(&range))
    }
}

impl FromIterator<IpAddr> for AddressSet {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut set = AddressSet::new();
        for address in addresses {
            set.insert(address);
        }
        set
    }
}

/// Returns the place of an address among all addresses of both families.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Returns the address at a place; inverse of [`number`] up to v4-mapped addresses.
pub(super) fn address(number: u128) -> IpAddr {
    Ipv6Addr::from_bits(number).to_canonical()
}

fn numbers(range: &RangeInclusive<IpAddr>) -> RangeInclusive<u128> {
    number(*range.start())..=number(*range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn families_do_not_collide_and_mapped_is_ipv4() {
        let mut set = AddressSet::new();
        assert!(set.insert(ip("0.0.0.1")));
        assert!(set.insert(ip("::1")));
        assert!(!set.insert(ip("::ffff:0.0.0.1")));
        assert_eq!(set.count_in(&"0.0.0.0/24".parse().expect("a prefix")), 1);
        assert!(set.remove(ip("::1")) && !set.remove(ip("::1")));
    }

    #[test]
    fn answers_in_the_family_asked() {
        let set: AddressSet = [ip("10.0.0.1"), ip("fd00::1")].into_iter().collect();
        assert_eq!(set.first_free_in(ip("10.0.0.1")..=ip("10.0.0.9")), Some(ip("10.0.0.2")));
        assert_eq!(set.first_free_in(ip("fd00::1")..=ip("fd00::9")), Some(ip("fd00::2")));
        assert_eq!(set.next_free_after(ip("10.0.0.9"), ip("10.0.0.0")..=ip("10.0.0.9")), Some(ip("10.0.0.0")));
    }
}
