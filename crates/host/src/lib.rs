//! Making it exist: the only effects of Pontoon.
//!
//! [`linux`] applies plans and observes; [`store`] keeps records; [`preview`] only looks; [`environment`] is who and when.

#![deny(unsafe_code)]

pub mod environment;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod preview;
pub mod store;
