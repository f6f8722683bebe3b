//! Which servers a sandbox's resolver asks for names that no network has, and from where.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::SeqCst;

use common::inside::{address, dig, helper, host_servers};
use common::server::{name_server, name_server_inside};
use common::{RUN_DIR, json, ok};
use pontoon_testkit::isolated;

const HOST: &str = "192.0.2.1";
const INSIDE: &str = "192.0.2.7";

/// Upstream `TestIntDNSAsExtDNS`, and `--dns` beside it.
#[test]
fn servers_that_were_asked_for_are_reached_from_inside_and_never_the_resolver_itself() {
    isolated(|| {
        host_servers("nameserver 127.0.0.1\n");
        let host = name_server("127.0.0.1", [192, 0, 2, 1]);
        ok(&["network", "create", "front"]);
        for (name, servers) in [
            ("own", &["127.0.0.1"][..]),
            ("itself", &["127.0.0.11"]),
            ("both", &["127.0.0.11", "127.0.0.1"]),
            ("hosts", &[]),
        ] {
            let servers = servers.iter().flat_map(|server| ["--dns", server]);
            ok(&[&["sandbox", "create", name, "--network", "front"][..], &servers.collect::<Vec<_>>()].concat());
        }
        let own = name_server_inside("own", "127.0.0.1", [192, 0, 2, 7]);
        name_server_inside("both", "127.0.0.1", [192, 0, 2, 7]);
        assert_eq!(dig("own", &["example.org", "A"]), INSIDE);
        assert_eq!(dig("itself", &["example.org", "A"]), "SERVFAIL");
        assert_eq!(dig("both", &["example.org", "A"]), INSIDE);
        assert_eq!((own.load(SeqCst), host.load(SeqCst)), (1, 0));
        assert_eq!(dig("hosts", &["example.org", "A"]), HOST);
        assert_eq!((own.load(SeqCst), host.load(SeqCst)), (1, 1));
    });
}

/// Upstream `TestInternalNetworkLocalDNS`.
#[test]
fn a_server_on_an_internal_network_is_asked_and_the_hosts_are_not() {
    isolated(|| {
        host_servers("nameserver 127.0.0.1\n");
        let host = name_server("127.0.0.1", [192, 0, 2, 1]);
        ok(&["network", "create", "--internal", "vault"]);
        ok(&["sandbox", "create", "server", "--network", "vault"]);
        let at = address("server", "vault", false);
        name_server_inside("server", &at, [192, 0, 2, 7]);
        ok(&["sandbox", "create", "app", "--network", "vault", "--dns", &at]);
        assert_eq!(dig("app", &["example.org", "A"]), INSIDE);
        assert_eq!(dig("app", &["server", "A"]), at);
        assert_eq!(dig("server", &["example.org", "A"]), "SERVFAIL");
        assert_eq!(host.load(SeqCst), 0);
    });
}

/// Upstream `TestDaemonDNSFallback`, `TestExtDNSInIPv6OnlyNw`.
#[test]
fn the_next_server_is_asked_also_for_a_sandbox_without_ipv4() {
    isolated(|| {
        // Nobody is at the first.
        host_servers("nameserver 127.0.0.9\nnameserver 127.0.0.1\n");
        name_server("127.0.0.1", [192, 0, 2, 1]);
        ok(&["network", "create", "front"]);
        ok(&["network", "create", "--ipv4=false", "--ipv6", "--subnet", "fd00:6::/64", "six"]);
        for network in ["front", "six"] {
            ok(&["sandbox", "create", network, "--network", network]);
            assert_eq!(dig(network, &["example.org", "A"]), HOST, "{network}");
        }
        assert_eq!(dig("six", &["six", "AAAA"]), address("six", "six", true));
        assert_eq!(dig("six", &["six", "A"]), "");
    });
}

