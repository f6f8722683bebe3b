//! Asking other servers: which, in which order, and what of their answers counts.

use std::collections::HashSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::upstream::{Bed, Local, Upstream, answer, good, receive, receive_datagram, send, silent, sockets};
use crate::common::{A, MX, PTR, query, render, view, zone};
use pontoon_dns::{Limits, Reach, SandboxKey, Server, Transport, View};

/// So short that a test can wait for it, and long enough for an answer on a busy machine.
const ATTEMPT: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits { attempt: ATTEMPT, ..Limits::default() }
}

fn in_sandbox(upstreams: &[&Upstream]) -> View {
    let servers = upstreams.iter().map(|upstream| upstream.reached_from(Reach::Sandbox)).collect();
    View { servers, ..view([zone("front", &["web: 10.0.0.2"])]) }
}

fn bed(upstreams: &[&Upstream]) -> Bed {
    Bed::new(Arc::new(Local::default()), limits(), in_sandbox(upstreams))
}

const GOOD: &str = "4660 NOERROR qr rd ra\n? example.com. IN A\n= example.com. 60 IN A 192.0.2.1\n";
const FAILED: &str = "4660 SERVFAIL qr rd ra\n? example.com. IN A\n";
const REFUSED: &str = "4660 REFUSED qr rd ra\n? example.com. IN A\n";

/// Checks the answer to a query for `example.com`, and how often each server was asked.
fn check(upstreams: &[&Upstream], expected: &str, asked: &[usize]) {
    let bed = bed(upstreams);
    assert_eq!(render(&bed.ask(&query("example.com", A))), expected);
    let counts: Vec<usize> = upstreams.iter().map(|upstream| upstream.queries().len()).collect();
    assert_eq!(counts, asked);
}

#[test]
fn the_first_server_that_answers_is_the_last_that_is_asked() {
    check(&[&Upstream::udp(good), &Upstream::udp(good)], GOOD, &[1, 0]);
}

#[test]
fn servers_that_fail_refuse_hang_or_are_not_there_are_passed_over() {
    let failing = |code| Upstream::udp(move |query| vec![answer(query, code)]);
    check(&[&failing(2), &Upstream::udp(good)], GOOD, &[1, 1]);
    check(&[&failing(5), &Upstream::udp(good)], GOOD, &[1, 1]);
    check(&[&Upstream::nobody(), &Upstream::udp(good)], GOOD, &[0, 1]);
    check(&[&Upstream::udp(silent), &Upstream::udp(good)], GOOD, &[1, 1]);
    check(&[&failing(2), &failing(5), &Upstream::udp(silent)], FAILED, &[1, 1, 1]);
}

#[test]
fn a_server_that_is_not_there_costs_no_time() {
    let (nobody, second) = (Upstream::nobody(), Upstream::udp(good));
    let limits = Limits { attempt: 10 * crate::common::upstream::PATIENCE, ..limits() };
    let bed = Bed::new(Arc::new(Local::default()), limits, in_sandbox(&[&nobody, &nobody, &second]));
    assert_eq!(render(&bed.ask(&query("example.com", A))), GOOD);
    let mut stream = bed.connect();
    send(&mut stream, &query("example.com", A));
    // Nobody listens there either: all three are refused.
    assert_eq!(render(&receive(&mut stream).unwrap()), FAILED);
}

/// Upstream's: four seconds to reach a server and to be answered, 1,024 queries at once, four seconds until it is somebody's
/// turn, and a line in the log every two.
#[test]
fn the_limits_are_those_that_clients_expect() {
    let Limits { attempt, in_flight, patience, log_interval, .. } = Limits::default();
    assert_eq!([attempt, patience, log_interval], [4, 4, 2].map(Duration::from_secs));
    assert_eq!(in_flight, 1024);
}

