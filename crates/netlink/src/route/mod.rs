//! Links, addresses, routes and rates: typed builders that return a [`Request`], and typed lists.
//!
//! A builder never speaks to the kernel: collect requests and send them with
//! [`Socket::batch`](crate::Socket::batch). Addresses and routes are the same type in both
//! directions, so what was listed can be deleted or restored as it was.

mod address;
mod change;
mod link;
mod list;
mod neighbor;
#[expect(clippy::module_inception, reason = "a route is what this file is about")]
mod route;
mod shaping;

use netlink_packet_core::Emitable;
use netlink_packet_route::link::LinkMessage;

pub use address::{Address, addresses};
pub use change::{
    AddressGeneration, BridgePort, Ipv4Setting, LinkChange, PortState, delete_group, delete_link, rename_link,
};
pub use link::{Bridge, Kind, NewLink, Peer};
pub use list::{Counters, Link, Port, counters, index_of, link, links, look};
pub use neighbor::announce;
pub use route::{Family, Route, RouteFilter, RouteKind, RouteScope, TABLE_MAIN, routes};
pub use shaping::{TokenBucket, add_ingress, buckets, delete_ingress, delete_root, redirect_all, redirects};

use crate::{Error, Request};

/// A hardware address.
pub type Mac = [u8; 6];

/// How a request names the link it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// By interface index.
    Index(u32),
    /// By name: for links made earlier in the same batch.
    Name(String),
}

impl From<u32> for Target {
    fn from(index: u32) -> Self {
        Self::Index(index)
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl Target {
    fn message(&self) -> LinkMessage {
        use netlink_packet_route::link::LinkAttribute;
        let mut message = LinkMessage::default();
        match self {
            Self::Index(index) => message.header.index = *index,
            Self::Name(name) => message.attributes.push(LinkAttribute::IfName(name.clone())),
        }
        message
    }
}

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

fn request(kind: u16, flags: u16, message: &impl Emitable) -> Request {
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    Request { kind, flags, payload }
}

fn malformed(what: &'static str) -> impl Fn(netlink_packet_core::DecodeError) -> Error {
    move |reason| Error::Malformed { what, reason: reason.to_string() }
}
