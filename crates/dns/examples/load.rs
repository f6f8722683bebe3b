//! What answering a known name costs, beside a thread that sends every datagram back.
//!
//! ```text
//! cargo run --release -p pontoon-dns --example load
//! cargo run --release -p pontoon-dns --example load -- 10.0.0.1:53 web.front    another resolver
//! ```

#![forbid(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pontoon_dns::{Limits, Outgoing, Outlet, Registration, Resolver, SandboxKey, SharedZone, Sockets, View, Zone};

/// How many names the network has.
const NAMES: u32 = 1000;
const ROUNDS: usize = 5;
const SEQUENCE: usize = 20_000;
const CLIENTS: usize = 4;
const IN_FLIGHT: usize = 50;
const LOAD: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let echo = start_echo()?;
    let resolver = start_resolver()?;
    let (server, name) = match arguments.as_slice() {
        [server, name] => (server.parse().map_err(io::Error::other)?, name.as_str()),
        _ => (resolver.1, "n500"),
    };
    let query = query(name);
    println!("one name more and one less among {NAMES}, seen by every sandbox: {:.1} µs", publish());
    for _ in 0..ROUNDS {
        let (bare, ours) = (in_sequence(echo, &query)?, in_sequence(server, &query)?);
        println!("in sequence: echo {bare:.1} µs, resolver {ours:.1} µs, {:.2} x", ours / bare);
    }
    for _ in 0..ROUNDS {
        let (bare, ours) = (under_load(echo, &query)?, under_load(server, &query)?);
        println!("{CLIENTS} clients, {IN_FLIGHT} in flight: echo {bare:.0} /s, resolver {ours:.0} /s");
    }
    Ok(())
}

/// Sends every datagram back from a blocking thread: the least that an answer can cost.
fn start_echo() -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            // Looks like an answer with one record, to clients that look.
            buffer[7] = 1;
            let _ = socket.send_to(&buffer[..length], client);
        }
    });
    Ok(address)
}

fn start_resolver() -> io::Result<(Resolver, SocketAddr)> {
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    let address = udp.local_addr()?;
    let sockets = Sockets { udp, tcp: TcpListener::bind("127.0.0.1:0")? };
    let resolver = Resolver::start(Arc::new(Nowhere), Limits::default())?;
    let view = View { endpoints: vec![SharedZone::new(zone()).into()], ..View::default() };
    resolver.add(SandboxKey::new("load"), sockets, view).map_err(io::Error::other)?;
    Ok((resolver, address))
}

fn zone() -> Zone {
    let mut zone = Zone::new("front");
    (0..NAMES).for_each(|number| zone.insert(registration(number)));
    zone
}

fn registration(number: u32) -> Registration {
    Registration {
        owner: format!("e{number}"),
        names: vec![format!("n{number}"), format!("{number:012x}")],
        addresses: vec![Ipv4Addr::from(0x0a00_0000 + number).into()],
        ..Registration::default()
    }
}

/// Returns the mean time of a change, in microseconds.
fn publish() -> f64 {
    let shared = SharedZone::new(zone());
    let start = Instant::now();
    for number in NAMES..2 * NAMES {
        let mut zone = Zone::clone(&shared.load());
        zone.insert(registration(number));
        zone.remove(&format!("e{}", number - NAMES));
        shared.publish(zone);
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(NAMES)
}

/// No other server is asked.
struct Nowhere;

impl Outlet for Nowhere {
    fn open(&self, _: &Outgoing) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::NetworkUnreachable.into())
    }
}

fn query(name: &str) -> Vec<u8> {
    let mut octets = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.extend_from_slice(&[0, 0, 1, 0, 1]);
    octets
}

fn client(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket)
}

/// Returns the median time of an answer, in microseconds.
fn in_sequence(server: SocketAddr, query: &[u8]) -> io::Result<f64> {
    let socket = client(server)?;
    let mut buffer = [0; 4096];
    let mut times = Vec::with_capacity(SEQUENCE);
    for _ in 0..SEQUENCE {
        let start = Instant::now();
        socket.send(query)?;
        socket.recv(&mut buffer)?;
        times.push(start.elapsed());
        assert_eq!(buffer[7], 1, "an answer with one record");
    }
    times.sort_unstable();
    Ok(times[SEQUENCE / 2].as_secs_f64() * 1e6)
}

/// Returns answers in a second to clients that each keep some queries in flight.
fn under_load(server: SocketAddr, query: &[u8]) -> io::Result<f64> {
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS).map(|_| client(server)).collect::<Result<_, _>>()?;
    let counts: io::Result<Vec<u32>> = thread::scope(|scope| {
        let threads: Vec<_> =
            clients.iter().map(|socket| scope.spawn(move || keep_busy(socket, query, start))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the client does not panic")).collect()
    });
    Ok(f64::from(counts?.iter().sum::<u32>()) / start.elapsed().as_secs_f64())
}

fn keep_busy(socket: &UdpSocket, query: &[u8], start: Instant) -> io::Result<u32> {
    let mut buffer = [0; 4096];
    for _ in 0..IN_FLIGHT {
        socket.send(query)?;
    }
    let mut count = 0;
    while start.elapsed() < LOAD {
        match socket.recv(&mut buffer) {
            Ok(_) => count += 1,
            // Something was lost.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        socket.send(query)?;
    }
    Ok(count)
}
