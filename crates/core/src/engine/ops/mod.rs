//! The public operations: each is one edit.

mod addresses;
mod endpoints;
mod find;
mod link_local;
mod networks;
mod ports;
mod sandboxes;
mod spans;
mod target;

pub(in crate::engine) use ports::Ephemeral;
pub use sandboxes::{Attach, Attached};
pub use target::NetworkTarget;