#[test]
fn three_servers_are_asked() {
    check(&[&Upstream::nobody(), &Upstream::nobody(), &Upstream::udp(good), &Upstream::udp(good)], GOOD, &[0, 0, 1, 0]);
    let fourth = Upstream::udp(good);
    check(&[&Upstream::nobody(), &Upstream::nobody(), &Upstream::nobody(), &fourth], FAILED, &[0, 0, 0, 0]);
}

#[test]
fn without_servers_what_is_not_known_fails() {
    check(&[], FAILED, &[]);
    let bed = bed(&[]);
    assert_eq!(render(&bed.ask(&query("nobody", MX))), "4660 SERVFAIL qr rd ra\n? nobody. IN MX\n");
    let statistics = bed.resolver.statistics(&bed.key).unwrap();
    assert_eq!((statistics.queries, statistics.forwarded, statistics.failed), (1, 1, 1));
}

/// Checks that an answer comes as it was sent, but for the identity.
fn check_verbatim(answer: impl Fn(&[u8]) -> Vec<u8> + Clone + Send + 'static) {
    let made = answer.clone();
    let upstream = Upstream::udp(move |query| vec![made(query)]);
    let second = Upstream::udp(good);
    let query = query("example.com", A);
    assert_eq!(bed(&[&upstream, &second]).ask(&query), answer(&query));
    assert!(second.queries().is_empty());
}

#[test]
fn names_that_do_not_exist_and_empty_answers_are_final() {
    // With a SOA record, whose names are compressed.
    check_verbatim(|query| {
        let mut reply = answer(query, 3);
        reply[9] = 1;
        reply.extend_from_slice(&[0xc0, 20, 0, 6, 0, 1, 0, 0, 14, 16, 0, 26, 2, b'n', b's', 0xc0, 12, 0xc0, 12]);
        reply.extend_from_slice(&[7; 19]);
        reply
    });
    check_verbatim(|query| {
        let mut reply = answer(query, 0);
        reply[7] = 0;
        reply.truncate(query.len());
        reply
    });
}

#[test]
fn long_and_truncated_answers_pass() {
    // 512 bytes were all that this client asked for.
    check_verbatim(|query| {
        let mut reply = answer(query, 0);
        reply[7] = 100;
        for _ in 1..100 {
            reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        }
        reply
    });
    check_verbatim(|query| {
        let mut reply = answer(query, 0);
        reply[2] |= 2;
        reply
    });
}

#[test]
fn answers_of_others_change_no_name_of_ours() {
    // The one for everything is an address that is ours, under a name that is not.
    let upstream = Upstream::udp(|query| {
        let mut reply = answer(query, 0);
        let at = reply.len() - 4;
        reply[at..].copy_from_slice(&[10, 0, 0, 2]);
        vec![reply]
    });
    let bed = bed(&[&upstream]);
    let pointer = query("2.0.0.10.in-addr.arpa", PTR);
    let before = render(&bed.ask(&pointer));
    assert!(before.ends_with(" PTR web.front.\n"), "{before}");
    assert!(render(&bed.ask(&query("example.com", A))).contains("10.0.0.2"));
    assert_eq!(render(&bed.ask(&pointer)), before);
    assert_eq!(upstream.queries().len(), 1);
}

#[test]
fn errors_may_come_without_the_question() {
    check_verbatim(|query| {
        let mut reply = answer(query, 1);
        reply[5] = 0;
        reply.truncate(12);
        reply
    });
}

/// Checks that a message is not taken for the answer, which comes after it.
fn check_ignored(message: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) {
    check(&[&Upstream::udp(move |query| vec![message(query), answer(query, 0)])], GOOD, &[1]);
}

