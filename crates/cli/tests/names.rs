//! Names between sandboxes, asked by real clients.

mod common;

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use common::inside::{address, dig, helper, host_servers, inside, kill_helper, netns, say};
use common::{eventually, json, like_before, ok, signal, snapshot, start};
use pontoon_testkit::isolated;

#[test]
fn sandboxes_find_each_other_by_name_alias_link_and_address() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "--ipv6", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "front"]);
        ok(&["sandbox", "create", "web", "--network", "front,alias=www,alias=shop"]);
        ok(&["sandbox", "create", "app", "--network", "front,link=web:store"]);
        let (v4, v6) = (address("web", "front", false), address("web", "front", true));
        let id = json(&["sandbox", "inspect", "web"])[0]["ID"].as_str().unwrap()[..12].to_owned();
        for name in ["web", "WEB", "www", "shop", "web.front", "store", &id] {
            assert_eq!(dig("app", &[name, "A"]), v4, "{name}");
            assert_eq!(dig("app", &[name, "AAAA"]), v6, "{name}");
            assert_eq!(dig("app", &["+tcp", name, "A"]), v4, "{name} by TCP");
        }
        assert_eq!(dig("web", &["store", "A"]), "SERVFAIL", "a link is its sandbox's alone");
        assert_eq!(dig("app", &["-x", &v4]), "web.front.");
        assert_eq!(dig("app", &["-x", &v6]), "web.front.");
        assert_eq!(dig("app", &["web", "MX"]), "", "known, and nothing of that kind");
        // The C library of Debian, and busybox's own.
        let with_file = "mount --bind /run/box.conf /etc/resolv.conf && exec \"$@\"";
        fs::write("/run/box.conf", "nameserver 127.0.0.11\noptions ndots:0\n").unwrap();
        let shell = ["unshare", "--mount", "sh", "-c", with_file, "sh"];
        let found = say("app", &[&shell[..], &["getent", "ahostsv4", "web"]].concat());
        assert!(found.starts_with(&v4), "{found}");
        let found = say("app", &[&shell[..], &["getent", "hosts", "www"]].concat());
        assert!(found.starts_with(&v6), "{found}");
        let found = say("app", &[&shell[..], &["busybox", "nslookup", "web"]].concat());
        assert!(found.contains(&v4) && found.contains(&v6), "{found}");
        run_inside("app", &[&shell[..], &["ping", "-c", "1", "-W", "2", "shop"]].concat());
    });
}

fn run_inside(sandbox: &str, words: &[&str]) {
    let output = inside(sandbox, words).output().expect("the program runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn joins_and_leaves_are_seen_at_once_and_networks_keep_their_names() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "front"]);
        ok(&["network", "create", "back"]);
        let before = snapshot();
        ok(&["sandbox", "create", "app", "--network", "front"]);
        ok(&["sandbox", "create", "db", "--network", "back"]);
        assert_eq!(dig("app", &["db", "A"]), "SERVFAIL", "of another network");
        assert_eq!(dig("app", &["db.back", "A"]), "SERVFAIL");
        ok(&["network", "connect", "back", "app", "--alias", "both"]);
        let db = address("db", "back", false);
        assert_eq!(dig("app", &["db", "A"]), db);
        assert_eq!(dig("app", &["db.back", "A"]), db);
        assert_eq!(dig("app", &["db.front", "A"]), "SERVFAIL");
        assert_eq!(dig("db", &["app", "A"]), address("app", "back", false));
        assert_eq!(dig("db", &["both", "A"]), address("app", "back", false));
        assert_eq!(dig("app", &["app", "A"]), address("app", "back", false), "the first network that knows it");
        ok(&["network", "disconnect", "back", "app"]);
        assert_eq!(dig("app", &["db", "A"]), "SERVFAIL");
        assert_eq!(dig("db", &["app", "A"]), "SERVFAIL");
        ok(&["sandbox", "create", "db2", "--network", "back,alias=db"]);
        let mut both = [db, address("db2", "back", false)];
        both.sort_unstable();
        assert_eq!(dig("db2", &["db", "A"]), both.join(" "), "two owners of one name");
        for sandbox in ["db", "db2", "app"] {
            ok(&["sandbox", "rm", sandbox]);
        }
        eventually("the end of the helper", || helper().is_none());
        like_before(&before);
    });
}