#[test]
fn ndots_above_zero_keeps_names_without_dots_here() {
    isolated(|| {
        host_servers("nameserver 127.0.0.1\n");
        let host = name_server("127.0.0.1", [192, 0, 2, 1]);
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "plain", "--network", "front"]);
        ok(&["sandbox", "create", "none", "--network", "front", "--dns-opt", "ndots:0"]);
        ok(&["sandbox", "create", "one", "--network", "front", "--dns-opt", "ndots:1"]);
        assert_eq!(dig("one", &["nobody", "A"]), "");
        assert_eq!(dig("one", &["nobody", "AAAA"]), "");
        assert_eq!(host.load(SeqCst), 0);
        assert_eq!(dig("one", &["nobody.example", "A"]), HOST);
        assert_eq!(dig("plain", &["nobody", "A"]), HOST);
        assert_eq!(dig("none", &["nobody", "A"]), HOST);
        // The host's file counts too.
        host_servers("nameserver 127.0.0.1\noptions ndots:2\n");
        ok(&["sandbox", "create", "two", "--network", "front"]);
        let asked = host.load(SeqCst);
        assert_eq!(dig("two", &["nobody", "A"]), "");
        assert_eq!(host.load(SeqCst), asked);
    });
}

#[test]
fn behind_resolved_its_own_servers_are_asked() {
    isolated(|| {
        host_servers("nameserver 127.0.0.53\noptions edns0\n");
        let stub = name_server("127.0.0.53", [192, 0, 2, 53]);
        name_server("127.0.0.1", [192, 0, 2, 1]);
        fs::create_dir_all("/run/systemd/resolve").unwrap();
        fs::write("/run/systemd/resolve/resolv.conf", "nameserver 127.0.0.1\n").unwrap();
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "app", "--network", "front"]);
        let path = json(&["sandbox", "inspect", "app"])[0]["ResolvConfPath"].as_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.contains("# Based on host file: '/run/systemd/resolve/resolv.conf' (internal resolver)"),
            "{text}"
        );
        assert!(text.contains("# ExtServers: [host(127.0.0.1)]"), "{text}");
        assert_eq!(dig("app", &["example.org", "A"]), HOST);
        assert_eq!(stub.load(SeqCst), 0);
    });
}

/// Upstream `TestDisableIPv6Addrs`: what an endpoint without IPv6 is called leads to IPv4 alone.
#[test]
fn a_sandbox_that_refuses_ipv6_has_no_such_names_or_lines() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "--ipv6", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "front"]);
        ok(&["sandbox", "create", "app", "--network", "front"]);
        ok(&["sandbox", "create", "v4", "--network", "front", "--sysctl", "net.ipv6.conf.IFNAME.disable_ipv6=1"]);
        assert_eq!(dig("app", &["v4", "A"]), address("v4", "front", false));
        assert_eq!(dig("app", &["v4", "AAAA"]), "");
        let path = json(&["sandbox", "inspect", "v4"])[0]["HostsPath"].as_str().unwrap().to_owned();
        let hosts = fs::read_to_string(path).unwrap();
        let own: Vec<&str> = hosts.lines().filter(|line| line.ends_with("\tv4")).collect();
        assert_eq!(own, [format!("{}\tv4", address("v4", "front", false))]);
    });
}

#[test]
fn nonsense_for_the_helper_changes_nothing() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        let (web, first) = (address("web", "front", false), helper());
        let document = format!("{RUN_DIR}/names.json");
        fs::write(&document, "{\"networks\":").unwrap();
        for words in ["", "\n", "load", "lo\0ad\n", "unload\n", "load\n"] {
            let mut stream = UnixStream::connect(format!("{RUN_DIR}/names.sock")).unwrap();
            stream.write_all(words.as_bytes()).unwrap();
        }
        assert_eq!(dig("web", &["web", "A"]), web);
        // The next change writes the names down anew.
        ok(&["sandbox", "create", "app", "--network", "front"]);
        assert_eq!(dig("app", &["web", "A"]), web);
        fs::remove_file(&document).unwrap();
        fs::create_dir(&document).unwrap();
        let ran = common::pontoon(&["sandbox", "create", "late", "--network", "front"]);
        assert!(ran.status == 0 && ran.stderr.contains("may not find each other by name"), "{ran:?}");
        assert_eq!(dig("app", &["web", "A"]), web);
        fs::remove_dir(&document).unwrap();
        ok(&["repair"]);
        assert_eq!(dig("app", &["late", "A"]), address("late", "front", false));
        assert_eq!(helper(), first, "the same one all the time");
    });
}
