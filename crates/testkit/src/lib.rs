//! Doubles and fixtures for tests; never in a binary.
#![forbid(unsafe_code)]

mod capture;
mod environment;
pub mod fake;
mod gate;
mod kernel;
mod namespace;

pub use capture::{Capture, times};
pub use environment::TestEnvironment;
pub use fake::{Crash, FakeHost, Snapshot, crashes};
pub use gate::{First, Gate};
pub use kernel::{Feature, require};
pub use namespace::{ip_json, is_isolated, isolated, nft_json, run};