#[test]
fn lies_are_ignored() {
    let lie = |query: &[u8]| {
        let mut lie = answer(query, 0);
        *lie.last_mut().unwrap() = 66;
        lie
    };
    // Another identity.
    check_ignored(move |query| {
        let mut lie = lie(query);
        lie[1] ^= 1;
        lie
    });
    // Another name, another type, no question.
    check_ignored(move |query| {
        let mut lie = lie(query);
        lie[13] = b'X';
        lie
    });
    check_ignored(move |query| {
        let mut lie = lie(query);
        lie[26] = 28;
        lie
    });
    check_ignored(|query| {
        let mut lie = answer(query, 3);
        lie[5] = 0;
        lie.truncate(12);
        lie
    });
    // The query itself, less than a header, nothing.
    check_ignored(<[u8]>::to_vec);
    check_ignored(|query| query[..11].to_vec());
    check_ignored(|_| Vec::new());
    // Nothing comes after it.
    check(&[&Upstream::udp(|query| vec![query.to_vec()]), &Upstream::udp(good)], GOOD, &[1, 1]);
}

#[test]
fn answers_from_elsewhere_are_ignored() {
    let liar = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (send, queries) = std::sync::mpsc::channel::<Vec<u8>>();
    let upstream = Upstream::udp(move |query| {
        send.send(query.to_vec()).unwrap();
        // The liar has time to be first.
        std::thread::sleep(ATTEMPT / 4);
        vec![answer(query, 0)]
    });
    let outlet = Arc::new(Sources::default());
    let bed = Bed::new(outlet.clone(), limits(), in_sandbox(&[&upstream]));
    let client = bed.client();
    client.send(&query("example.com", A)).unwrap();
    let query = queries.recv_timeout(crate::common::upstream::PATIENCE).unwrap();
    let socket = outlet.0.lock().unwrap().pop().unwrap();
    let mut lie = answer(&query, 0);
    *lie.last_mut().unwrap() = 66;
    // The port and the identity are right. The kernel may say that nobody takes this.
    let _ = liar.send_to(&lie, UdpSocket::from(socket).local_addr().unwrap());
    assert_eq!(render(&receive_datagram(&client)), GOOD);
}

/// Keeps a copy of every socket.
#[derive(Default)]
struct Sources(std::sync::Mutex<Vec<std::os::fd::OwnedFd>>);

impl pontoon_dns::Outlet for Sources {
    fn open(&self, outgoing: &pontoon_dns::Outgoing) -> std::io::Result<std::os::fd::OwnedFd> {
        let socket = outgoing.open_here()?;
        self.0.lock().unwrap().push(socket.try_clone()?);
        Ok(socket)
    }
}

#[test]
fn identities_and_ports_are_fresh() {
    let upstream = Upstream::udp(good);
    let outlet = Arc::new(Sources::default());
    let bed = Bed::new(outlet.clone(), limits(), in_sandbox(&[&upstream]));
    for _ in 0..50 {
        assert_eq!(render(&bed.ask(&query("example.com", A))), GOOD);
    }
    let identities: HashSet<_> = upstream.queries().iter().map(|query| [query[0], query[1]]).collect();
    let ports: HashSet<_> = std::mem::take(&mut *outlet.0.lock().unwrap())
        .into_iter()
        .map(|socket| UdpSocket::from(socket).local_addr().unwrap().port())
        .collect();
    assert!(identities.len() > 45, "{identities:?}");
    assert!(ports.len() > 45, "{ports:?}");
    // Nothing else is changed.
    assert!(upstream.queries().iter().all(|asked| asked[2..] == query("example.com", A)[2..]));
}

#[test]
fn connections_are_forwarded_on_connections() {
    let failing = Upstream::tcp(|query| vec![answer(query, 2)]);
    let hanging = Upstream::tcp(silent);
    // The second message is the answer; a long one, which no datagram would carry.
    let upstream = Upstream::tcp(|query| {
        let mut other = answer(query, 0);
        other[0] ^= 0x80;
        let mut long = answer(query, 0);
        long[7] = 0;
        long[6] = 0x0f;
        long.truncate(query.len());
        for _ in 0..0x0f00 {
            long.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        }
        vec![other, long]
    });
    let bed = bed(&[&failing, &hanging, &upstream]);
    let mut stream = bed.connect();
    send(&mut stream, &query("example.com", A));
    let reply = receive(&mut stream).unwrap();
    assert_eq!(reply.len(), query("example.com", A).len() + 16 * 0x0f00);
    assert!(render(&reply).starts_with("4660 NOERROR qr rd ra\n"));
    let asked = [failing, hanging, upstream].map(|upstream| upstream.queries().len());
    assert_eq!(asked, [1, 1, 1]);
}

