//! What can go wrong with subnets and addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::Family;
use super::pool::Pool;
use crate::error::Kind;

/// A refused subnet, address or default pool. Texts that tools compare begin as upstream's; the values follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IpamError {
    /// A subnet that cannot be read.
    #[error("invalid address pool: `{value}` is not a subnet ({expected})")]
    InvalidPool {
        /// What was given.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A range inside a subnet that cannot be read, or lies elsewhere.
    #[error("invalid address subpool: {value} {reason}")]
    InvalidSubPool {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A prefix whose address is not the first of its block.
    #[error("invalid {what}: {value} has bits set after its prefix length, it should be {corrected}")]
    HostBits {
        /// Which of the given prefixes.
        what: &'static str,
        /// What was given.
        value: IpNet,
        /// The block that holds it.
        corrected: IpNet,
    },
    /// Subnet and range, or subnet and address, of different families.
    #[error("pool and subpool are of incompatible address families: {pool} and {other}")]
    Families {
        /// The subnet.
        pool: IpNet,
        /// The other value.
        other: String,
    },
    /// An address that cannot be read.
    #[error("invalid {what}: `{value}` is not an IP address")]
    InvalidAddress {
        /// Which of the given addresses.
        what: String,
        /// What was given.
        value: String,
    },
    /// A gateway for a subnet that is not known yet.
    #[error("gateway {gateway} needs a subnet that holds it, give one")]
    GatewayWithoutSubnet {
        /// The gateway asked for.
        gateway: IpAddr,
    },
    /// A gateway elsewhere.
    #[error("gateway {gateway} is not in the subnet {pool}, choose one inside it")]
    GatewayOutside {
        /// The gateway asked for.
        gateway: IpAddr,
        /// The subnet.
        pool: IpNet,
    },
    /// No address could be had for the gateway.
    #[error("failed to allocate gateway ({})", gateway.map_or("any".to_owned(), |ip| ip.to_string()))]
    Gateway {
        /// The gateway asked for, if one was.
        gateway: Option<IpAddr>,
        /// Why not.
        #[source]
        source: Box<IpamError>,
    },
    /// An auxiliary address elsewhere.
    #[error("auxiliary address: ({name}:{address}) must belong to the master pool: {pool}")]
    AuxiliaryOutside {
        /// Its name.
        name: String,
        /// The address.
        address: IpAddr,
        /// The subnet.
        pool: IpNet,
    },
    /// Every address of the subnet, or of its range, is taken.
    #[error("no available addresses on this pool: {pool}")]
    NoAvailableAddresses {
        /// The pool that is full.
        pool: Pool,
    },
    /// The address asked for is taken or kept back.
    #[error("Address already in use: {address}")]
    AlreadyAllocated {
        /// The address.
        address: IpAddr,
    },
    /// The address asked for lies elsewhere.
    #[error("requested address is out of range: {address} is not in {pool}")]
    OutOfRange {
        /// The address.
        address: IpAddr,
        /// The subnet.
        pool: IpNet,
    },
    /// The subnet overlaps one in use.
    #[error("Pool overlaps with other one on this address space: {pool} overlaps {other}")]
    Overlap {
        /// The subnet asked for.
        pool: Pool,
        /// The one in use.
        other: Pool,
    },
    /// A pool that nobody requested, or that was released.
    #[error("address space does not contain specified address pool: {pool}")]
    UnknownPool {
        /// The pool.
        pool: Pool,
    },
    /// A default pool that cannot be split.
    #[error("invalid default address pool {base} with size {size}: the size must be between {} and {}", base.prefix_len().max(1), base.max_prefix_len())]
    InvalidDefaultPool {
        /// The pool to split.
        base: IpNet,
        /// The prefix length of the pieces.
        size: u8,
    },
    /// No default pool can give a subnet of this family and size.
    #[error("invalid address pool: no default pool can give an {family} subnet{}; give a subnet, or add a pool to `default-address-pools`", size.map_or(String::new(), |n| format!(" of size /{n}")))]
    NoDefaultPool {
        /// The family asked for.
        family: Family,
        /// The prefix length asked for.
        size: Option<u8>,
    },
    /// Every piece of every default pool is taken.
    #[error(
        "all predefined address pools have been fully subnetted; add pools to `default-address-pools`, give a subnet, or remove unused networks"
    )]
    NoMoreSubnets,
}

impl IpamError {
    /// Returns the class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            IpamError::InvalidPool { .. }
            | IpamError::InvalidSubPool { .. }
            | IpamError::HostBits { .. }
            | IpamError::Families { .. }
            | IpamError::InvalidAddress { .. }
            | IpamError::GatewayWithoutSubnet { .. }
            | IpamError::GatewayOutside { .. }
            | IpamError::OutOfRange { .. }
            | IpamError::InvalidDefaultPool { .. }
            | IpamError::NoDefaultPool { .. } => Kind::Invalid,
            IpamError::UnknownPool { .. } => Kind::NotFound,
            IpamError::AuxiliaryOutside { .. } | IpamError::AlreadyAllocated { .. } | IpamError::Overlap { .. } => {
                Kind::Forbidden
            }
            IpamError::NoAvailableAddresses { .. } | IpamError::NoMoreSubnets => Kind::Exhausted,
            IpamError::Gateway { source, .. } => source.kind(),
        }
    }
}