#[test]
fn a_helper_that_is_killed_is_back_before_a_client_asks_again() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        let app = start(&["run", "--name", "app", "--network", "front", "--", "sleep", "60"]);
        eventually("the sandbox", || json(&["sandbox", "ls"]).as_array().is_some_and(|all| all.len() == 2));
        let web = address("web", "front", false);
        eventually("an answer", || dig("app", &["web", "A"]) == web);
        let netns = netns("app");
        let mut longest = Duration::ZERO;
        for _ in 0..5 {
            let killed = kill_helper();
            while dig_quickly(&netns) != web {
                assert!(killed.elapsed() < Duration::from_secs(2), "nobody answers any more");
            }
            longest = longest.max(killed.elapsed());
            // Whoever watches has seen the new one by then.
            sleep(Duration::from_millis(50));
        }
        println!("COUNT {} ms from the death of the helper to an answer, at most", longest.as_millis());
        let ended = signal(app, "TERM");
        assert_eq!((ended.status, ended.stderr.as_str()), (128 + 15, ""));
    });
}

/// Asks in a namespace for the address of web, once, and waits for a tenth of a second.
fn dig_quickly(netns: &str) -> String {
    let words = ["timeout", "0.1", "dig", "@127.0.0.11", "+short", "+tries=1", "+time=1", "web", "A"];
    let asked = Command::new("nsenter").arg(format!("--net={netns}")).args(words).output().expect("dig runs");
    String::from_utf8_lossy(&asked.stdout).trim().to_owned()
}

#[test]
fn the_next_command_starts_another_helper() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        let web = address("web", "front", false);
        assert_eq!(dig("web", &["web", "A"]), web);
        let first = helper();
        kill_helper();
        assert_eq!(dig("web", &["web", "A"]), "nothing");
        ok(&["repair"]);
        assert_eq!(dig("web", &["web", "A"]), web);
        assert!(helper().is_some() && helper() != first);
        // A second one leaves at once.
        let second = helper();
        ok(&["resolver"]);
        assert_eq!(helper(), second);
        // The table that leads to it is put right like everything else.
        run_inside("web", &["nft", "flush", "ruleset"]);
        assert_eq!(dig("web", &["web", "A"]), "nothing");
        assert!(ok(&["repair"]).contains("redirect 127.0.0.11:53"));
        assert_eq!(dig("web", &["web", "A"]), web);
    });
}

/// A server that knows one address for everything, and counts questions.
fn name_server(at: &str, answer: [u8; 4]) -> Arc<AtomicUsize> {
    let socket = UdpSocket::bind((at, 53)).expect("the port is free");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::SeqCst);
            let question = 12 + buffer[12..length].iter().position(|byte| *byte == 0).expect("a name") + 5;
            let mut reply = buffer[..question].to_vec();
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            // The name of the question, A, IN, a minute, four bytes.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            reply.extend(answer);
            socket.send_to(&reply, client).expect("the client is there");
        }
    });
    asked
}

#[test]
fn foreign_names_are_asked_of_the_hosts_servers_unless_the_network_is_internal() {
    isolated(|| {
        host_servers("nameserver 127.0.0.1\n");
        let (one, two) = (name_server("127.0.0.1", [192, 0, 2, 1]), name_server("127.0.0.2", [192, 0, 2, 2]));
        ok(&["network", "create", "front"]);
        ok(&["network", "create", "--internal", "vault"]);
        ok(&["sandbox", "create", "app", "--network", "front"]);
        ok(&["sandbox", "create", "safe", "--network", "vault"]);
        assert_eq!(dig("app", &["example.org", "A"]), "192.0.2.1");
        assert_eq!(one.load(Ordering::SeqCst), 1);
        assert_eq!(dig("app", &["app", "A"]), address("app", "front", false));
        assert_eq!(dig("safe", &["example.org", "A"]), "SERVFAIL");
        assert_eq!(dig("safe", &["safe", "A"]), address("safe", "vault", false));
        assert_eq!(one.load(Ordering::SeqCst), 1, "names of ours and of internal networks stay here");
        // What leads out decides, at once.
        ok(&["network", "connect", "front", "safe"]);
        assert_eq!(dig("safe", &["example.org", "A"]), "192.0.2.1");
        ok(&["network", "disconnect", "front", "safe"]);
        assert_eq!(dig("safe", &["example.org", "A"]), "SERVFAIL");
        // The host's file is followed.
        fs::write("/run/resolv.conf", "nameserver 127.0.0.2\n").unwrap();
        eventually("the other server", || dig("app", &["example.org", "A"]) == "192.0.2.2");
        assert!(two.load(Ordering::SeqCst) > 0);
    });
}
