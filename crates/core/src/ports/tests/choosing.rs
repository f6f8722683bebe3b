//! The choice of host ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;

use crate::error::Kind;
use crate::ipam::Ranges;
use crate::ports::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn range(first: u16, last: u16) -> PortRange {
    PortRange::new(first, last).expect("in order")
}

/// An allocator as the engine is one: chooses and marks.
#[derive(Default)]
struct Host {
    index: PortIndex,
    busy: Vec<BusyPort>,
    reserved: Ranges<u16>,
}

impl Host {
    fn ask(&mut self, ips: &str, proto: PortProto, choice: PortChoice<'_>) -> Result<u16, PortError> {
        let addresses: Vec<IpAddr> = ips.split_whitespace().map(ip).collect();
        let query = PortQuery { addresses: &addresses, proto, choice, busy: &self.busy };
        let port = choose(&self.index, &query)?;
        let last = match choice {
            PortChoice::Exactly(range) => range.last(),
            _ => port,
        };
        self.index.insert_all(&addresses, proto, port..=last);
        Ok(port)
    }

    fn exact(&mut self, ips: &str, port: u16) -> String {
        shown(self.ask(ips, PortProto::Tcp, PortChoice::Exact(port)))
    }

    fn first_of(&mut self, ips: &str, first: u16, last: u16) -> String {
        shown(self.ask(ips, PortProto::Tcp, PortChoice::FirstOf(range(first, last))))
    }

    fn ephemeral(&mut self, ips: &str, first: u16, last: u16) -> String {
        let reserved = self.reserved.clone();
        let choice = PortChoice::Ephemeral { range: range(first, last), reserved: &reserved };
        shown(self.ask(ips, PortProto::Tcp, choice))
    }

    fn release(&mut self, ips: &str, port: u16) {
        for address in ips.split_whitespace() {
            self.index.remove(ip(address), PortProto::Tcp, port);
        }
    }
}

fn shown(result: Result<u16, PortError>) -> String {
    result.map_or_else(|error| error.to_string(), |port| port.to_string())
}

const ALL: &str = "all ports are allocated";

/// Upstream `TestRequestNewPort`, `TestRequestSpecificPort`, `TestReleasePort`, `TestReuseReleasedPort`,
/// `TestReleaseUnreadledPort`.
#[test]
fn first_is_the_start_and_a_taken_port_is_refused() {
    let mut host = Host::default();
    assert_eq!(host.ephemeral("0.0.0.0", 49153, 65535), "49153");
    assert_eq!(host.exact("0.0.0.0", 5000), "5000");
    assert_eq!(host.exact("0.0.0.0", 5000), "Bind for 0.0.0.0:5000 failed: port is already allocated");
    host.release("0.0.0.0", 5000);
    host.release("0.0.0.0", 5000);
    host.release("192.0.2.1", 7);
    assert_eq!(host.exact("0.0.0.0", 5000), "5000");
    assert_eq!(host.ephemeral("0.0.0.0", 49153, 65535), "49154");
}

/// Upstream `TestAllocateAllPorts`.
#[test]
fn gives_the_whole_range_and_then_the_released_one() {
    let mut host = Host::default();
    for port in 49153..=65535u16 {
        assert_eq!(host.ephemeral("0.0.0.0", 49153, 65535), port.to_string());
    }
    assert_eq!(host.ephemeral("0.0.0.0", 49153, 65535), ALL);
    assert_eq!(host.ask("0.0.0.0", PortProto::Udp, PortChoice::FirstOf(range(49153, 49153))), Ok(49153));
    for released in [50000, 65535, 65535, 49153] {
        host.release("0.0.0.0", released);
        assert_eq!(host.ephemeral("0.0.0.0", 49153, 65535), released.to_string());
    }
}

/// Upstream `TestPortAllocation`, `TestPortAllocationWithCustomRange`.
#[test]
fn addresses_are_independent_and_ranges_end() {
    let mut host = Host::default();
    assert_eq!(host.exact("192.168.0.1", 80), "80");
    assert_eq!(host.exact("192.168.0.2", 80), "80");
    assert_eq!(host.exact("192.168.0.2", 80), "Bind for 192.168.0.2:80 failed: port is already allocated");
    assert_eq!(host.first_of("192.168.0.1", 8081, 8082), "8081");
    assert_eq!(host.first_of("192.168.0.1", 8081, 8082), "8082");
    assert_eq!(host.first_of("192.168.0.1", 8081, 8082), ALL);
    assert_eq!(host.first_of("192.168.0.2", 8081, 8082), "8081");
    assert_eq!(
        shown(choose(
            &PortIndex::new(),
            &PortQuery { addresses: &[], proto: PortProto::Tcp, choice: PortChoice::Exact(1), busy: &[] }
        )),
        "no host address to take a port on"
    );
    assert!(host.exact("0.0.0.0", 0).starts_with("invalid port 0"));
}

