//! Sockets inside sandboxes: those on which they ask, and those through which others are asked for them.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddrV4, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pontoon_dns::{Outgoing, Outlet, Reach, Sockets};
use pontoon_netlink::netns::{Identity, Namespace, Visitor};
use rustix::net::sockopt;

use super::{RESOLVER_ADDRESS, RESOLVER_PORT};

/// How many threads visit sandboxes; a visit takes microseconds.
const VISITORS: NonZeroUsize = const { NonZeroUsize::new(4).expect("four is not zero") };

/// How much may wait on a sandbox's socket, in bytes as the kernel counts them: about a thousand queries.
const WAITING: usize = 1 << 20;

/// The namespaces of a run directory's sandboxes, by the beginning of the sandbox's id. None is kept open.
pub(super) struct Namespaces {
    directory: PathBuf,
    visitor: Visitor,
}

impl Namespaces {
    pub(super) fn below(run_dir: &Path) -> io::Result<Self> {
        let visitor = Visitor::new(VISITORS).map_err(io::Error::other)?;
        Ok(Self { directory: run_dir.join("netns"), visitor })
    }

    /// Opens the sockets on which a sandbox asks, and says in which namespace they are.
    pub(super) fn listen(&self, sandbox: &str) -> io::Result<(Sockets, Identity)> {
        let namespace = self.open(sandbox)?;
        let identity = namespace.identity().map_err(io::Error::other)?;
        let address = SocketAddrV4::new(RESOLVER_ADDRESS, RESOLVER_PORT);
        let bind = move || {
            let taken = |protocol| {
                move |error: io::Error| {
                    io::Error::new(error.kind(), format!("{address}/{protocol} cannot be had: {error}"))
                }
            };
            let udp = UdpSocket::bind(address).map_err(taken("udp"))?;
            widen(&udp);
            Ok(Sockets { udp, tcp: TcpListener::bind(address).map_err(taken("tcp"))? })
        };
        let sockets: io::Result<Sockets> = self.visitor.visit(&namespace, bind).map_err(io::Error::other)?;
        Ok((sockets?, identity))
    }

    /// Returns which namespace a sandbox has now, if it has one. It is not opened: descriptors may be scarce.
    pub(super) fn identity(&self, sandbox: &str) -> io::Result<Option<Identity>> {
        match fs::metadata(self.directory.join(sandbox)) {
            Ok(found) => Ok(Some(Identity { device: found.dev(), inode: found.ino() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, sandbox: &str) -> io::Result<Namespace> {
        Namespace::open(self.directory.join(sandbox)).map_err(io::Error::other)
    }
}

/// Lets more queries wait than the 190 or so that a socket holds by default. Only who may change the host's network exceeds its
/// limit (net.core.rmem_max); others have what they have.
fn widen(socket: &UdpSocket) {
    let _ = sockopt::set_socket_recv_buffer_size_force(socket, WAITING);
}

impl Outlet for Namespaces {
    fn open(&self, outgoing: &Outgoing) -> io::Result<OwnedFd> {
        match outgoing.reach {
            Reach::Host => outgoing.open_here(),
            Reach::Sandbox => {
                let namespace = self.open(outgoing.sandbox.as_str())?;
                let outgoing = outgoing.clone();
                self.visitor.visit(&namespace, move || outgoing.open_here()).map_err(io::Error::other)?
            }
        }
    }
}
