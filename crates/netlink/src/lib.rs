//! Speaking to Linux: netlink sockets, network namespaces, nftables and conntrack.
//!
//! This crate knows how the kernel is spoken to and forbids policy: names, marks and protocol
//! numbers are parameters. Every call is synchronous, because namespaces belong to threads.
//!
//! ```text
//! route / nft / conntrack   typed builders -> Request, payloads -> typed entries
//! socket                    Request -> bytes -> kernel -> answers in order
//! netns                     where a socket is opened
//! ```
#![deny(unsafe_code)]

pub mod conntrack;
pub mod netns;
pub mod nft;
pub mod route;

mod errno;
mod error;
mod frame;
mod socket;
mod sys;

pub use errno::errno_name;
pub use error::{Error, Refusal, Rejection};
pub use frame::Request;
pub use socket::{Message, Protocol, Socket};
