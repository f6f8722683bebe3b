//! The embedded resolver: answers containers on 127.0.0.11, and asks other servers what it does not know.
//!
//! Deciding is pure, and apart from doing; lookups take no lock.
//!
//! ```text
//! zone      what the names of one network stand for     ┐
//! view      what one sandbox sees                       ├ values
//! answer    query + view -> reply | forward | drop      ┘ one function
//! forward   asking other servers, through sockets that an Outlet opens
//! server    Resolver: the sockets of all sandboxes, on one thread
//! ```
//!
//! The crate enters no namespace: sockets stay in the namespace they were opened in, and others open them.
#![forbid(unsafe_code)]

mod answer;
mod exchange;
mod forward;
mod interval;
mod limits;
mod name;
mod outlet;
mod reply;
mod request;
mod sandbox;
mod server;
mod statistics;
mod stream;
mod view;
mod zone;

pub use answer::{Decision, answer};
pub use limits::Limits;
pub use outlet::{Outgoing, Outlet, SandboxKey};
pub use request::Transport;
pub use server::{AddError, Resolver, Sockets};
pub use statistics::Statistics;
pub use view::{Endpoint, RESOLVER_ADDRESS, Reach, Server, View};
pub use zone::{Registration, Reverse, Service, SharedZone, Zone};
