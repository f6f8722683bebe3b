//! What the host is to a network: it translates, translates and protects nothing, routes, or is not there.

use expect_test::expect;
use pontoon::NetworkSpec;

use crate::lab::{Lab, bridge_netfilter, dual, lab};

const ICC: &str = "com.docker.network.bridge.enable_icc";

fn with_modes(spec: NetworkSpec, v4: &str, v6: &str) -> NetworkSpec {
    let spec = spec.option("com.docker.network.bridge.gateway_mode_ipv4", v4);
    spec.option("com.docker.network.bridge.gateway_mode_ipv6", v6)
}

fn with_mode(number: u8, mode: &str) -> NetworkSpec {
    with_modes(dual(number), mode, mode)
}

/// A sandbox that publishes a port on a network of each mode, and two on an isolated one.
fn town(lab: &mut Lab) {
    for (number, mode, name) in [(1, "nat", "n"), (2, "nat-unprotected", "u"), (3, "routed", "r")] {
        let network = lab.network(with_mode(number, mode));
        lab.sandbox(name, &network, &[&format!("808{number}:80"), &format!("808{number}:80/udp")]);
    }
    let isolated = lab.network(with_mode(4, "isolated").internal(true));
    lab.sandbox("i", &isolated, &[]);
    lab.sandbox("j", &isolated, &[]);
}

