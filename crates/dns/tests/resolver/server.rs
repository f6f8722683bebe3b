//! Serving sandboxes: sockets come and go, views change, clients misbehave.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::upstream::{Bed, Local, Upstream, good, receive, receive_datagram, send, silent, sockets};
use crate::common::{A, query, registration, render, view, zone};
use pontoon_dns::{AddError, Limits, Outgoing, Outlet, Reach, SandboxKey, Statistics, View, Zone};

const WEB: &str = "4660 NOERROR qr rd ra\n? web. IN A\n= web. 600 IN A 10.0.0.2\n";

fn bed_with(limits: Limits) -> Bed {
    Bed::new(Arc::new(Local::default()), limits, view([zone("front", &["web: 10.0.0.2"])]))
}

fn bed() -> Bed {
    bed_with(Limits::default())
}

#[test]
fn datagrams_and_connections_are_answered() {
    let bed = bed();
    assert_eq!(render(&bed.ask(&query("web", A))), WEB);
    let mut stream = bed.connect();
    for _ in 0..3 {
        send(&mut stream, &query("web", A));
        assert_eq!(render(&receive(&mut stream).unwrap()), WEB);
    }
    // Two at once, and the second in pieces.
    let mut framed = vec![0, 21];
    framed.extend_from_slice(&query("web", A));
    let twice = framed.repeat(2);
    stream.write_all(&twice[..30]).unwrap();
    assert_eq!(render(&receive(&mut stream).unwrap()), WEB);
    stream.write_all(&twice[30..]).unwrap();
    assert_eq!(render(&receive(&mut stream).unwrap()), WEB);
}

#[test]
fn dig_understands_the_answers() {
    let addresses: Vec<String> = (1..=100).map(|number| format!("many: 10.0.1.{number}")).collect();
    let mut names: Vec<&str> = addresses.iter().map(String::as_str).collect();
    names.extend(["web: 10.0.0.2 fd00::2"]);
    let bed = Bed::new(Arc::new(Local::default()), Limits::default(), view([zone("front", &names)]));
    let dig = |port: u16, arguments: &str| {
        let fixed = ["@127.0.0.1", "-p", &port.to_string(), "+tries=1", "+time=20"];
        let output = Command::new("dig").args(fixed).args(arguments.split(' ')).output();
        let output = output.expect("dig runs: install the package dnsutils (Debian) or bind-utils");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (udp, tcp) = (bed.udp.port(), bed.tcp.port());
    assert_eq!(dig(udp, "+short web A"), "10.0.0.2\n");
    assert_eq!(dig(udp, "+short WEB.Front AAAA"), "fd00::2\n");
    assert_eq!(dig(tcp, "+short +tcp -x 10.0.0.2"), "web.front.\n");
    assert_eq!(dig(tcp, "+short +tcp many A").lines().count(), 100);
    assert_eq!(dig(udp, "+short +bufsize=4096 many A").lines().count(), 100);
    assert!(dig(udp, "+noedns +ignore many A").contains("flags: qr tc rd ra; QUERY: 1, ANSWER: 30,"));
    assert!(dig(udp, "+noall +comments web MX").contains("status: NOERROR"));
    for text in [dig(udp, "web A"), dig(udp, "+edns=1 +noednsneg web A"), dig(udp, "+opcode=notify web SOA")] {
        assert!(!text.contains("Warning") && !text.contains("malformed"), "{text}");
    }
}

#[test]
fn what_is_published_is_seen_without_interruption() {
    let shared = zone("front", &["web: 10.0.0.2"]);
    let bed = Bed::new(Arc::new(Local::default()), Limits::default(), view([shared.clone()]));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let client = bed.client();
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                client.send(&query("web", A)).unwrap();
                assert_eq!(render(&receive_datagram(&client)), WEB);
                count += 1;
            }
            count
        });
        for number in 0..500 {
            let mut changed = Zone::clone(&shared.load());
            changed.insert(registration("other", &format!("n{number}: 10.0.2.2")));
            shared.publish(changed);
            assert!(bed.resolver.publish(&bed.key, view([shared.clone()])));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    assert!(render(&bed.ask(&query("n499", A))).contains("10.0.2.2"));
    assert!(bed.resolver.publish(&bed.key, View::default()));
    assert!(render(&bed.ask(&query("web", A))).contains("SERVFAIL"));
}

#[test]
fn sandboxes_are_apart() {
    let bed = bed();
    let (sockets_of_other, udp, _) = sockets();
    let other = SandboxKey::new("s2");
    bed.resolver.add(other.clone(), sockets_of_other, view([zone("back", &["web: 10.0.1.2"])])).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(udp).unwrap();
    client.send(&query("web", A)).unwrap();
    assert!(render(&receive_datagram(&client)).contains("10.0.1.2"));
    assert_eq!(render(&bed.ask(&query("web", A))), WEB);
    assert_eq!(bed.resolver.sandboxes(), [bed.key.clone(), other.clone()]);
    let refused = bed.resolver.add(other.clone(), sockets().0, View::default()).unwrap_err();
    assert!(matches!(&refused, AddError::Exists { sandbox } if *sandbox == other));
    assert_eq!(refused.to_string(), "sandbox s2 has a resolver already: publish to it, or remove it first");
    assert!(bed.resolver.remove(&other) && !bed.resolver.remove(&other));
    assert!(!bed.resolver.publish(&other, View::default()));
    assert_eq!(bed.resolver.statistics(&other), None);
    assert_eq!(render(&bed.ask(&query("web", A))), WEB);
}

