//! Servers that misbehave, on loopback addresses.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pontoon_dns::{Limits, Outgoing, Outlet, Reach, Resolver, SandboxKey, Server, Sockets, View};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server; what it answers is a function of the query, any number of messages.
///
/// Its thread lasts until the test program ends.
#[derive(Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
    queries: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Upstream {
    /// Starts a server of datagrams.
    pub(crate) fn udp(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let upstream = Self { address: socket.local_addr().unwrap(), queries: Arc::default() };
        let queries = Arc::clone(&upstream.queries);
        thread::spawn(move || {
            let mut buffer = [0; 65535];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                queries.lock().unwrap().push(buffer[..length].to_vec());
                for answer in answers(&buffer[..length]) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        upstream
    }

    /// Starts a server of connections.
    pub(crate) fn tcp(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), queries: Arc::default() };
        let queries = Arc::clone(&upstream.queries);
        thread::spawn(move || {
            // Kept open: a server that hangs does not hang up.
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                let Some(query) = receive(&mut stream) else { continue };
                queries.lock().unwrap().push(query.clone());
                for answer in answers(&query) {
                    send(&mut stream, &answer);
                }
                open.push(stream);
            }
        });
        upstream
    }

    /// Returns an address at which nobody listens.
    pub(crate) fn nobody() -> Self {
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        Self { address, queries: Arc::default() }
    }

    pub(crate) fn reached_from(&self, reach: Reach) -> Server {
        Server { address: self.address, reach }
    }

    /// Returns what the server was asked.
    pub(crate) fn queries(&self) -> Vec<Vec<u8>> {
        self.queries.lock().unwrap().clone()
    }
}

/// Returns an answer to a query: the code, and the address 192.0.2.1 if that is 0.
pub(crate) fn answer(query: &[u8], code: u8) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80 | code;
    if code == 0 {
        answer[7] = 1;
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    answer
}

/// A server that answers everything with the address 192.0.2.1.
pub(crate) fn good(query: &[u8]) -> Vec<Vec<u8>> {
    vec![answer(query, 0)]
}

/// A server that answers nothing.
pub(crate) fn silent(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

/// Opens sockets in the namespace of the test, whatever is asked for, and remembers what was.
#[derive(Default)]
pub(crate) struct Local(pub(crate) Mutex<Vec<Outgoing>>);

impl Outlet for Local {
    fn open(&self, outgoing: &Outgoing) -> io::Result<OwnedFd> {
        self.0.lock().unwrap().push(outgoing.clone());
        outgoing.open_here()
    }
}

/// A resolver with one sandbox, and what a client in there would use.
pub(crate) struct Bed {
    pub(crate) resolver: Resolver,
    pub(crate) key: SandboxKey,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
}

impl Bed {
    pub(crate) fn new(outlet: Arc<dyn Outlet>, limits: Limits, view: View) -> Self {
        let resolver = Resolver::start(outlet, limits).unwrap();
        let key = SandboxKey::new("s1");
        let (sockets, udp, tcp) = sockets();
        resolver.add(key.clone(), sockets, view).unwrap();
        Self { resolver, key, udp, tcp }
    }

    /// Sends a query by datagram and returns the answer.
    pub(crate) fn ask(&self, query: &[u8]) -> Vec<u8> {
        let client = self.client();
        client.send(query).unwrap();
        receive_datagram(&client)
    }

    /// Returns a client's socket.
    pub(crate) fn client(&self) -> UdpSocket {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.connect(self.udp).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Returns a client's connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// Returns sockets to serve on, and their addresses.
pub(crate) fn sockets() -> (Sockets, SocketAddr, SocketAddr) {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (at_udp, at_tcp) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    (Sockets { udp, tcp }, at_udp, at_tcp)
}

pub(crate) fn receive_datagram(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65535];
    let length = client.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// Sends a message after its length.
pub(crate) fn send(stream: &mut TcpStream, message: &[u8]) {
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).unwrap();
}

/// Returns the next message of a connection, or nothing if it ended.
pub(crate) fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}
