//! Names, files and ports as programs of several C libraries see them inside sandboxes.

mod common;

use std::fs;

use common::{ok, pontoon};
use pontoon_testkit::{isolated, run};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/resolve.c");
/// The same program, linked with each C library.
const GLIBC: &str = "/run/resolve-glibc";
const MUSL: &str = "/run/resolve-musl";

/// Two sandboxes on a network of both families.
fn sandboxes() {
    fs::write("/run/resolv.conf", "").unwrap();
    run("mount", &["--bind", "/run/resolv.conf", "/etc/resolv.conf"]);
    run("cc", &["-o", GLIBC, SOURCE]);
    run("musl-gcc", &["-static", "-o", MUSL, SOURCE]);
    ok(&["network", "create", "--ipv6", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "front"]);
    ok(&["sandbox", "create", "web", "--network", "front,ip=10.1.0.7,ip6=fd00:1::7,alias=www"]);
    let app = ["sandbox", "create", "app", "--network", "front,ip=10.1.0.8,ip6=fd00:1::8,link=web:store"];
    ok(&[&app[..], &["--hostname", "desk", "--add-host", "far.example:192.0.2.7", "--dns-search", "front"]].concat());
}

/// What a program prints inside `app`, its lines in order.
fn lines(words: &[&str]) -> Vec<String> {
    let ran = pontoon(&[&["sandbox", "exec", "app", "--"], words].concat());
    assert_eq!(ran.stderr, "", "{words:?}");
    let mut lines: Vec<String> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn both_c_libraries_find_the_same() {
    isolated(|| {
        sandboxes();
        let web = ["10.1.0.7", "fd00:1::7"];
        for client in [GLIBC, MUSL] {
            for name in ["web", "WEB", "www", "store", "web.front", "web."] {
                assert_eq!(lines(&[client, "addresses", name]), web, "{client} {name}");
            }
            for address in web {
                assert_eq!(lines(&[client, "name", address]), ["web.front"], "{client} {address}");
            }
            // From the sandbox's own hosts.
            assert_eq!(lines(&[client, "addresses", "far.example"]), ["192.0.2.7"], "{client}");
            assert_eq!(lines(&[client, "addresses", "desk"]), ["10.1.0.8", "fd00:1::8"], "{client}");
            assert_eq!(lines(&[client, "name", "192.0.2.7"]), ["far.example"], "{client}");
            let nobody = pontoon(&["sandbox", "exec", "app", "--", client, "addresses", "nobody"]);
            assert_eq!(nobody.status, 1, "{nobody:?}");
        }
    });
}

#[test]
fn the_programs_of_every_day_find_names() {
    isolated(|| {
        sandboxes();
        assert_eq!(lines(&["getent", "hosts", "web"]), ["fd00:1::7 web"]);
        assert_eq!(lines(&["getent", "ahostsv4", "www"])[0], "10.1.0.7 DGRAM");
        assert_eq!(lines(&["getent", "hosts", "10.1.0.7"]), ["10.1.0.7 web.front"]);
        assert_eq!(lines(&["dig", "+short", "store", "A", "store", "AAAA"]), ["10.1.0.7", "fd00:1::7"]);
        assert_eq!(lines(&["dig", "+short", "-x", "fd00:1::7"]), ["web.front."]);
        assert!(lines(&["busybox", "nslookup", "web"]).iter().any(|line| line == "Address: 10.1.0.7"));
        for ping in [&["ping", "-4"][..], &["ping", "-6"], &["busybox", "ping", "-4"], &["busybox", "ping", "-6"]] {
            let words = [&["sandbox", "exec", "app", "--"], ping, &["-c", "1", "-W", "5", "www"]].concat();
            ok(&words);
        }
    });
}