/// Checks that the addresses of a bed's sandbox are free, and a connection of it at its end.
fn check_closed(udp: std::net::SocketAddr, tcp: std::net::SocketAddr, stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    UdpSocket::bind(udp).unwrap();
    TcpListener::bind(tcp).unwrap();
}

#[test]
fn removing_and_dropping_close_the_sockets() {
    // Queries that wait, on datagrams and on connections, hold nothing back.
    let upstreams = [Upstream::udp(silent), Upstream::tcp(silent)];
    let servers = upstreams.map(|upstream| upstream.reached_from(Reach::Sandbox)).to_vec();
    let view = View { servers, ..View::default() };
    for remove in [true, false] {
        let bed = Bed::new(Arc::new(Local::default()), Limits::default(), view.clone());
        let mut stream = bed.connect();
        bed.client().send(&query("example.com", A)).unwrap();
        send(&mut stream, &query("example.com", A));
        while bed.resolver.statistics(&bed.key).unwrap().queries < 2 {
            thread::sleep(Duration::from_millis(1));
        }
        let start = Instant::now();
        let (udp, tcp) = (bed.udp, bed.tcp);
        if remove {
            assert!(bed.resolver.remove(&bed.key));
            check_closed(udp, tcp, &mut stream);
        } else {
            drop(bed);
            check_closed(udp, tcp, &mut stream);
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}

#[test]
fn silent_connections_are_closed() {
    let bed = bed_with(Limits { idle: Duration::from_millis(200), ..Limits::default() });
    let mut silent = bed.connect();
    let mut slow = bed.connect();
    slow.write_all(&[0, 21, 0x12]).unwrap();
    let mut busy = bed.connect();
    for _ in 0..6 {
        send(&mut busy, &query("web", A));
        assert_eq!(render(&receive(&mut busy).unwrap()), WEB);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert_eq!(slow.read(&mut [0]).unwrap(), 0);
}

#[test]
fn connections_wait_for_a_place() {
    let bed = bed_with(Limits { connections: 2, ..Limits::default() });
    let mut served: Vec<_> = (0..2).map(|_| bed.connect()).collect();
    for stream in &mut served {
        send(stream, &query("web", A));
        assert_eq!(render(&receive(stream).unwrap()), WEB);
    }
    let mut third = bed.connect();
    send(&mut third, &query("web", A));
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(receive(&mut third), None);
    served.pop();
    third.set_read_timeout(Some(crate::common::upstream::PATIENCE)).unwrap();
    assert_eq!(render(&receive(&mut third).unwrap()), WEB);
}

#[test]
fn nonsense_is_survived_and_counted() {
    let bed = bed();
    let client = bed.client();
    client.send(b"").unwrap();
    client.send(&[0xff; 2000]).unwrap();
    client.send(&query("web", A)[..14]).unwrap();
    assert_eq!(render(&receive_datagram(&client)), "4660 FORMERR qr rd ra\n");
    let mut stream = bed.connect();
    send(&mut stream, b"");
    send(&mut stream, &query("web", A));
    assert_eq!(render(&receive(&mut stream).unwrap()), WEB);
    let expected = Statistics { queries: 5, answered: 2, dropped: 3, ..Statistics::default() };
    assert_eq!(bed.resolver.statistics(&bed.key), Some(expected));
}

/// Breaks at first.
struct Breaks(AtomicBool);

impl Outlet for Breaks {
    fn open(&self, outgoing: &Outgoing) -> io::Result<OwnedFd> {
        assert!(self.0.swap(true, Ordering::Relaxed), "expected by this test");
        outgoing.open_here()
    }
}

#[test]
fn an_outlet_that_panics_is_a_server_that_is_not_reached() {
    let upstream = Upstream::udp(good);
    let server = upstream.reached_from(Reach::Sandbox);
    let view = View { servers: vec![server], ..View::default() };
    let bed = Bed::new(Arc::new(Breaks(AtomicBool::new(false))), Limits::default(), view);
    assert!(render(&bed.ask(&query("example.com", A))).starts_with("4660 SERVFAIL"));
    assert!(render(&bed.ask(&query("example.com", A))).starts_with("4660 NOERROR"));
}

/// Never returns in time.
struct Hangs;

impl Outlet for Hangs {
    fn open(&self, outgoing: &Outgoing) -> io::Result<OwnedFd> {
        thread::sleep(Duration::from_millis(700));
        outgoing.open_here()
    }
}

#[test]
fn an_outlet_that_hangs_holds_up_nothing_else() {
    let servers = vec![Upstream::udp(good).reached_from(Reach::Sandbox)];
    let view = View { servers, ..view([zone("front", &["web: 10.0.0.2"])]) };
    let bed = Bed::new(Arc::new(Hangs), Limits { attempt: Duration::from_millis(100), ..Limits::default() }, view);
    let client = bed.client();
    for _ in 0..50 {
        client.send(&query("example.com", A)).unwrap();
    }
    client.send(&query("web", A)).unwrap();
    assert_eq!(render(&receive_datagram(&client)), WEB);
    for _ in 0..50 {
        assert!(render(&receive_datagram(&client)).starts_with("4660 SERVFAIL"));
    }
}

#[test]
fn a_flood_on_one_sandbox_leaves_room_for_the_others() {
    let bed = bed();
    let (sockets, flooded, _) = sockets();
    bed.resolver.add(SandboxKey::new("flooded"), sockets, View::default()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(flooded).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let _ = client.send(&query("web", A)[..14]);
            }
        });
        for _ in 0..1000 {
            assert_eq!(render(&bed.ask(&query("web", A))), WEB);
        }
        stop.store(true, Ordering::Relaxed);
    });
}