/// Upstream `TestNoDuplicateBPR`, `TestRequestPortForMultipleIPs`, `TestMixUnspecAndSpecificAddrs`.
#[test]
fn one_port_for_all_addresses_and_unspecified_means_every_one() {
    let mut host = Host::default();
    assert_eq!(host.exact("127.0.0.1 ::", 10000), "10000");
    assert_eq!(host.exact("127.0.0.1 ::", 10000), "Bind for 127.0.0.1:10000 failed: port is already allocated");
    host.release("127.0.0.1", 10000);
    assert_eq!(host.exact("127.0.0.1 ::", 10000), "Bind for :::10000 failed: port is already allocated");
    assert_eq!(host.first_of("0.0.0.0 ::", 10000, 10001), "10001");
    assert_eq!(host.exact("10.0.0.1", 10001), "Bind for 10.0.0.1:10001 failed: port is already allocated");
    assert_eq!(host.exact("10.0.0.1", 20000), "20000");
    assert_eq!(host.exact("0.0.0.0", 20000), "Bind for 0.0.0.0:20000 failed: port is already allocated");
    assert_eq!(host.exact("::", 20000), "20000", "the families are apart");
    assert_eq!(host.exact("::ffff:10.0.0.1", 20000), "Bind for 10.0.0.1:20000 failed: port is already allocated");
    host.release("::ffff:10.0.0.1", 20000);
    assert_eq!(host.exact("0.0.0.0", 20000), "20000");
}

/// Upstream `TestRequestNewPortSkipsReservedPorts`, `…SpecificReservedPort`, `…InRangeWithReservedPort`, `…AllReserved`.
#[test]
fn reserved_ports_are_skipped_by_ephemeral_choice_only() {
    let mut host = Host { reserved: [49153..=49154, 49156..=49156].into_iter().collect(), ..Host::default() };
    assert_eq!(host.ephemeral("0.0.0.0", 49153, 49157), "49155");
    assert_eq!(host.ephemeral("0.0.0.0", 49153, 49157), "49157");
    assert_eq!(host.ephemeral("0.0.0.0", 49153, 49157), ALL);
    assert_eq!(host.exact("0.0.0.0", 49153), "49153");
    assert_eq!(host.first_of("0.0.0.0", 49153, 49157), "49154");
}

/// Upstream `TestAllocateExactPortInUse`, `TestAllocateRangePortInUse`, and of `TestAddPortMappings`: busy specific port, range
/// with the first port busy, six bindings over 8080-8083 with 8082 busy, exhausted range.
#[test]
fn ports_the_kernel_refused_are_avoided() {
    let busy = |text: &str, proto, port| (ip(text), proto, port);
    let mut host = Host { busy: vec![busy("0.0.0.0", PortProto::Tcp, 8082)], ..Host::default() };
    assert_eq!(host.exact("10.0.0.1", 8082), "failed to bind host port 10.0.0.1:8082/tcp: address already in use");
    for (tcp, udp) in [(8080, 8080), (8081, 8081), (8083, 8082)] {
        assert_eq!(host.first_of("0.0.0.0 ::", 8080, 8083), tcp.to_string());
        let other = host.ask("0.0.0.0 ::", PortProto::Udp, PortChoice::FirstOf(range(8080, 8083)));
        assert_eq!(other, Ok(udp));
    }
    assert_eq!(
        host.first_of("0.0.0.0 ::", 8080, 8083),
        "failed to bind host port 0.0.0.0:8082/tcp: address already in use"
    );
    let mut host =
        Host { busy: vec![busy("::1", PortProto::Tcp, 80), busy("10.0.0.1", PortProto::Tcp, 81)], ..Host::default() };
    assert_eq!(host.first_of("0.0.0.0 ::", 80, 81), "failed to bind host port 0.0.0.0:81/tcp: address already in use");
    assert_eq!(host.first_of("10.0.0.2", 80, 81), "80");
    assert_eq!(host.first_of("10.0.0.2", 80, 81), "81");
    assert_eq!(host.first_of("10.0.0.2", 80, 81), ALL);
    assert_eq!(host.first_of("::1", 80, 81), "81");
}

