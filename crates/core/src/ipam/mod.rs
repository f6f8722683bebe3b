//! Address management: which subnets, addresses and ranges are taken, and which comes next.
//!
//! Everything here is a value or a pure function over values. Usage is an index ([`AddressSet`]) derived from the records of
//! the state; these functions read it and answer, the caller writes the record and the index.

mod addresses;
mod avoid;
mod error;
mod pool;
mod predefined;
mod ranges;
mod request;
#[cfg(test)]
mod tests;

pub use addresses::{AddressSet, Family};
pub use avoid::{HostRoute, RouteScope, nameserver_prefixes, on_link_prefixes, reserved_prefixes};
pub use error::IpamError;
pub use pool::{Order, Pool, PoolStatus, check_auxiliary, choose_address, choose_gateway, status};
pub use predefined::{DefaultPools, PoolConfig, SubnetQuery, choose_subnet, derive_ula};
pub use ranges::{Point, Ranges};
pub use request::{PoolRequest, PoolText, Subnet, check_overlap, parse_pool};
