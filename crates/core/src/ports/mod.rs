//! Host ports: how they are asked for, and which are taken.
//!
//! [`PortSpec`] is the user's text. [`PortIndex`] is the usage derived from the records of the state; [`choose`] answers from
//! it, and the caller writes the record and the index.

mod choose;
mod error;
mod index;
mod proto;
mod range;
mod spec;
mod sysctl;
#[cfg(test)]
mod tests;

pub use choose::{BusyPort, PortChoice, PortQuery, choose};
pub use error::PortError;
pub use index::PortIndex;
pub use proto::PortProto;
pub use range::PortRange;
pub use spec::{HostPort, PortSpec};
pub use sysctl::parse_reserved_ports;
