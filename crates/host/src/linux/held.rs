//! Host ports kept from other programs.
//!
//! The socket of a published port never sees a packet: addresses are translated before packets reach sockets, and what
//! gets past that is dropped by a filter.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pontoon_core::engine::HostError;
use pontoon_core::objects::Held;
use pontoon_core::ports::PortProto;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

use super::error;

/// Sockets of this process, by what they hold.
#[derive(Debug, Default)]
pub(super) struct HeldPorts(Mutex<HashMap<(PortProto, IpAddr, u16), Vec<OwnedFd>>>);

impl HeldPorts {
    /// Binds all the ports, or none.
    pub(super) fn hold(&self, held: &Held) -> Result<(), HostError> {
        let before = self.lock().get(&key(held)).map(Vec::len);
        match before {
            Some(count) if count == usize::from(held.count) => return Ok(()),
            Some(_) => self.release(held),
            None => {}
        }
        let sockets = (0..held.count).map(|i| bound(held, held.port.saturating_add(i))).collect::<Result<_, _>>()?;
        self.lock().insert(key(held), sockets);
        Ok(())
    }

    /// Closes the sockets, if there are any.
    pub(super) fn release(&self, held: &Held) {
        let sockets = self.lock().remove(&key(held));
        // Closed here, without the lock.
        drop(sockets);
    }

    /// Returns what is held.
    pub(super) fn list(&self) -> Vec<Held> {
        let held = self.lock();
        let each = held.iter().map(|(&(proto, ip, port), sockets)| Held {
            proto,
            ip,
            port,
            count: u16::try_from(sockets.len()).unwrap_or(u16::MAX),
        });
        each.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(PortProto, IpAddr, u16), Vec<OwnedFd>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(held: &Held) -> (PortProto, IpAddr, u16) {
    (held.proto, held.ip, held.port)
}

fn bound(held: &Held, port: u16) -> Result<OwnedFd, HostError> {
    let (ip, proto) = (held.ip, held.proto);
    let address = SocketAddr::new(ip, port);
    open(address, proto).map_err(|errno| match errno {
        Errno::ADDRINUSE => HostError::PortBusy { ip, port, proto },
        Errno::ADDRNOTAVAIL => {
            let text =
                format!("host address {ip} of port {port}/{proto} is not an address of this host: publish on another");
            error::of(libc::EADDRNOTAVAIL, text)
        }
        Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::SOCKTNOSUPPORT => {
            HostError::Unsupported { what: format!("{proto} over {}", if ip.is_ipv6() { "IPv6" } else { "IPv4" }) }
        }
        other => error::io(&format!("binding host port {address}/{proto}"), &other.into()),
    })
}

fn open(address: SocketAddr, proto: PortProto) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, protocol) = match proto {
        PortProto::Tcp => (SocketType::STREAM, ipproto::TCP),
        PortProto::Udp => (SocketType::DGRAM, ipproto::UDP),
        PortProto::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let protocol: Option<Protocol> = Some(protocol);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if proto == PortProto::Tcp {
        // Connections of the port's last holder may linger for a minute. Two UDP sockets would share the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    // Before it is bound: no packet may get in.
    drop_everything(&socket).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::INVAL))?;
    bind(&socket, &address)?;
    if proto != PortProto::Udp {
        // A port that is bound but not listened on could be listened on by others.
        listen(&socket, libc::SOMAXCONN)?;
    }
    Ok(socket)
}

/// Attaches a classic BPF program of one instruction: accept zero bytes.
#[expect(unsafe_code, reason = "no safe library attaches filters")]
fn drop_everything(socket: impl AsFd) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let return_constant = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut instruction = libc::sock_filter { code: return_constant, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut instruction };
    // SAFETY: the descriptor is open for the duration of the call; `program` points to one instruction that lives as long,
    // and the length given is that of `program`. The kernel copies both.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