#[test]
fn servers_are_reached_from_where_they_belong() {
    let outlet = Arc::new(Local::default());
    let (failing, upstream) = (Upstream::udp(|query| vec![answer(query, 2)]), Upstream::udp(good));
    let servers = vec![failing.reached_from(Reach::Sandbox), upstream.reached_from(Reach::Host)];
    let with = |external_access| View { servers: servers.clone(), external_access, ..View::default() };
    let bed = Bed::new(outlet.clone(), limits(), with(true));
    assert_eq!(render(&bed.ask(&query("example.com", A))), GOOD);
    let opened = std::mem::take(&mut *outlet.0.lock().unwrap());
    let opened: Vec<_> =
        opened.iter().map(|outgoing| (outgoing.sandbox.as_str(), outgoing.reach, outgoing.transport)).collect();
    assert_eq!(opened, [("s1", Reach::Sandbox, Transport::Udp), ("s1", Reach::Host, Transport::Udp)]);
    // On internal networks alone, nothing leaves through the host.
    assert!(bed.resolver.publish(&bed.key, with(false)));
    assert_eq!(render(&bed.ask(&query("example.com", A))), FAILED);
    assert_eq!(outlet.0.lock().unwrap().len(), 1);
}

#[test]
fn a_client_may_have_servers_of_its_own() {
    let (first, second) = (Upstream::udp(good), Upstream::udp(good));
    let overrides = [(Ipv4Addr::LOCALHOST.into(), vec![second.reached_from(Reach::Sandbox)])].into();
    let view = View { overrides, ..in_sandbox(&[&first]) };
    let bed = Bed::new(Arc::new(Local::default()), limits(), view);
    assert_eq!(render(&bed.ask(&query("example.com", A))), GOOD);
    assert_eq!((first.queries().len(), second.queries().len()), (0, 1));
}

#[test]
fn the_resolver_does_not_ask_itself() {
    let server = |address: &str, reach| Server { address: address.parse().unwrap(), reach };
    let servers = vec![
        server("127.0.0.11:53", Reach::Sandbox),
        server("[::ffff:127.0.0.11]:53", Reach::Sandbox),
        server("127.0.0.11:53", Reach::Host),
        server("192.0.2.1:53", Reach::Sandbox),
    ];
    let view = View { servers, external_access: true, ..View::default() };
    let left: Vec<_> = view.servers_for(Ipv4Addr::LOCALHOST.into()).collect();
    assert_eq!(left, [server("127.0.0.11:53", Reach::Host)]);
}

#[test]
fn what_waits_too_long_for_its_turn_is_refused() {
    let limits = Limits { in_flight: 2, patience: ATTEMPT / 4, ..limits() };
    let bed = Bed::new(Arc::new(Local::default()), limits, in_sandbox(&[&Upstream::udp(silent)]));
    let clients: Vec<_> = (0..3).map(|_| bed.client()).collect();
    for client in &clients {
        client.send(&query("example.com", A)).unwrap();
    }
    let mut answers: Vec<_> = clients.iter().map(|client| render(&receive_datagram(client))).collect();
    answers.sort();
    assert_eq!(answers, [REFUSED, FAILED, FAILED]);
    // Names that are known are answered whoever waits.
    assert!(render(&bed.ask(&query("web", A))).contains("10.0.0.2"));
    let statistics = bed.resolver.statistics(&bed.key).unwrap();
    assert_eq!((statistics.refused, statistics.forwarded, statistics.failed, statistics.answered), (1, 2, 2, 1));
}

