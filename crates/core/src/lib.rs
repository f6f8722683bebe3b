//! What should exist: the pure half of Pontoon.
//!
//! The state of the controller is plain data ([`model`]). Drivers ([`drivers`]) are pure functions from it to the host
//! objects that should exist ([`objects`]). The [`engine`] edits a draft of the state, takes the difference between the
//! objects before and after as a plan, has a [`engine::Host`] apply it all or nothing, and commits the records.
//!
//! This crate performs no I/O: no sockets, files, clocks or randomness of its own.

#![forbid(unsafe_code)]

pub mod drivers;
pub mod engine;
pub mod error;
pub mod files;
pub mod firewall;
pub mod ipam;
pub mod model;
pub mod objects;
pub mod ports;

pub use error::{Error, Kind};
