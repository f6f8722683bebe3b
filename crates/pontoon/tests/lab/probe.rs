//! Packets sent and answered: ping, TCP and UDP, with short patience.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, ipproto, socket};

/// How long an answer is waited for. Those that come take less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(300);

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proto {
    Tcp,
    Udp,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    Ping(IpAddr),
    Connect(Proto, SocketAddr),
}

/// A server's socket; it may be used outside the namespace that it was opened in.
pub(crate) enum Server {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |what: &str| format!("{what} in `{text}`");
        let (kind, to) = text.split_once(' ').ok_or_else(|| bad("no address"))?;
        let socket = || to.parse().map_err(|_| bad("no address with a port"));
        match kind {
            "ping" => Ok(Self::Ping(to.parse().map_err(|_| bad("no address"))?)),
            "tcp" => Ok(Self::Connect(Proto::Tcp, socket()?)),
            "udp" => Ok(Self::Connect(Proto::Udp, socket()?)),
            _ => Err(bad("no protocol")),
        }
    }
}

/// Asks in the namespace of the calling thread; the answer says who answered and whom it saw.
pub(crate) fn answer(question: &Question) -> String {
    let asked = match *question {
        Question::Ping(to) => ping(to).map(|()| "answered".to_owned()),
        Question::Connect(Proto::Tcp, to) => tcp(to),
        Question::Connect(Proto::Udp, to) => udp(to),
    };
    asked.unwrap_or_else(|error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer".to_owned(),
        ErrorKind::ConnectionRefused => "refused".to_owned(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "no route".to_owned(),
        _ => error.to_string(),
    })
}

/// Says whether an answer is none.
pub(crate) fn is_refusal(answer: &str) -> bool {
    !(answer == "answered" || answer.contains(" sees "))
}

impl Proto {
    /// Opens a server's socket for both families.
    pub(crate) fn open(self, port: u16) -> io::Result<Server> {
        let address = (Ipv6Addr::UNSPECIFIED, port);
        match self {
            Self::Tcp => TcpListener::bind(address).map(Server::Tcp),
            Self::Udp => UdpSocket::bind(address).map(Server::Udp),
        }
    }

    /// Tells every client whom it reached and whom it is seen as.
    pub(crate) fn serve(self, server: Server, name: String) {
        let told = move |peer: SocketAddr| format!("{name} sees {}", peer.ip().to_canonical());
        thread::spawn(move || match server {
            Server::Tcp(listener) => listener.incoming().flatten().for_each(|mut stream| {
                if let Ok(peer) = stream.peer_addr() {
                    // A client that has gone needs no answer.
                    let _ = stream.write_all(told(peer).as_bytes());
                }
            }),
            Server::Udp(socket) => loop {
                if let Ok((_, peer)) = socket.recv_from(&mut [0; 16]) {
                    let _ = socket.send_to(told(peer).as_bytes(), peer);
                }
            },
        });
    }
}

fn tcp(to: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    Ok(told)
}

fn udp(to: SocketAddr) -> io::Result<String> {
    let any: IpAddr = if to.is_ipv6() { [0; 16].into() } else { [0; 4].into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Connected, so that only the one who was asked can answer.
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"?")?;
    let mut told = [0; 256];
    let length = socket.recv(&mut told)?;
    Ok(String::from_utf8_lossy(&told[..length]).into_owned())
}

/// Sends one echo request (RFC 792, RFC 4443 section 4) and waits for its reply.
fn ping(to: IpAddr) -> io::Result<()> {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (family, protocol, request, reply) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, 8, 0),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, 128, 129),
    };
    let socket = UdpSocket::from(socket(family, SocketType::RAW, Some(protocol))?);
    socket.connect((to, 0))?;
    socket.send(&echo(request, id))?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 256];
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut buffer)?;
        // An IPv4 socket gets the IP header too.
        let header = if to.is_ipv4() { usize::from(buffer[0] & 0xf) * 4 } else { 0 };
        let message = &buffer[header.min(length)..length];
        if message.len() >= 8 && message[0] == reply && message[4..6] == id.to_be_bytes() {
            return Ok(());
        }
    }
}

/// For IPv6 the kernel computes the checksum, over the addresses too.
fn echo(kind: u8, id: u16) -> [u8; 8] {
    let mut sum = u32::from(kind) << 8;
    sum += u32::from(id) + 1;
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    let ([c0, c1], [i0, i1]) = (checksum.to_be_bytes(), id.to_be_bytes());
    [kind, 0, c0, c1, i0, i1, 0, 1]
}
