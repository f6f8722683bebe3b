//! Packets: echo requests (RFC 792, RFC 4443), connections, and servers that say whom they see.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, send, socket_with};

use pontoon::names;

use super::stage::Place;
use crate::enter::Namespace;

/// How long an answer may take that must come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait for one that must not; an answer takes a fraction of a millisecond.
const SILENCE: Duration = Duration::from_millis(150);
/// A pause while nothing happens.
const PAUSE: Duration = Duration::from_millis(2);

/// What came back.
pub(super) enum Answer {
    /// A reply.
    Reply,
    /// A server's reply that names the client it sees.
    Client(IpAddr),
    /// Nothing, or a refusal, and why.
    None(String),
}

/// Sends echo requests from a namespace until there is a reply; one only, unless `patient`.
pub(super) fn ping(from: &Namespace, to: IpAddr, patient: bool) -> Answer {
    let wait = if patient { PATIENCE } else { SILENCE };
    let deadline = Instant::now() + wait;
    let mut sequence = 0;
    loop {
        sequence += 1;
        let echoed = from.run(|| echo(to, sequence, if patient { SILENCE } else { wait })).and_then(|echoed| echoed);
        match echoed {
            Ok(()) => return Answer::Reply,
            Err(error) if Instant::now() >= deadline => return Answer::None(format!("no echo reply: {error}")),
            Err(_) => sleep(PAUSE),
        }
    }
}

fn echo(to: IpAddr, sequence: u16, wait: Duration) -> io::Result<()> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
    // Connected, the socket hears from that address only.
    rustix::net::connect(&socket, &SocketAddr::new(to, 0))?;
    let request = request(to.is_ipv6(), sequence);
    send(&socket, &request, SendFlags::empty())?;
    await_reply(&socket, to.is_ipv6(), &request[4..], wait)
}

/// Type, code, checksum, identifier, sequence number, data.
fn request(v6: bool, sequence: u16) -> Vec<u8> {
    let mut message = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
    message.extend((std::process::id() as u16).to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(b"pontoon demo");
    if !v6 {
        // The kernel fills in the other one, which covers addresses.
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

fn await_reply(socket: &OwnedFd, v6: bool, wanted: &[u8], wait: Duration) -> io::Result<()> {
    let deadline = Instant::now() + wait;
    let mut buffer = [0; 256];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        set_socket_timeout(socket, Timeout::Recv, Some(left))?;
        let (length, _) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
        // IPv4 delivers the IP header too, whose length is in its first byte, in units of four bytes.
        let header = if v6 { 0 } else { usize::from(buffer[0] & 15) * 4 };
        let message = buffer.get(header..length).unwrap_or_default();
        let reply = if v6 { 129 } else { 0 };
        if message.first() == Some(&reply) && message.get(4..) == Some(wanted) {
            return Ok(());
        }
    }
}

/// Asks the resolver of a namespace for the address that a name has in a family (RFC 1035 §4, RFC 3596).
pub(super) fn look_up(from: &Namespace, name: &str, v6: bool) -> io::Result<IpAddr> {
    from.run(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((names::RESOLVER_ADDRESS, 53))?;
        socket.send(&question(name, v6))?;
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer)?;
        only_address(&buffer[..length], v6).ok_or_else(|| io::Error::other("there is no such name"))
    })?
}

/// A header that wants recursion, one label, the type and the class.
fn question(name: &str, v6: bool) -> Vec<u8> {
    let mut message = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    message.extend(name.as_bytes());
    message.extend([0, 0, if v6 { 28 } else { 1 }, 0, 1]);
    message
}

/// The address of the one record in an answer: its last bytes.
fn only_address(answer: &[u8], v6: bool) -> Option<IpAddr> {
    if answer.get(6..8) != Some(&[0, 1]) {
        return None;
    }
    match v6 {
        true => Some(IpAddr::from(*answer.last_chunk::<16>()?)),
        false => Some(IpAddr::from(*answer.last_chunk::<4>()?)),
    }
}

/// Connects from a namespace and reads what the server says; tries once only, unless `patient`.
pub(super) fn connect(from: &Namespace, to: SocketAddr, patient: bool) -> Answer {
    let wait = if patient { PATIENCE } else { SILENCE };
    let deadline = Instant::now() + wait;
    loop {
        match from.run(|| ask(to, wait)).and_then(|answer| answer) {
            Ok(text) => return text.trim().parse().map_or(Answer::Reply, Answer::Client),
            Err(error) if !patient || Instant::now() >= deadline => {
                return Answer::None(format!("no connection: {error}"));
            }
            Err(_) => sleep(PAUSE),
        }
    }
}

fn ask(to: SocketAddr, wait: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, wait)?;
    stream.set_read_timeout(Some(wait))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Tells every client its address; ends when dropped.
pub(super) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server in a place, on all its addresses.
    pub(super) fn start(place: &Place, port: u16) -> io::Result<Self> {
        let any: IpAddr = match place.address(true) {
            Some(_) => Ipv6Addr::UNSPECIFIED.into(),
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let listener = place.namespace.run(|| TcpListener::bind((any, port))).and_then(|bound| bound)?;
        // It must notice when it is to stop.
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = stop.clone();
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || serve(&listener, &theirs))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A server that panicked has ended too.
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((mut stream, client)) => {
                // A client that went away has no use for an answer.
                let _ = writeln!(stream, "{}", client.ip().to_canonical());
            }
            Err(_) => sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_add_up() {
        let message = request(false, 7);
        assert_eq!(message.len() % 2, 0);
        assert_eq!(checksum(&message), 0, "the sum over a message with its checksum is zero");
    }
}
