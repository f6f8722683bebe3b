//! Subnets as a user asks for them: text in, a checked request out.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::addresses::Family;
use super::error::IpamError;
use super::pool::Pool;
use super::predefined::canonical;

/// One entry of a network's address configuration; an empty text was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolText {
    /// The subnet: `10.1.0.0/16`; `0.0.0.0/24` or `::/64` for any of that length.
    pub subnet: String,
    /// The part of the subnet to choose addresses from.
    pub range: String,
    /// The gateway.
    pub gateway: String,
}

/// Which subnet is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subnet {
    /// Any free one from the default pools.
    Dynamic {
        /// Its family.
        family: Family,
        /// Its prefix length; without one, that of the default pool.
        size: Option<u8>,
    },
    /// This one.
    Static(Pool),
}

/// A checked entry of a network's address configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRequest {
    /// The subnet wanted.
    pub subnet: Subnet,
    /// The gateway wanted; it lies in the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// Checks one entry. The family of a given subnet is its own; `family` is that of an entry without one.
pub fn parse_pool(family: Family, text: &PoolText) -> Result<PoolRequest, IpamError> {
    let subnet = parse_subnet(family, &text.subnet)?;
    let range = parse_range(&text.range)?;
    let gateway = parse_gateway(&text.gateway)?;
    match (subnet, range, gateway) {
        (Subnet::Dynamic { .. }, Some(range), _) => Err(IpamError::InvalidSubPool {
            value: range.to_string(),
            reason: "needs a subnet that holds it, give one".to_owned(),
        }),
        (Subnet::Dynamic { .. }, None, Some(gateway)) => Err(IpamError::GatewayWithoutSubnet { gateway }),
        (Subnet::Dynamic { .. }, None, None) => Ok(PoolRequest { subnet, gateway: None }),
        (Subnet::Static(pool), range, gateway) => {
            let pool = narrow(pool, range)?;
            check_gateway(&pool, gateway)?;
            Ok(PoolRequest { subnet: Subnet::Static(pool), gateway })
        }
    }
}

/// Refuses a pool that collides with one in use.
///
/// A whole subnet must be disjoint from every other. A subnet with a range may have exactly the same subnet as others (they
/// share its addresses, so none is given twice) as long as the ranges differ.
pub fn check_overlap<'a>(pool: &Pool, allocated: impl IntoIterator<Item = &'a Pool>) -> Result<(), IpamError> {
    let collides = |other: &&Pool| {
        let shared = pool.sub.is_some() && pool.prefix == other.prefix && pool.sub != other.sub;
        !shared && (pool.prefix.contains(&other.prefix) || other.prefix.contains(&pool.prefix))
    };
    match allocated.into_iter().find(collides) {
        None => Ok(()),
        Some(other) => Err(IpamError::Overlap { pool: *pool, other: *other }),
    }
}

fn parse_subnet(family: Family, text: &str) -> Result<Subnet, IpamError> {
    if text.is_empty() {
        return Ok(Subnet::Dynamic { family, size: None });
    }
    let prefix = read_prefix(text).map_err(|expected| IpamError::InvalidPool { value: text.to_owned(), expected })?;
    let prefix = block("subnet", prefix)?;
    if prefix.addr().is_unspecified() {
        return Ok(Subnet::Dynamic {
            family: Family::of_prefix(&prefix),
            size: (prefix.prefix_len() > 0).then_some(prefix.prefix_len()),
        });
    }
    Ok(Subnet::Static(Pool::whole(prefix)))
}

fn parse_range(text: &str) -> Result<Option<IpNet>, IpamError> {
    if text.is_empty() {
        return Ok(None);
    }
    let prefix = read_prefix(text).map_err(|expected| IpamError::InvalidSubPool {
        value: format!("`{text}`"),
        reason: format!("is not a range ({expected})"),
    })?;
    block("range", prefix).map(Some)
}

fn parse_gateway(text: &str) -> Result<Option<IpAddr>, IpamError> {
    if text.is_empty() {
        return Ok(None);
    }
    let address: IpAddr =
        text.parse().map_err(|_| IpamError::InvalidAddress { what: "gateway".to_owned(), value: text.to_owned() })?;
    Ok(Some(address.to_canonical()))
}

/// Limits a pool to a range. A range that covers the whole pool limits nothing: old callers pass such ones.
fn narrow(pool: Pool, range: Option<IpNet>) -> Result<Pool, IpamError> {
    let Some(range) = range else { return Ok(pool) };
    if Family::of_prefix(&range) != pool.family() {
        return Err(IpamError::Families { pool: pool.prefix, other: range.to_string() });
    }
    if range.contains(&pool.prefix) {
        return Ok(pool);
    }
    if !pool.prefix.contains(&range) {
        return Err(IpamError::InvalidSubPool {
            value: range.to_string(),
            reason: format!("is not inside the subnet {}", pool.prefix),
        });
    }
    Ok(Pool { sub: Some(range), ..pool })
}

fn check_gateway(pool: &Pool, gateway: Option<IpAddr>) -> Result<(), IpamError> {
    match gateway {
        Some(gateway) if !pool.contains(gateway) => Err(IpamError::GatewayOutside { gateway, pool: pool.prefix }),
        _ => Ok(()),
    }
}

fn read_prefix(text: &str) -> Result<IpNet, &'static str> {
    if text.parse::<IpAddr>().is_ok() {
        return Err("add a prefix length, such as /24");
    }
    text.parse().map_err(|_| "write an address and a prefix length, such as 10.1.0.0/16")
}

fn block(what: &'static str, value: IpNet) -> Result<IpNet, IpamError> {
    let corrected = value.trunc();
    if corrected != value {
        return Err(IpamError::HostBits { what, value, corrected });
    }
    Ok(canonical(corrected))
}
