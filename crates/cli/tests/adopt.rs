//! Namespaces that somebody else made, with all that a sandbox of our own is given.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use common::process::Process;
use common::{eventually, json, like_before, mistake, ok, pontoon, snapshot};
use expect_test::expect;
use pontoon_testkit::{isolated, run};

/// Networks for everybody; the host has no name servers that could answer.
fn networks() {
    std::fs::write("/run/resolv.conf", "").unwrap();
    run("mount", &["--bind", "/run/resolv.conf", "/etc/resolv.conf"]);
    ok(&["network", "create", "--ipv6", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "front"]);
    ok(&["network", "create", "--subnet", "10.2.0.0/24", "back"]);
}

/// What a script prints inside a sandbox, with its files.
fn inside(sandbox: &str, script: &str) -> String {
    ok(&["sandbox", "exec", sandbox, "--", "sh", "-c", script]).trim().to_owned()
}

/// Says `hello` on port 80 of a namespace to everybody who asks.
fn server(netns: &str) -> Process {
    let words = ["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"];
    let server = Process::start(Command::new("nsenter").arg(format!("--net={netns}")).args(words));
    let listening = ["nsenter", &format!("--net={netns}"), "ss", "-Htln"].map(str::to_owned);
    let listening = listening.iter().map(String::as_str).collect::<Vec<_>>();
    eventually("a server", || run(listening[0], &listening[1..]).contains(":80 "));
    server
}

fn asked(address: &str) -> String {
    let mut answer = String::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| stream.read_to_string(&mut answer));
    asked.map_or_else(|error| error.to_string(), |_| answer.trim().to_owned())
}

