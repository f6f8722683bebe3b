//! The files that a container sees: `/etc/hosts` and `/etc/resolv.conf`, from text to text.
//!
//! [`hosts`] makes a hosts file and edits one that the container may have edited too. [`resolv_conf`] reads the host's
//! resolv.conf and turns it into the container's, with the servers that the resolver asks. Reading and writing is the caller's.

mod basis;
mod error;
mod extra_host;
pub mod hosts;
mod name_server;
pub mod resolv_conf;
#[cfg(test)]
mod tests;

pub use basis::{Basis, Origin};
pub use error::FileError;
pub use extra_host::{ExtraHost, HOST_GATEWAY, HostAddress};
pub use name_server::NameServer;

use serde::{Deserialize, Serialize};

/// Whether a container has IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ipv6 {
    /// It has.
    On,
    /// It has not: files name no IPv6 address.
    Off,
    /// Nobody could say, so files are written as if it had.
    #[default]
    Unknown,
}

impl Ipv6 {
    /// Whether an address is of use to the container.
    fn allows(self, ip: std::net::IpAddr) -> bool {
        self != Self::Off || ip.is_ipv4()
    }
}
