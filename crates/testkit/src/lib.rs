//! Doubles and fixtures for tests; never in a binary.
#![forbid(unsafe_code)]

mod kernel;
mod namespace;

pub use kernel::{Feature, require};
pub use namespace::{ip_json, isolated, nft_json, run};
