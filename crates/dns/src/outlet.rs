//! Sockets for asking other servers.

use std::borrow::Borrow;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::request::Transport;
use crate::view::Reach;

/// What a sandbox is called by who added it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxKey(Arc<str>);

impl SandboxKey {
    /// Returns the key with this text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SandboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for SandboxKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Opens the sockets through which other servers are asked, in the namespaces that these are reached from.
pub trait Outlet: Send + Sync + 'static {
    /// Opens a socket, as [`Outgoing::open_here`] does, in the namespace that `outgoing.reach` stands for.
    ///
    /// It is called on a thread where it may block, many times at once. An error means that this server cannot be
    /// reached; the next one is asked.
    fn open(&self, outgoing: &Outgoing) -> io::Result<OwnedFd>;
}

/// A socket that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The sandbox for which a server is asked.
    pub sandbox: SandboxKey,
    /// Where the server is reached from.
    pub reach: Reach,
    /// The server that the socket will be connected to.
    pub server: SocketAddr,
    /// Whether it is asked by datagrams or on a connection.
    pub transport: Transport,
}

impl Outgoing {
    /// Opens a socket, neither bound nor connected, in the network namespace of the calling thread.
    pub fn open_here(&self) -> io::Result<OwnedFd> {
        let family = if self.server.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let kind = match self.transport {
            Transport::Udp => SocketType::DGRAM,
            Transport::Tcp => SocketType::STREAM,
        };
        Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
    }
}
