//! Deleting flows on a real kernel, with the `conntrack` program as witness.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use pontoon_netlink::conntrack::{Destination, FlowFilter, delete, delete_any};
use pontoon_netlink::{Protocol, Socket};
use pontoon_testkit::{Feature, isolated, require, run};

const TCP: u8 = 6;
const UDP: u8 = 17;

fn on_kernel(test: impl FnOnce(&mut Socket)) {
    isolated(|| {
        if require(Feature::Conntrack) {
            test(&mut Socket::open(Protocol::Netfilter).unwrap());
        }
    });
}

/// Flows as source port, protocol, destination, destination port, the address
/// it is translated to, and zone. The source port names the flow.
const FLOWS: &[(u16, &str, &str, u16, &str, u16)] = &[
    (1, "tcp", "192.0.2.1", 80, "10.0.0.2", 0),
    (2, "tcp", "192.0.2.1", 80, "10.0.0.2", 7),
    (3, "tcp", "192.0.2.1", 81, "10.0.0.2", 0),
    (4, "tcp", "192.0.2.2", 80, "10.0.0.3", 0),
    (5, "udp", "192.0.2.1", 80, "10.0.0.3", 0),
    (6, "udp", "2001:db8::1", 80, "fd00::2", 0),
    (7, "tcp", "2001:db8::1", 80, "fd00::2", 0),
    (8, "tcp", "2001:db8::1", 443, "fd00::3", 0),
];

fn insert_flows() {
    for (number, protocol, destination, port, translated, zone) in FLOWS {
        let source = match destination.contains(':') {
            true => "2001:db8::99",
            false => "198.51.100.9",
        };
        let mut arguments = format!(
            "-I -p {protocol} -s {source} -d {destination} --sport {number} --dport {port} \
             --reply-src {translated} --reply-dst {source} --reply-port-src {port} \
             --reply-port-dst {number} --timeout 600"
        );
        if *protocol == "tcp" {
            arguments += " --state ESTABLISHED";
        }
        if *zone != 0 {
            arguments += &format!(" --zone {zone}");
        }
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        run("conntrack", &arguments);
    }
}

/// The numbers of the flows that `conntrack` lists.
fn present() -> Vec<u16> {
    let mut numbers: Vec<u16> = ["ipv4", "ipv6"]
        .iter()
        .flat_map(|family| {
            let listing = run("conntrack", &["-L", "-f", family]);
            listing
                .split_whitespace()
                .filter_map(|word| word.strip_prefix("sport="))
                // The second one of each line is of the reply.
                .step_by(2)
                .map(|number| number.parse().unwrap())
                .collect::<Vec<u16>>()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Deletes flows and returns which are gone and what was said about it.
fn deleted(socket: &mut Socket, filter: &FlowFilter) -> (Vec<u16>, Option<usize>) {
    run("conntrack", &["-F"]);
    insert_flows();
    let before = present();
    assert_eq!(before.len(), FLOWS.len());
    let count = delete(socket, filter).unwrap();
    let after = present();
    let gone = before.into_iter().filter(|flow| !after.contains(flow));
    (gone.collect(), count)
}

fn destination(address: Option<&str>, protocol: u8, ports: RangeInclusive<u16>, zone: Option<u16>) -> FlowFilter {
    FlowFilter::Destination(Destination {
        address: address.map(|address| address.parse().unwrap()),
        protocol,
        ports,
        zone,
    })
}

#[test]
fn flows_to_a_published_port_are_deleted() {
    on_kernel(|socket| {
        let cases: &[(FlowFilter, &[u16])] = &[
            (destination(Some("192.0.2.1"), TCP, 80..=80, None), &[1, 2]),
            (destination(Some("192.0.2.1"), UDP, 80..=80, None), &[5]),
            (destination(Some("2001:db8::1"), TCP, 443..=443, None), &[8]),
            (destination(Some("2001:db8::2"), TCP, 443..=443, None), &[]),
            (destination(None, TCP, 80..=80, None), &[1, 2, 4, 7]),
            (destination(None, UDP, 80..=80, None), &[5, 6]),
            (destination(Some("192.0.2.9"), TCP, 80..=80, None), &[]),
            (destination(None, TCP, 8080..=8080, None), &[]),
        ];
        for (filter, wanted) in cases {
            let (gone, count) = deleted(socket, filter);
            assert_eq!(gone, *wanted, "{filter:?}");
            // Only kernels that cannot delete by filter leave the counting to us.
            assert!(count.is_none_or(|count| count == wanted.len()));
        }
    });
}

#[test]
fn listed_flows_are_deleted_and_counted() {
    on_kernel(|socket| {
        let address = |text: &str| FlowFilter::Addresses(vec![text.parse::<IpAddr>().unwrap()]);
        let cases: &[(FlowFilter, &[u16])] = &[
            (destination(Some("192.0.2.1"), TCP, 80..=81, None), &[1, 2, 3]),
            (destination(Some("192.0.2.1"), TCP, 80..=80, Some(0)), &[1]),
            (destination(Some("192.0.2.1"), TCP, 80..=80, Some(7)), &[2]),
            (destination(None, TCP, 80..=500, None), &[1, 2, 3, 4, 7, 8]),
            (address("10.0.0.2"), &[1, 2, 3]),
            (address("192.0.2.2"), &[4]),
            (address("fd00::2"), &[6, 7]),
            (address("10.0.0.9"), &[]),
        ];
        for (filter, wanted) in cases {
            let (gone, count) = deleted(socket, filter);
            assert_eq!(gone, *wanted, "{filter:?}");
            assert_eq!(count, Some(wanted.len()));
        }
    });
}

#[test]
fn flows_of_addresses_that_nobody_has_are_deleted() {
    on_kernel(|socket| {
        let strays = |subnets: &[&str], taken: &[&str]| FlowFilter::Strays {
            subnets: subnets.iter().map(|subnet| subnet.parse().unwrap()).collect(),
            taken: taken.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let cases: &[(FlowFilter, &[u16])] = &[
            (strays(&["10.0.0.0/24"], &["10.0.0.2"]), &[4, 5]),
            (strays(&["10.0.0.0/24"], &["10.0.0.2", "10.0.0.3"]), &[]),
            (strays(&["10.0.0.0/31", "fd00::/64"], &["fd00::3"]), &[6, 7]),
            (strays(&["10.0.0.0/24", "fd00::/64"], &[]), &[1, 2, 3, 4, 5, 6, 7, 8]),
            (strays(&["10.9.0.0/24"], &[]), &[]),
            (strays(&[], &[]), &[]),
        ];
        for (filter, wanted) in cases {
            let (gone, count) = deleted(socket, filter);
            assert_eq!(gone, *wanted, "{filter:?}");
            assert_eq!(count, Some(wanted.len()));
        }
    });
}

#[test]
fn several_filters_share_one_look() {
    on_kernel(|socket| {
        insert_flows();
        let filters = [
            destination(Some("192.0.2.1"), TCP, 81..=81, None),
            FlowFilter::Addresses(vec!["fd00::2".parse().unwrap(), "10.0.0.9".parse().unwrap()]),
        ];
        assert_eq!(delete_any(socket, &filters).unwrap(), 3);
        assert_eq!(present(), [1, 2, 4, 5, 8]);
        assert_eq!(delete_any(socket, &[]).unwrap(), 0);
    });
}
