//! Static routes: those of a network, in every sandbox on it.

use ipnet::IpNet;
use pontoon::{EndpointSpec, Kind, NetworkSpec};

use crate::fixture::{Lab, refused};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn front() -> NetworkSpec {
    NetworkSpec::new("front").subnet(net("10.1.0.0/24"))
}

fn routes(lab: &Lab) -> Vec<String> {
    let text = lab.host.snapshot().to_string();
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("route") && !line.contains("/0 "));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_sandbox_has_the_routes_of_its_networks() {
    let lab = Lab::new();
    let spec = front().ipv6(true).subnet(net("fd00:7::/64")).internal(true);
    let spec = spec
        .route(net("10.20.0.0/16"), Some("10.1.0.250".parse().unwrap()))
        .route(net("10.30.0.0/16"), None)
        .route(net("fd00:20::/48"), Some("fd00:7::250".parse().unwrap()));
    let network = lab.network(spec);
    let sandbox = lab.sandbox("web");
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    assert_eq!(
        routes(&lab),
        [
            "route 10.20.0.0/16 via 10.1.0.250 on eth0",
            "route 10.30.0.0/16 on eth0",
            "route fd00:20::/48 via fd00:7::250 on eth0"
        ]
    );
    endpoint.delete(true).unwrap();
    assert_eq!(routes(&lab), [""; 0]);
    // An endpoint without IPv6 has no route of IPv6.
    let spec = EndpointSpec { disable_ipv6: true, ..EndpointSpec::new("web") };
    lab.joined(&network, spec, &sandbox);
    assert_eq!(routes(&lab), ["route 10.20.0.0/16 via 10.1.0.250 on eth0", "route 10.30.0.0/16 on eth0"]);
}

#[test]
fn routes_that_make_no_sense_are_refused() {
    let lab = Lab::new();
    for (to, via, reason) in [
        ("10.20.0.1/16", None, "it has bits after the prefix length, 10.20.0.0/16 has none"),
        (
            "0.0.0.0/0",
            Some("10.1.0.9"),
            "the way out is that of the gateway, which --gateway and gateway priorities choose",
        ),
        ("10.1.0.0/24", None, "it is the network's own subnet"),
        ("10.20.0.0/16", Some("10.2.0.1"), "the next hop 10.2.0.1 is in none of the network's subnets"),
        ("10.20.0.0/16", Some("fd00:7::1"), "the next hop fd00:7::1 is in none of the network's subnets"),
        ("10.20.0.0/16", Some("10.1.0.255"), "the next hop 10.1.0.255 is that of the whole subnet 10.1.0.0/24"),
        ("10.20.0.0/16", Some("10.1.0.0"), "the next hop 10.1.0.0 is that of the whole subnet 10.1.0.0/24"),
        ("127.0.0.11/32", None, "it overlaps 127.0.0.0/8, where no route leads"),
        ("224.0.0.0/4", None, "it overlaps 224.0.0.0/4, where no route leads"),
        ("fe80::/64", None, "it overlaps fe80::/10, where no route leads"),
        ("fd00:20::/48", None, "the network has no IPv6 subnet"),
    ] {
        let spec = front().route(net(to), via.map(|via| via.parse().unwrap()));
        refused(lab.controller.create_network(spec), Kind::Invalid, format!("invalid route to {to}: {reason}"));
    }
    let twice = front().route(net("10.20.0.0/16"), None).route(net("10.20.0.0/16"), None);
    refused(
        lab.controller.create_network(twice),
        Kind::Invalid,
        "invalid route to 10.20.0.0/16: it is asked for twice",
    );
    let null = NetworkSpec::new("none").driver("null").route(net("10.20.0.0/16"), None);
    let reason = "invalid route to 10.20.0.0/16: the network has no IPv4 subnet";
    refused(lab.controller.create_network(null), Kind::Invalid, reason);
}

#[test]
fn a_sandbox_has_no_two_ways_to_one_place() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let network = |name: &str, subnet: &str, route: &str| {
        lab.network(NetworkSpec::new(name).subnet(net(subnet)).route(net(route), None))
    };
    let first = network("first", "10.1.0.0/24", "10.20.0.0/16");
    lab.joined(&first, EndpointSpec::new("web"), &sandbox);
    for (name, subnet, route, told) in [
        ("same", "10.2.0.0/24", "10.20.0.0/16", "route 10.20.0.0/16 overlaps the route 10.20.0.0/16"),
        ("into", "10.3.0.0/24", "10.1.0.0/16", "route 10.1.0.0/16 overlaps the subnet 10.1.0.0/24"),
        ("under", "10.20.5.0/24", "10.99.0.0/16", "subnet 10.20.5.0/24 overlaps the route 10.20.0.0/16"),
    ] {
        let endpoint = network(name, subnet, route).create_endpoint(EndpointSpec::new("web")).unwrap();
        let text = format!("sandbox web cannot join network {name}: its {told} of network first");
        refused(endpoint.join(&sandbox), Kind::Conflict, text);
    }
    // Of two that overlap otherwise the narrower one holds.
    lab.joined(&network("narrow", "10.4.0.0/24", "10.20.7.0/24"), EndpointSpec::new("web"), &sandbox);
    assert_eq!(routes(&lab), ["route 10.20.0.0/16 on eth0", "route 10.20.7.0/24 on eth1"]);
}

/// The router of a route is whoever asks for its address, not whoever comes along.
#[test]
fn a_next_hop_is_given_to_who_asks_for_it() {
    let lab = Lab::new();
    let spec = NetworkSpec::new("front").subnet(net("10.1.0.0/29"));
    let network = lab.network(spec.route(net("10.20.0.0/16"), Some("10.1.0.3".parse().unwrap())));
    let address = |spec: EndpointSpec| network.create_endpoint(spec).unwrap().info().unwrap().addresses[0].to_string();
    assert_eq!(address(EndpointSpec::new("a")), "10.1.0.2/29");
    assert_eq!(address(EndpointSpec::new("b")), "10.1.0.4/29");
    assert_eq!(address(EndpointSpec::new("router").address("10.1.0.3".parse().unwrap())), "10.1.0.3/29");
}

#[test]
fn a_route_to_a_link_is_not_that_of_link_local_addresses() {
    let lab = Lab::new();
    let network = lab.network(front().route(net("169.254.0.0/16"), Some("10.1.0.9".parse().unwrap())));
    let endpoint = EndpointSpec::new("web").link_local("169.254.7.7".parse().unwrap());
    let refusal = "sandbox web cannot join network front: its route 169.254.0.0/16 overlaps the subnet 169.254.0.0/16 of network \
                   front";
    refused(lab.sandbox("web").connect(&network, endpoint), Kind::Conflict, refusal);
}
