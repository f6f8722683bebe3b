//! Default pools, and the subnet chosen from them for a network that asks for none.

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};

use super::addresses::{Family, address, number};
use super::error::IpamError;

/// One default pool: a block and the prefix length of the subnets cut from it.
///
/// As JSON `{"base": "10.10.0.0/16", "size": 24}`, the form of an engine's `default-address-pools`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PoolConfig {
    /// The block; bits after its prefix length are ignored.
    pub base: IpNet,
    /// The prefix length of each subnet, not less than that of the base.
    pub size: u8,
}

/// Default pools in ascending order, none overlapping another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultPools {
    pools: Vec<PoolConfig>,
}

/// What a chosen subnet must satisfy.
#[derive(Clone, Copy, Debug)]
pub struct SubnetQuery<'a> {
    /// The family wanted.
    pub family: Family,
    /// The prefix length wanted; without one, that of the default pool.
    pub size: Option<u8>,
    /// Subnets in use, in any order, of any family.
    pub allocated: &'a [IpNet],
    /// Prefixes to avoid because the host uses them, in any order, of any family.
    pub reserved: &'a [IpNet],
}

impl DefaultPools {
    /// Checks the pools, puts them in order and drops every one that overlaps a lower (or equal and larger) one.
    pub fn new(pools: impl IntoIterator<Item = PoolConfig>) -> Result<Self, IpamError> {
        let mut pools: Vec<PoolConfig> = pools.into_iter().map(check).collect::<Result<_, _>>()?;
        pools.sort_by_key(|pool| (pool.base.network(), pool.base.prefix_len(), pool.size));
        let mut kept: Vec<PoolConfig> = Vec::with_capacity(pools.len());
        for pool in pools {
            // In this order an overlap is always with the last one kept: prefixes nest or are disjoint.
            if !kept.last().is_some_and(|last| overlap(&last.base, &pool.base)) {
                kept.push(pool);
            }
        }
        Ok(DefaultPools { pools: kept })
    }

    /// Returns the pools of networks on one host: 31 IPv4 networks, and the host's own IPv6 block if it is known.
    pub fn local(ula: Option<Ipv6Net>) -> Self {
        let v4 = [
            ([172, 17, 0, 0], 16, 16),
            ([172, 18, 0, 0], 16, 16),
            ([172, 19, 0, 0], 16, 16),
            ([172, 20, 0, 0], 14, 16),
            ([172, 24, 0, 0], 14, 16),
            ([172, 28, 0, 0], 14, 16),
            ([192, 168, 0, 0], 16, 20),
        ]
        .map(|(base, length, size)| PoolConfig { base: IpNet::new_assert(base.into(), length), size });
        let v6 = ula.map(|base| PoolConfig { base: base.trunc().into(), size: base.prefix_len().max(64) });
        // Already in order and disjoint; IPv4 sorts before IPv6.
        DefaultPools { pools: v4.into_iter().chain(v6).collect() }
    }

    /// Returns the pools of networks that span hosts.
    pub fn global() -> Self {
        DefaultPools { pools: vec![PoolConfig { base: IpNet::new_assert([10, 0, 0, 0].into(), 8), size: 24 }] }
    }

    /// Says whether there is a pool of `family`; a host's own block is added only if the user configured no IPv6 pool.
    pub fn has(&self, family: Family) -> bool {
        self.pools.iter().any(|pool| Family::of_prefix(&pool.base) == family)
    }

    /// Yields the pools in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &PoolConfig> {
        self.pools.iter()
    }
}

/// Returns the unique local block of a host, stable while its id is (RFC 4193; the id's digest takes the place of the random
/// part): SHA-256, its first eight bytes as a big-endian number, the low 40 bits of that as Global ID under `fd00::/8`.
pub fn derive_ula(host_id: &str) -> Ipv6Net {
    let digest = Sha256::digest(host_id.as_bytes());
    let global_id = digest[3..8].iter().fold(0u128, |id, byte| id << 8 | u128::from(*byte));
    let base = (0xfd_u128 << 120) | (global_id << 80);
    Ipv6Net::new_assert(Ipv6Addr::from_bits(base), 48)
}

/// Returns the lowest subnet of the wanted size in a default pool that touches nothing allocated or reserved.
pub fn choose_subnet(pools: &DefaultPools, query: &SubnetQuery<'_>) -> Result<IpNet, IpamError> {
    let mut usable = usable(pools, query).peekable();
    if usable.peek().is_none() {
        return Err(IpamError::NoDefaultPool { family: query.family, size: query.size });
    }
    let taken = taken(query);
    usable.find_map(|pool| lowest_block(pool, &taken)).ok_or(IpamError::NoMoreSubnets)
}

fn usable<'a>(pools: &'a DefaultPools, query: &SubnetQuery<'_>) -> impl Iterator<Item = PoolConfig> + use<'a> {
    let (family, wanted) = (query.family, query.size);
    pools.iter().filter(move |pool| Family::of_prefix(&pool.base) == family).filter_map(move |pool| match wanted {
        None => Some(*pool),
        Some(size) => (pool.base.prefix_len()..=family.bits()).contains(&size).then_some(PoolConfig { size, ..*pool }),
    })
}

/// First and last place of everything in the way, by first place.
fn taken(query: &SubnetQuery<'_>) -> Vec<(u128, u128)> {
    let mut taken: Vec<_> = query.allocated.iter().chain(query.reserved).map(span).collect();
    taken.sort_unstable();
    taken
}

/// Sweeps over what is taken and returns the first gap that holds an aligned block.
///
/// The candidate only moves up: a small prefix *inside* a larger one must not pull it back into the larger one.
fn lowest_block(pool: PoolConfig, taken: &[(u128, u128)]) -> Option<IpNet> {
    let (first, last) = span(&pool.base);
    let family = Family::of_prefix(&pool.base);
    // `None` is the one block that is the whole of an address family of 128 bits, which a size of 1 or more excludes.
    let block = 1u128.checked_shl(u32::from(family.bits() - pool.size))?;
    let mut candidate = first;
    for &(start, end) in taken {
        if end < candidate {
            continue;
        }
        if start > candidate + (block - 1) {
            break;
        }
        // The pool's start is a multiple of the block, so alignment is by distance from it.
        let behind = (end - first).checked_add(1)?;
        candidate = first.checked_add(behind.checked_next_multiple_of(block)?)?;
        if candidate > last {
            return None;
        }
    }
    Some(IpNet::new_assert(address(candidate), pool.size))
}

fn span(prefix: &IpNet) -> (u128, u128) {
    (number(prefix.network()), number(prefix.broadcast()))
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn check(pool: PoolConfig) -> Result<PoolConfig, IpamError> {
    let base = canonical(pool.base);
    if pool.size == 0 || pool.size < base.prefix_len() || pool.size > base.max_prefix_len() {
        return Err(IpamError::InvalidDefaultPool { base, size: pool.size });
    }
    Ok(PoolConfig { base, size: pool.size })
}

/// Returns the block of a prefix, as IPv4 where it is v4-mapped.
pub(super) fn canonical(prefix: IpNet) -> IpNet {
    match (prefix.network().to_canonical(), prefix.prefix_len()) {
        (IpAddr::V4(v4), length @ 96..) if matches!(prefix, IpNet::V6(_)) => {
            IpNet::new_assert(v4.into(), length - 96).trunc()
        }
        _ => prefix.trunc(),
    }
}