/// By their own addresses, on a port that nobody published.
fn check_addresses(on: bool) {
    lab(|mut lab| {
        bridge_netfilter(on);
        town(&mut lab);
        let places = ["n", "u", "r", "i", "j", "host", "outside"];
        lab.check_reach(
            &places,
            false,
            expect![[r#"
                IPv4    n u r i j host outside
                n       + + p . . +    +
                u       . + p . . +    +
                r       . + + . . +    +
                i       . . . + + .    .
                j       . . . + + .    .
                host    + + + . . +    +
                outside . + p . . +    +
            "#]],
        );
        lab.check_reach(
            &places,
            true,
            expect![[r#"
                IPv6    n u r i j host outside
                n       + + p . . +    +
                u       . + p . . +    +
                r       . + + . . +    +
                i       . . . + + .    .
                j       . . . + + .    .
                host    + + + . . +    +
                outside . + p . . +    +
            "#]],
        );
    });
}

#[test]
fn who_comes_by_the_containers_own_address_without_bridge_netfilter() {
    check_addresses(false);
}

#[test]
fn who_comes_by_the_containers_own_address_with_bridge_netfilter() {
    check_addresses(true);
}

#[test]
fn published_ports_of_each_mode() {
    lab(|mut lab| {
        town(&mut lab);
        lab.check(
            &[
                "outside tcp 192.0.2.1:8081",
                "outside tcp [2001:db8::1]:8081",
                "outside tcp 192.0.2.1:8082",
                "outside udp [2001:db8::1]:8082",
                // No port of the host is taken.
                "outside tcp 192.0.2.1:8083",
                "outside tcp [2001:db8::1]:8083",
                "host tcp 127.0.0.1:8083",
                // By the container's own address.
                "outside tcp 10.1.0.2:80",
                "outside tcp [fd00:1::2]:80",
                "outside tcp 10.2.0.2:80",
                "outside udp [fd00:2::2]:80",
                "outside tcp 10.3.0.2:80",
                "outside udp 10.3.0.2:80",
                "outside tcp [fd00:3::2]:80",
                "outside udp [fd00:3::2]:80",
                "n tcp 10.3.0.2:80",
                "u tcp [fd00:3::2]:80",
                "host tcp 10.3.0.2:80",
            ],
            expect![[r#"
                outside tcp 192.0.2.1:8081: n:80 sees 192.0.2.2
                outside tcp [2001:db8::1]:8081: n:80 sees 2001:db8::2
                outside tcp 192.0.2.1:8082: u:80 sees 192.0.2.2
                outside udp [2001:db8::1]:8082: u:80 sees 2001:db8::2
                outside tcp 192.0.2.1:8083: refused
                outside tcp [2001:db8::1]:8083: refused
                host tcp 127.0.0.1:8083: refused
                outside tcp 10.1.0.2:80: no answer
                outside tcp [fd00:1::2]:80: no answer
                outside tcp 10.2.0.2:80: u:80 sees 192.0.2.2
                outside udp [fd00:2::2]:80: u:80 sees 2001:db8::2
                outside tcp 10.3.0.2:80: r:80 sees 192.0.2.2
                outside udp 10.3.0.2:80: r:80 sees 192.0.2.2
                outside tcp [fd00:3::2]:80: r:80 sees 2001:db8::2
                outside udp [fd00:3::2]:80: r:80 sees 2001:db8::2
                n tcp 10.3.0.2:80: r:80 sees 10.3.0.1
                u tcp [fd00:3::2]:80: r:80 sees fd00:3::1
                host tcp 10.3.0.2:80: r:80 sees 10.3.0.1
            "#]],
        );
    });
}

#[test]
fn under_which_address_each_mode_leaves() {
    lab(|mut lab| {
        town(&mut lab);
        lab.check(
            &[
                "n tcp 192.0.2.2:7000",
                "n tcp [2001:db8::2]:7000",
                "u tcp 192.0.2.2:7000",
                "u tcp [2001:db8::2]:7000",
                "r tcp 192.0.2.2:7000",
                "r tcp [2001:db8::2]:7000",
                "i tcp 192.0.2.2:7000",
                "i tcp [2001:db8::2]:7000",
            ],
            expect![[r#"
                n tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
                n tcp [2001:db8::2]:7000: outside:7000 sees 2001:db8::1
                u tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
                u tcp [2001:db8::2]:7000: outside:7000 sees 2001:db8::1
                r tcp 192.0.2.2:7000: outside:7000 sees 10.3.0.2
                r tcp [2001:db8::2]:7000: outside:7000 sees fd00:3::2
                i tcp 192.0.2.2:7000: no route
                i tcp [2001:db8::2]:7000: no route
            "#]],
        );
    });
}

#[test]
fn families_have_modes_of_their_own() {
    lab(|mut lab| {
        let network = lab.network(with_modes(dual(1), "nat", "routed"));
        lab.sandbox("a", &network, &["8080:80"]);
        lab.check(
            &[
                "outside tcp 192.0.2.1:8080",
                "outside tcp 10.1.0.2:80",
                "outside ping 10.1.0.2",
                "outside tcp [2001:db8::1]:8080",
                "outside tcp [fd00:1::2]:80",
                "outside tcp [fd00:1::2]:7000",
                "outside ping fd00:1::2",
                "a tcp 192.0.2.2:7000",
                "a tcp [2001:db8::2]:7000",
            ],
            expect![[r#"
                outside tcp 192.0.2.1:8080: a:80 sees 192.0.2.2
                outside tcp 10.1.0.2:80: no answer
                outside ping 10.1.0.2: no answer
                outside tcp [2001:db8::1]:8080: refused
                outside tcp [fd00:1::2]:80: a:80 sees 2001:db8::2
                outside tcp [fd00:1::2]:7000: no answer
                outside ping fd00:1::2: answered
                a tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
                a tcp [2001:db8::2]:7000: outside:7000 sees fd00:1::2
            "#]],
        );
    });
}

/// Who may not talk to its neighbour does not do so by the way of the host either.
#[test]
fn no_mode_lets_silent_neighbours_talk() {
    lab(|mut lab| {
        for (number, mode, names) in [(1, "nat-unprotected", ["a", "b"]), (2, "routed", ["c", "d"])] {
            let network = lab.network(with_mode(number, mode).option(ICC, "false"));
            names.into_iter().for_each(|name| drop(lab.sandbox(name, &network, &[])));
            let gateway = [format!("10.{number}.0.1"), format!("fd00:{number}::1")];
            let other = [format!("10.{number}.0.3/32"), format!("fd00:{number}::3/128")];
            for (to, via) in other.iter().zip(&gateway) {
                lab.inside(names[0], &["ip", "route", "add", to, "via", via]);
            }
        }
        lab.check(
            &[
                "a ping 10.1.0.3",
                "a tcp 10.1.0.3:7000",
                "a tcp [fd00:1::3]:7000",
                "c ping 10.2.0.3",
                "c ping fd00:2::3",
                "outside tcp 10.1.0.3:7000",
                "outside ping 10.2.0.3",
            ],
            expect![[r#"
                a ping 10.1.0.3: no answer
                a tcp 10.1.0.3:7000: no answer
                a tcp [fd00:1::3]:7000: no answer
                c ping 10.2.0.3: no answer
                c ping fd00:2::3: no answer
                outside tcp 10.1.0.3:7000: b:7000 sees 192.0.2.2
                outside ping 10.2.0.3: answered
            "#]],
        );
    });
}

/// The host is not there at all: it has no address on an isolated network, not even a link-local one.
#[test]
fn the_host_has_no_address_on_an_isolated_network() {
    lab(|mut lab| {
        let network = lab.network(with_mode(4, "isolated").internal(true));
        lab.sandbox("i", &network, &[]);
        let id = network.id().to_string();
        let addresses = pontoon_testkit::run("ip", &["-oneline", "address", "show", &format!("pn-{}", &id[..12])]);
        assert_eq!(addresses, "");
        assert!(network.info().unwrap().pools.iter().all(|pool| pool.gateway.is_none()));
        // The first address of the subnet is an endpoint's like any other.
        lab.check(
            &["i ping 10.4.0.1", "i ping fd00:4::1"],
            expect![[r#"
                i ping 10.4.0.1: answered
                i ping fd00:4::1: answered
            "#]],
        );
    });
}

/// The gateway's address is somebody else's, here a sandbox's: what leaves goes there.
#[test]
fn the_gateway_may_be_somebody_else() {
    lab(|mut lab| {
        let spec = dual(1).option("com.docker.network.bridge.inhibit_ipv4", "true");
        let network = lab.network(spec);
        lab.sandbox("a", &network, &[]);
        lab.sandbox("b", &network, &[]);
        lab.check(
            &["a ping 10.1.0.1", "a ping 10.1.0.3", "a ping fd00:1::1", "host ping 10.1.0.2"],
            expect![[r#"
                a ping 10.1.0.1: no answer
                a ping 10.1.0.3: answered
                a ping fd00:1::1: answered
                host ping 10.1.0.2: no route
            "#]],
        );
        let default = lab.inside("a", &["ip", "route", "show", "default"]);
        assert!(default.starts_with("default via 10.1.0.1 dev eth0"), "{default}");
        lab.inside("b", &["ip", "address", "add", "10.1.0.1/24", "dev", "eth0"]);
        lab.inside("a", &["ip", "neighbour", "flush", "all"]);
        lab.check(
            &["a ping 10.1.0.1", "a tcp 10.1.0.1:7000"],
            expect![[r#"
                a ping 10.1.0.1: answered
                a tcp 10.1.0.1:7000: b:7000 sees 10.1.0.2
            "#]],
        );
    });
}
