//! The public operations: each is one edit.

mod addresses;
mod endpoints;
mod find;
mod gateway_network;
mod link_local;
mod networks;
mod ports;
mod publish;
mod routes;
mod sandboxes;
mod spans;
mod target;

pub use gateway_network::GATEWAY_NETWORK;
pub(in crate::engine) use ports::Ephemeral;
pub use sandboxes::{Attach, Attached};
pub use target::NetworkTarget;