/// Several container ports on as many host ports, all or none; and of `TestAddPortMappings`: an exact port before an
/// overlapping range.
#[test]
fn a_block_is_taken_whole() {
    let mut host = Host::default();
    let block = |host: &mut Host, first, last| {
        shown(host.ask("0.0.0.0", PortProto::Tcp, PortChoice::Exactly(range(first, last))))
    };
    assert_eq!(host.exact("10.0.0.1", 8085), "8085");
    assert_eq!(block(&mut host, 8080, 8084), "8080");
    assert_eq!(block(&mut host, 8084, 8086), "Bind for 0.0.0.0:8084 failed: port is already allocated");
    assert_eq!(block(&mut host, 8085, 8086), "Bind for 0.0.0.0:8085 failed: port is already allocated");
    assert_eq!(host.first_of("0.0.0.0", 8080, 8090), "8086");
    assert_eq!(block(&mut host, 65535, 65535), "65535");
}

#[test]
fn kinds() {
    let conflict = PortError::AlreadyAllocated { ip: ip("::"), port: 1 };
    assert_eq!(conflict.kind(), Kind::Conflict);
    assert_eq!(PortError::AllAllocated.kind(), Kind::Exhausted);
    assert_eq!(PortError::NoAddresses.kind(), Kind::Invalid);
}

type Held = BTreeSet<(IpAddr, PortProto, u16)>;

/// The rule as written: unused on the address, on the unspecified one for a specific one, on all for the unspecified one.
fn free_by_rule(held: &Held, address: IpAddr, proto: PortProto, port: u16) -> bool {
    !held.iter().any(|(other, p, n)| {
        *p == proto
            && *n == port
            && other.is_ipv4() == address.is_ipv4()
            && (*other == address || other.is_unspecified() || address.is_unspecified())
    })
}

proptest! {
    /// No port is given twice, none is lost, and the choice is the first free one by the written rule.
    #[test]
    fn nothing_twice_and_nothing_lost(steps in prop::collection::vec(
        (0u8..3, prop::sample::subsequence(vec!["0.0.0.0", "10.0.0.1", "10.0.0.2", "::", "fd00::1"], 1..=3), any::<bool>(), any::<prop::sample::Index>()),
        0..80,
    )) {
        let (mut index, mut held, mut leases) = (PortIndex::new(), Held::new(), Vec::new());
        let busy = [(ip("10.0.0.2"), PortProto::Tcp, 3)];
        for (step, ips, tcp, which) in steps {
            if step == 0 && !leases.is_empty() {
                let (addresses, proto, port): (Vec<IpAddr>, _, u16) = leases.swap_remove(which.index(leases.len()));
                index.remove_all(&addresses, proto, port..=port);
                for address in addresses { held.remove(&(address, proto, port)); }
                continue;
            }
            // Addresses of one request that exclude each other are the same lease: keep the first of them.
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in ips.into_iter().map(ip) {
                let alone = addresses.iter().all(|a| a.is_ipv4() != address.is_ipv4() || !(a.is_unspecified() || address.is_unspecified()));
                if alone { addresses.push(address); }
            }
            let proto = if tcp { PortProto::Tcp } else { PortProto::Udp };
            let query = PortQuery { addresses: &addresses, proto, choice: PortChoice::FirstOf(range(1, 6)), busy: &busy };
            let blocked: Held = held.iter().chain(&busy).copied().collect();
            let expected = (1..=6).find(|port| addresses.iter().all(|a| free_by_rule(&blocked, *a, proto, *port)));
            let chosen = choose(&index, &query).ok();
            prop_assert_eq!(chosen, expected);
            if let Some(port) = chosen {
                index.insert_all(&addresses, proto, port..=port);
                for address in &addresses { prop_assert!(held.insert((*address, proto, port))); }
                leases.push((addresses, proto, port));
            }
        }
        for (addresses, proto, port) in leases {
            index.remove_all(&addresses, proto, port..=port);
        }
        prop_assert_eq!(index, PortIndex::new());
    }
}
