//! One pool: its kept-back addresses and the choice of the next one.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::addresses::{AddressSet, Family, address, number};
use super::error::IpamError;

/// A subnet, and the part of it that automatic choice is limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet; its length is the mask of every address given out.
    pub prefix: IpNet,
    /// The range inside the subnet, if narrower than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<IpNet>,
}

/// How many addresses of a pool are taken and left; both stop at the greatest `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Addresses of the subnet that are taken or kept back.
    pub in_use: u64,
    /// Addresses of the range (or the subnet) that automatic choice can still give.
    pub available: u64,
}

/// In which order automatic choice goes through a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The lowest free address.
    Lowest,
    /// The next free address after the one given last, wrapping; delays the reuse of addresses that others may remember.
    Serial {
        /// The address given last.
        after: Option<IpAddr>,
    },
}

impl Pool {
    /// Returns the pool of a whole subnet.
    pub fn whole(prefix: IpNet) -> Self {
        Pool { prefix: prefix.trunc(), sub: None }
    }

    /// Returns the family of the pool.
    pub fn family(&self) -> Family {
        Family::of_prefix(&self.prefix)
    }

    /// Says whether `address` lies in the subnet.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefix.contains(&address.to_canonical())
    }

    /// Returns the prefix that `address` gets on an interface: the length is the subnet's, also with a range.
    pub fn with_length(&self, address: IpAddr) -> IpNet {
        IpNet::new_assert(address.to_canonical(), self.prefix.prefix_len())
    }

    /// Returns the addresses that are never given out: an IPv4 network and broadcast address, an IPv6 subnet-router anycast
    /// address (RFC 4291 §2.6.1). A subnet of two addresses has none of them (RFC 3021, RFC 6164), nor has one of one.
    pub fn reserved(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (first, last) = match self.prefix {
            tiny if tiny.max_prefix_len() - tiny.prefix_len() <= 1 => (None, None),
            IpNet::V4(v4) => (Some(v4.network().into()), Some(v4.broadcast().into())),
            IpNet::V6(v6) => (Some(v6.network().into()), None),
        };
        first.into_iter().chain(last)
    }

    /// Says whether `address` is one of the addresses that are never given out.
    pub fn is_reserved(&self, address: IpAddr) -> bool {
        self.reserved().any(|kept| kept == address.to_canonical())
    }

    /// The addresses automatic choice may use, if there are any.
    fn assignable(&self) -> Option<RangeInclusive<IpAddr>> {
        let span = self.sub.as_ref().unwrap_or(&self.prefix);
        let (mut first, mut last) = (number(span.network()), number(span.broadcast()));
        for kept in self.reserved().map(number) {
            if kept == first {
                first = first.checked_add(1)?;
            } else if kept == last {
                last -= 1;
            }
        }
        (first <= last).then(|| address(first)..=address(last))
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sub {
            None => write!(f, "{}", self.prefix),
            Some(sub) => write!(f, "{} (range {sub})", self.prefix),
        }
    }
}

/// Returns the preferred address, or the next one of the pool in `order`.
///
/// A preferred address may lie outside the range, not outside the subnet. Kept-back addresses count as taken whether or not
/// `used` holds them.
pub fn choose_address(
    used: &AddressSet,
    pool: &Pool,
    preferred: Option<IpAddr>,
    order: Order,
) -> Result<IpAddr, IpamError> {
    if let Some(wanted) = preferred {
        return check_address(used, pool, wanted.to_canonical());
    }
    let next = |range| match order {
        Order::Serial { after: Some(after) } => used.next_free_after(after, range),
        Order::Lowest | Order::Serial { after: None } => used.first_free_in(range),
    };
    pool.assignable().and_then(next).ok_or(IpamError::NoAvailableAddresses { pool: *pool })
}

/// Returns the gateway asked for, else the lowest free address.
pub fn choose_gateway(used: &AddressSet, pool: &Pool, asked: Option<IpAddr>) -> Result<IpAddr, IpamError> {
    choose_address(used, pool, asked, Order::Lowest)
        .map_err(|source| IpamError::Gateway { gateway: asked, source: Box::new(source) })
}

/// Returns the auxiliary address `text`, called `name`, if it is free in the subnet.
pub fn check_auxiliary(used: &AddressSet, pool: &Pool, name: &str, text: &str) -> Result<IpAddr, IpamError> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| IpamError::InvalidAddress { what: format!("auxiliary address {name}"), value: text.to_owned() })?;
    let address = address.to_canonical();
    if !pool.contains(address) {
        return Err(IpamError::AuxiliaryOutside { name: name.to_owned(), address, pool: pool.prefix });
    }
    check_address(used, pool, address)
}

/// Returns how full a pool is.
pub fn status(used: &AddressSet, pool: &Pool) -> PoolStatus {
    let kept = pool.reserved().filter(|ip| !used.contains(*ip)).count() as u128;
    let in_use = used.count_in(&pool.prefix).saturating_add(kept);
    let available = pool.assignable().map_or(0, |range| {
        let size = (number(*range.end()) - number(*range.start())).saturating_add(1);
        size - used.count_in_range(range).min(size)
    });
    PoolStatus { in_use: saturate(in_use), available: saturate(available) }
}

fn check_address(used: &AddressSet, pool: &Pool, wanted: IpAddr) -> Result<IpAddr, IpamError> {
    if !pool.contains(wanted) {
        return Err(IpamError::OutOfRange { address: wanted, pool: pool.prefix });
    }
    if used.contains(wanted) || pool.is_reserved(wanted) {
        return Err(IpamError::AlreadyAllocated { address: wanted });
    }
    Ok(wanted)
}

fn saturate(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
