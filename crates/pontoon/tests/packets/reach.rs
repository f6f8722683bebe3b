//! Networks, and the walls between them.

use expect_test::{Expect, expect};
use pontoon::NetworkSpec;

use crate::lab::{Lab, bridge_netfilter, dual, lab};

const ICC: &str = "com.docker.network.bridge.enable_icc";
const PLACES: &[&str] = &["a", "b", "c", "d", "d2", "e", "f", "host", "outside"];

/// Two sandboxes on a plain network, one on another, two on an internal one, two on one whose sandboxes may not talk.
fn town(lab: &mut Lab) {
    let (one, two) = (lab.network(dual(1)), lab.network(dual(2)));
    let (internal, quiet) = (lab.network(dual(3).internal(true)), lab.network(dual(4).option(ICC, "false")));
    for (name, network) in
        [("a", &one), ("b", &one), ("c", &two), ("d", &internal), ("d2", &internal), ("e", &quiet), ("f", &quiet)]
    {
        lab.sandbox(name, network, &[]);
    }
}

fn check_town(on: bool, v4: Expect, v6: Expect) {
    lab(|mut lab| {
        bridge_netfilter(on);
        town(&mut lab);
        lab.check_reach(PLACES, false, v4);
        lab.check_reach(PLACES, true, v6);
    });
}

#[test]
fn walls_stand_without_bridge_netfilter() {
    check_town(
        false,
        expect![[r#"
        IPv4    a b c d d2 e f host outside
        a       + + . . .  . . +    +
        b       + + . . .  . . +    +
        c       . . + . .  . . +    +
        d       . . . + +  . . .    .
        d2      . . . + +  . . .    .
        e       . . . . .  + . +    +
        f       . . . . .  . + +    +
        host    + + + + +  + + +    +
        outside . . . . .  . . +    +
    "#]],
        expect![[r#"
        IPv6    a b c d d2 e f host outside
        a       + + . . .  . . +    +
        b       + + . . .  . . +    +
        c       . . + . .  . . +    +
        d       . . . + +  . . .    .
        d2      . . . + +  . . .    .
        e       . . . . .  + . +    +
        f       . . . . .  . + +    +
        host    + + + + +  + + +    +
        outside . . . . .  . . +    +
    "#]],
    );
}

#[test]
fn walls_stand_with_bridge_netfilter() {
    check_town(
        true,
        expect![[r#"
        IPv4    a b c d d2 e f host outside
        a       + + . . .  . . +    +
        b       + + . . .  . . +    +
        c       . . + . .  . . +    +
        d       . . . + +  . . .    .
        d2      . . . + +  . . .    .
        e       . . . . .  + . +    +
        f       . . . . .  . + +    +
        host    + + + + +  + + +    +
        outside . . . . .  . . +    +
    "#]],
        expect![[r#"
        IPv6    a b c d d2 e f host outside
        a       + + . . .  . . +    +
        b       + + . . .  . . +    +
        c       . . + . .  . . +    +
        d       . . . + +  . . .    .
        d2      . . . + +  . . .    .
        e       . . . . .  + . +    +
        f       . . . . .  . + +    +
        host    + + + + +  + + +    +
        outside . . . . .  . . +    +
    "#]],
    );
}

#[test]
fn one_family_is_enough() {
    lab(|mut lab| {
        let four = lab.network(NetworkSpec::new("four").subnet("10.1.0.0/24".parse().unwrap()));
        let six = NetworkSpec::new("six").ipv4(false).ipv6(true).subnet("fd00:6::/64".parse().unwrap());
        let six = lab.network(six);
        for (name, network) in [("a", &four), ("b", &four), ("x", &six), ("y", &six)] {
            lab.sandbox(name, network, &[]);
        }
        let places = ["a", "b", "x", "y", "host", "outside"];
        lab.check_reach(
            &places,
            false,
            expect![[r#"
            IPv4    a b x y host outside
            a       + +     +    +
            b       + +     +    +
            x
            y
            host    + +     +    +
            outside . .     +    +
        "#]],
        );
        lab.check_reach(
            &places,
            true,
            expect![[r#"
            IPv6    a b x y host outside
            a
            b
            x           + + +    +
            y           + + +    +
            host        + + +    +
            outside     . . +    +
        "#]],
        );
        // What has no address of a family has no way to it either.
        lab.check(
            &["a tcp [2001:db8::2]:7000", "x tcp 192.0.2.2:7000"],
            expect![[r#"
            a tcp [2001:db8::2]:7000: no route
            x tcp 192.0.2.2:7000: no route
        "#]],
        );
    });
}

#[test]
fn a_gateway_is_the_host_to_its_own_network() {
    lab(|mut lab| {
        town(&mut lab);
        lab.check(
            &[
                "a tcp 10.1.0.1:7000",
                "a tcp [fd00:1::1]:7000",
                "d tcp 10.3.0.1:7000",
                "d tcp [fd00:3::1]:7000",
                // The host has these addresses, whichever way one comes.
                "a tcp 10.2.0.1:7000",
                "d tcp 10.1.0.1:7000",
            ],
            expect![[r#"
                a tcp 10.1.0.1:7000: host:7000 sees 10.1.0.2
                a tcp [fd00:1::1]:7000: host:7000 sees fd00:1::2
                d tcp 10.3.0.1:7000: host:7000 sees 10.3.0.2
                d tcp [fd00:3::1]:7000: host:7000 sees fd00:3::2
                a tcp 10.2.0.1:7000: host:7000 sees 10.1.0.2
                d tcp 10.1.0.1:7000: no route
            "#]],
        );
    });
}

/// An internal network stays cut off when its sandbox helps itself to routes.
#[test]
fn an_internal_network_has_no_way_out_even_with_routes() {
    lab(|mut lab| {
        town(&mut lab);
        lab.inside("d", &["ip", "route", "add", "default", "via", "10.3.0.1"]);
        lab.inside("d", &["ip", "-6", "route", "add", "default", "via", "fd00:3::1"]);
        lab.check(
            &[
                "d tcp 192.0.2.2:7000",
                "d tcp [2001:db8::2]:7000",
                "d ping 10.1.0.2",
                "d tcp 10.1.0.2:7000",
                "d tcp [fd00:1::2]:7000",
                "a tcp 10.3.0.2:7000",
                "outside tcp 10.3.0.2:7000",
                "outside tcp [fd00:3::2]:7000",
            ],
            expect![[r#"
                d tcp 192.0.2.2:7000: no answer
                d tcp [2001:db8::2]:7000: no answer
                d ping 10.1.0.2: no answer
                d tcp 10.1.0.2:7000: no answer
                d tcp [fd00:1::2]:7000: no answer
                a tcp 10.3.0.2:7000: no answer
                outside tcp 10.3.0.2:7000: no answer
                outside tcp [fd00:3::2]:7000: no answer
            "#]],
        );
    });
}
