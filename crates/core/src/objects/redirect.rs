//! The way to the resolver inside a sandbox.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::model::SandboxId;

/// The address at which every sandbox asks its resolver, on port 53.
pub const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The port on which the resolver listens, below those that the kernel gives out by itself.
pub const RESOLVER_PORT: u16 = 11_053;

/// Questions to port 53 of [`RESOLVER_ADDRESS`] go to another port of it, so that the container may serve port 53 itself: the
/// nftables table `ip pontoon-dns` in the sandbox's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The port on which the resolver listens, by UDP and TCP; 0 if the table is there and damaged: none is asked for so.
    pub port: u16,
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self.port {
            0 => "nowhere".to_owned(),
            port => format!("port {port}"),
        };
        write!(f, "redirect {RESOLVER_ADDRESS}:53 to {port} in sandbox {}", self.sandbox.short())
    }
}