#[test]
fn an_adopted_namespace_gets_networks_names_ports_and_files() {
    isolated(|| {
        run("ip", &["netns", "add", "theirs"]);
        run("ip", &["-n", "theirs", "link", "set", "lo", "up"]);
        networks();
        ok(&["sandbox", "create", "db", "--network", "front,ip=10.1.0.9"]);
        let (before, links) = (snapshot(), run("ip", &["-n", "theirs", "-j", "addr"]));
        ok(&[
            &["sandbox", "adopt", "web", "--netns", "/run/netns/theirs"][..],
            &["--network", "front,ip=10.1.0.7,ip6=fd00:1::7,alias=www,link=db:store,ifname=lan0"],
            &["--network", "back,ip=10.2.0.7,gw-priority=5", "-p", "8080:80", "--hostname", "shop"],
            &["--add-host", "far:192.0.2.7", "--dns-search", "a.example", "--dns-opt", "timeout:3"],
            &["--sysctl", "net.ipv4.conf.IFNAME.log_martians=1"],
        ]
        .concat());
        let document = &json(&["sandbox", "inspect", "web"])[0];
        assert_eq!(document["Namespace"]["Path"], "/run/netns/theirs");
        assert_eq!(document["Hostname"], "shop");
        let addresses = run("ip", &["-n", "theirs", "-o", "addr"]);
        for expected in ["lan0    inet 10.1.0.7/24", "lan0    inet6 fd00:1::7/64", "eth0    inet 10.2.0.7/24"] {
            assert!(addresses.contains(expected), "{expected}: {addresses}");
        }
        assert!(run("ip", &["-n", "theirs", "route"]).starts_with("default via 10.2.0.1 dev eth0"));
        assert_eq!(inside("web", "cat /proc/sys/net/ipv4/conf/*/log_martians | sort | uniq -c").lines().count(), 2);
        // Names, each way, by real clients.
        assert_eq!(inside("web", "dig +short store"), "10.1.0.9");
        assert_eq!(inside("db", "dig +short www; dig +short www AAAA"), "10.1.0.7\nfd00:1::7");
        inside("web", "ping -c 1 -W 5 db && ping -c 1 -W 5 store");
        inside("db", "ping -c 1 -W 5 web && ping -6 -c 1 -W 5 www");
        assert_eq!(inside("web", "hostname; getent hosts far"), "shop\n192.0.2.7       far");
        assert_eq!(
            inside("web", "grep -v '^#' /etc/resolv.conf"),
            "nameserver 127.0.0.11\nsearch a.example\noptions timeout:3 ndots:0"
        );
        // Ports.
        assert_eq!(ok(&["port", "web"]), "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
        let server = server("/run/netns/theirs");
        assert_eq!(asked("10.2.0.1:8080"), "hello");
        drop(server);
        ok(&["sandbox", "rm", "web"]);
        like_before(&before);
        assert_eq!(run("ip", &["-n", "theirs", "-j", "addr"]), links);
    });
}

#[test]
fn a_process_is_adopted_with_the_default_network() {
    isolated(|| {
        let process = Process::start(Command::new("unshare").args(["--net", "sleep", "60"]).stdout(Stdio::null()));
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let netns = format!("/proc/{}/ns/net", process.id());
        eventually("a namespace", || std::fs::read_link(&netns).is_ok_and(|namespace| namespace != own));
        let pid = process.id().to_string();
        let before = snapshot();
        let plan = ok(&["--plan", "sandbox", "adopt", "web", "--pid", &pid, "--network", "default", "-p", "81:80"]);
        for step in ["+ bridge ", &format!("adopted from {netns}"), "+ veth ", "+ hold 0.0.0.0:81/tcp"] {
            assert!(plan.contains(step), "{step}: {plan}");
        }
        like_before(&before);
        ok(&["sandbox", "adopt", "web", "--pid", &pid, "--network", "default", "-p", "81:80"]);
        inside("web", "ping -c 1 -W 5 172.17.0.1");
        let _server = server(&netns);
        assert_eq!(asked("172.17.0.1:81"), "hello");
    });
}

#[test]
fn what_cannot_be_adopted_so_is_named_and_leaves_nothing() {
    isolated(|| {
        run("ip", &["netns", "add", "theirs"]);
        networks();
        let before = snapshot();
        let adopt = ["sandbox", "adopt", "web", "--netns", "/run/netns/theirs"];
        mistake(
            &[&adopt[..], &["--network", "nowhere"]].concat(),
            1,
            &expect![[r#"
                error: network nowhere not found
                hint: `pontoon network ls` shows the networks"#]],
        );
        mistake(
            &[&adopt[..], &["--sysctl", "net.ipv4.conf.IFNAME.log_martians=1"]].concat(),
            2,
            &expect![
                "error: --sysctl net.ipv4.conf.IFNAME.log_martians=1 cannot be used without --network: no interface is made"
            ],
        );
        mistake(
            &[&adopt[..], &["--network", "front,ip=10.9.0.1"]].concat(),
            2,
            &expect!["error: requested address is out of range: 10.9.0.1 is not in 10.1.0.0/24"],
        );
        mistake(
            &[&adopt[..], &["--network", "front,ifname=lo"]].concat(),
            1,
            &expect!["error: interface name lo is already used in sandbox web"],
        );
        mistake(
            &["sandbox", "adopt", "web", "--network", "front"],
            2,
            &expect![[r#"
            error: the following required arguments were not provided:
              <--netns <PATH>|--pid <PID>>

            Usage: pontoon sandbox adopt --network <NET> <--netns <PATH>|--pid <PID>> <NAME>"#]],
        );
        mistake(
            &["sandbox", "adopt", "web", "--pid", "0"],
            1,
            &expect![[r#"
            error: cannot open the namespace /proc/0/ns/net
              because No such file or directory (os error 2)"#]],
        );
        mistake(
            &["sandbox", "adopt", "web", "--pid", "4194304"],
            1,
            &expect![[r#"
            error: cannot open the namespace /proc/4194304/ns/net
              because No such file or directory (os error 2)"#]],
        );
        mistake(
            &["sandbox", "adopt", "web", "--pid", "1", "--network", "front"],
            2,
            &expect![[r#"
            error: create sandbox web failed
              because step 1 (+ namespace of sandbox ID adopted from /proc/1/ns/net) failed
              because /proc/1/ns/net is the host's own network namespace, which no sandbox can have"#]],
        );
        assert_eq!(ok(&["-q", "sandbox", "ls"]), "");
        like_before(&before);
        // Who has it keeps it.
        ok(&[&adopt[..], &["--network", "front"]].concat());
        mistake(
            &[&adopt[..], &["--network", "back"]].concat(),
            1,
            &expect![[r#"
            error: container web is already present in sandbox ID
            hint: choose another name, or remove the sandbox first"#]],
        );
        let other = ["sandbox", "adopt", "other", "--netns", "/run/netns/theirs", "--network", "back"];
        mistake(
            &other,
            1,
            &expect![[r#"
            error: create sandbox other failed
              because step 1 (+ namespace of sandbox ID adopted from /run/netns/theirs) failed
              because /run/netns/theirs is the network namespace of sandbox ID already: a namespace has one sandbox"#]],
        );
        assert_eq!(json(&["sandbox", "inspect", "web"])[0]["Endpoints"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn a_sandbox_that_waits_keeps_what_it_was_created_with() {
    isolated(|| {
        run("ip", &["netns", "add", "theirs"]);
        networks();
        ok(&["sandbox", "create", "--external", "web", "--network", "front,ip=10.1.0.7", "--hostname", "shop"]);
        let adopt = ["sandbox", "adopt", "web", "--netns", "/run/netns/theirs"];
        let given: [&[&str]; 9] = [
            &["--network", "back"],
            &["-p", "80:80"],
            &["--hostname", "other"],
            &["--add-host", "a:10.0.0.1"],
            &["--dns", "10.0.0.1"],
            &["--dns-search", "a.example"],
            &["--dns-opt", "timeout:3"],
            &["--network", "back", "--sysctl", "net.ipv4.conf.IFNAME.log_martians=1"],
            &["--network", "back", "--rate-in", "8M"],
        ];
        for flags in given {
            for plan in [&[][..], &["--plan"]] {
                let refused = pontoon(&[plan, &adopt, flags].concat());
                assert_eq!(refused.status, 2, "{refused:?}");
                assert!(refused.stderr.contains(" cannot be used with sandbox web: it waits"), "{refused:?}");
            }
        }
        mistake(
            &[&adopt[..], given[1]].concat(),
            2,
            &expect![[r#"
            error: --publish cannot be used with sandbox web: it waits for its namespace, and has what it was created with
            hint: leave the flag out, or remove the sandbox first; `pontoon network connect` adds networks"#]],
        );
        assert_eq!(json(&["sandbox", "inspect", "web"])[0]["Namespace"]["Source"], "later");
        ok(&adopt);
        let document = &json(&["sandbox", "inspect", "web"])[0];
        assert_eq!(document["Namespace"]["Path"], "/run/netns/theirs");
        assert_eq!(inside("web", "hostname; ip -o -4 addr show eth0").split_whitespace().nth(4), Some("10.1.0.7/24"));
    });
}