#[test]
fn what_finds_its_turn_in_time_is_answered() {
    let limits = Limits { in_flight: 1, ..limits() };
    let bed = Bed::new(Arc::new(Local::default()), limits, in_sandbox(&[&Upstream::udp(good)]));
    let clients: Vec<_> = (0..20).map(|_| bed.client()).collect();
    for client in &clients {
        client.send(&query("example.com", A)).unwrap();
    }
    for client in &clients {
        assert_eq!(render(&receive_datagram(client)), GOOD);
    }
}

#[test]
fn there_is_no_room_for_everybody_to_wait() {
    let limits = Limits { in_flight: 1, waiting: 1, attempt: Duration::from_secs(60), ..limits() };
    let bed = Bed::new(Arc::new(Local::default()), limits, in_sandbox(&[&Upstream::udp(silent)]));
    let start = Instant::now();
    let clients: Vec<_> = (0..3).map(|_| bed.client()).collect();
    for client in &clients {
        client.send(&query("example.com", A)).unwrap();
    }
    assert_eq!(render(&receive_datagram(&clients[2])), REFUSED);
    assert!(start.elapsed() < limits.patience);
}

#[test]
fn known_names_do_not_wait_for_servers() {
    let bed = bed(&[&Upstream::udp(silent)]);
    let client = bed.client();
    client.send(&query("example.com", A)).unwrap();
    client.send(&query("web", A)).unwrap();
    assert!(render(&receive_datagram(&client)).contains("10.0.0.2"));
    assert_eq!(render(&receive_datagram(&client)), FAILED);
}

/// A query of this many bytes for a name that nobody here knows, with zeros after the question.
fn padded(length: usize) -> Vec<u8> {
    let mut query = query("example.com", A);
    query.resize(length, 0);
    query
}

#[test]
fn what_is_larger_than_any_real_query_is_not_forwarded() {
    let upstream = Upstream::udp(good);
    let bed = bed(&[&upstream]);
    for length in [4097, 65000] {
        assert_eq!(render(&bed.ask(&padded(length))), REFUSED, "{length}");
    }
    assert!(upstream.queries().is_empty());
    bed.ask(&padded(4096));
    assert_eq!(upstream.queries().len(), 1);
    let statistics = bed.resolver.statistics(&bed.key).unwrap();
    assert_eq!((statistics.refused, statistics.forwarded), (2, 1));
    // A connection ends at what announces itself as larger.
    let mut stream = bed.connect();
    send(&mut stream, &padded(4097));
    assert_eq!(receive(&mut stream), None);
}

#[test]
fn all_sandboxes_together_may_have_so_many_queries_with_servers() {
    let limits = Limits { of_all: 2, attempt: Duration::from_secs(60), ..limits() };
    let hanging = Upstream::udp(silent);
    let bed = Bed::new(Arc::new(Local::default()), limits, in_sandbox(&[&hanging]));
    let (other, (sockets, address, _)) = (SandboxKey::new("s2"), sockets());
    bed.resolver.add(other.clone(), sockets, in_sandbox(&[&hanging])).unwrap();
    let ask_other = |query: &[u8]| {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(address).unwrap();
        client.set_read_timeout(Some(crate::common::upstream::PATIENCE)).unwrap();
        client.send(query).unwrap();
        render(&receive_datagram(&client))
    };
    let client = bed.client();
    for _ in 0..2 {
        client.send(&query("example.com", A)).unwrap();
    }
    while hanging.queries().len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ask_other(&query("example.com", A)), REFUSED);
    assert!(ask_other(&query("web", A)).contains("10.0.0.2"), "names that are known are answered");
    assert_eq!(bed.resolver.statistics(&other).unwrap().refused, 1);
    // Whose queries are given up has no share any more.
    assert!(bed.resolver.remove(&bed.key));
    let answered = UdpSocket::bind("127.0.0.1:0").unwrap();
    answered.send_to(&query("example.com", A), address).unwrap();
    while hanging.queries().len() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
}
