//! A host that gets its default route by router advertisement, and networks that switch IPv6 forwarding on.

mod common;

use std::net::{Ipv6Addr, SocketAddrV6};

use common::{eventually, ok, pontoon};
use expect_test::{Expect, expect};
use pontoon_testkit::{Feature, ip_json, isolated, require, run};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket, sockopt};

/// Runs a test where a router advertises itself to the interface `up0`, if the kernel has what that needs.
fn advertised(test: impl FnOnce()) {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        run("ip", &["link", "add", "up0", "type", "veth", "peer", "name", "router"]);
        // The router is this host's other end, and has an address to advertise itself with at once.
        set("up0", "accept_ra_from_local", "1");
        set("router", "accept_ra", "0");
        set("router", "accept_dad", "0");
        run("ip", &["link", "set", "router", "up"]);
        run("ip", &["link", "set", "up0", "up"]);
        eventually("a default route", || {
            // The router's link-local address comes a moment after its link is up.
            advertise().is_ok() && has_default_route()
        });
        test();
    });
}

fn set(link: &str, setting: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/{setting}"), value).expect("the namespace is ours");
}

/// Sends a router advertisement (RFC 4861 section 4.2): hop limit 64, default router for half an hour.
fn advertise() -> Result<(), Errno> {
    let message = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    let raw = socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).expect("root in a namespace");
    sockopt::set_ipv6_multicast_hops(&raw, 255).expect("it is an IPv6 socket");
    let link = ip_json(&["link", "show", "router"])[0]["ifindex"].as_u64().expect("an index");
    let everybody = SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 0, 0, link as u32);
    sendto(&raw, &message, SendFlags::empty(), &everybody).map(drop)
}

fn has_default_route() -> bool {
    let routes = ip_json(&["-6", "route", "show", "default", "proto", "ra"]);
    routes.as_array().is_some_and(|routes| !routes.is_empty())
}

/// Compares what `doctor` says of `up0`.
fn check_doctor(expected: Expect) {
    let text = pontoon(&["doctor"]).stdout;
    expected.assert_eq(
        &text.lines().filter(|line| line.contains("up0")).map(|line| format!("{line}\n")).collect::<String>(),
    );
}

#[test]
fn the_loss_of_an_advertised_default_route_is_announced() {
    advertised(|| {
        check_doctor(expect![[r#"
            note   IPv6: up0 has its default route by router advertisement, and loses it when it begins to forward: set net.ipv6.conf.up0.accept_ra=2 before the first network with IPv6 is created
        "#]]);
        // Neither IPv4 nor an internal network needs it.
        ok(&["network", "create", "four"]);
        ok(&["network", "create", "inner", "--ipv6", "--internal"]);
        assert!(has_default_route());
        let created = pontoon(&["network", "create", "front", "--ipv6"]);
        assert_eq!(created.status, 0, "{created:?}");
        expect![[r#"
            note: with IPv6 forwarding on, up0 ignores router advertisements, and has lost the default route that it had by one: set net.ipv6.conf.up0.accept_ra=2 to get it back with the next
        "#]].assert_eq(&created.stderr);
        assert!(!has_default_route());
        check_doctor(expect![[r#"
            note   IPv6: up0 forwards and so ignores router advertisements, and has no default route by one: if its addresses or routes are to come by them, set net.ipv6.conf.up0.accept_ra=2
        "#]]);
        // It is said once, by whoever did it.
        ok(&["network", "create", "back", "--ipv6"]);
        set("up0", "accept_ra", "2");
        eventually("a default route", || {
            // The router's link-local address comes a moment after its link is up.
            advertise().is_ok() && has_default_route()
        });
        check_doctor(expect![[r#""#]]);
    });
}

/// Creates a network with flags that leave no room for a remark; the doctor still knows.
fn check_unremarked(flags: &[&str]) {
    advertised(|| {
        ok(&[&["network", "create", "front", "--ipv6"], flags].concat());
        assert!(!has_default_route());
        assert!(pontoon(&["doctor"]).stdout.contains("net.ipv6.conf.up0.accept_ra=2"));
    });
}

#[test]
fn who_wants_quiet_is_told_nothing() {
    check_unremarked(&["--quiet"]);
}

#[test]
fn who_wants_a_document_gets_that_alone() {
    check_unremarked(&["--format", "json"]);
}

#[test]
fn an_interface_that_takes_advertisements_all_the_same_loses_nothing() {
    advertised(|| {
        set("up0", "accept_ra", "2");
        ok(&["network", "create", "front", "--ipv6"]);
        assert!(has_default_route());
        check_doctor(expect![[r#""#]]);
    });
}
