//! Bad input: one clear error, the right exit status, and nothing changed.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::{ROOT, ok, pontoon, snapshot};
use expect_test::{Expect, expect};
use pontoon::{Config, Controller};
use pontoon_testkit::isolated;

/// Runs a command that must fail, and looks at what it says and at what it leaves.
fn mistake(arguments: &[&str], status: i32, expected: &Expect) {
    let before = snapshot();
    let ran = pontoon(arguments);
    assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{arguments:?}: {ran:?}");
    let told = ran.stderr.trim_end().trim_end_matches("\n\nFor more information, try '--help'.");
    expected.assert_eq(told);
    assert!(snapshot() == before, "{arguments:?} changed something");
}

#[test]
fn subnets() {
    isolated(|| {
        ok(&["network", "create", "there", "--subnet", "10.1.0.0/24"]);
        let create = |options: &[&str], status, expected: &Expect| {
            mistake(&[&["network", "create", "new"], options].concat(), status, expected);
        };
        create(&["--subnet", "10.1.0.0/33"], 2, &expect![]);
        create(&["--subnet", "ten"], 2, &expect![]);
        create(&["--subnet", "10.9.0.1/24"], 2, &expect![]);
        create(&["--subnet", "10.1.0.128/25"], 1, &expect![]);
        create(&["--subnet", "10.9.0.0/24", "--gateway", "10.8.0.1"], 2, &expect![]);
        create(&["--gateway", "10.8.0.1"], 2, &expect![]);
        create(&["--subnet", "10.9.0.0/24", "--ip-range", "10.8.0.0/25"], 2, &expect![]);
        create(&["--subnet", "10.9.0.0/24", "--aux-address", "a=10.8.0.1"], 2, &expect![]);
        create(&["--subnet", "10.9.0.0/24", "--aux-address", "10.9.0.1"], 2, &expect![]);
        create(&["--subnet", "10.9.0.0/24", "--subnet", "10.8.0.0/24"], 2, &expect![]);
        create(&["--ipv4=false"], 2, &expect![]);
        create(&["--subnet", "10.9.0.0/32"], 1, &expect![]);
    });
}

#[test]
fn names() {
    isolated(|| {
        ok(&["network", "create", "there", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "there"]);
        mistake(&["network", "create", "there"], 1, &expect![]);
        mistake(&["network", "create", " "], 2, &expect![]);
        mistake(&["network", "create", "a/b"], 2, &expect![]);
        mistake(&["network", "create", "n", "-o", "com.docker.network.bridge.name=a b"], 2, &expect![]);
        mistake(&["network", "create", "n", "-o", "com.docker.network.bridge.name=lo"], 1, &expect![]);
        mistake(&["network", "create", "n", "-o", "colour=red"], 2, &expect![]);
        mistake(&["network", "create", "n", "-d", "carrier-pigeon"], 1, &expect![]);
        mistake(&["network", "create", "n", "--ipam-driver", "abacus"], 2, &expect![]);
        mistake(&["sandbox", "create", "web"], 1, &expect![]);
        mistake(&["sandbox", "create", "s", "--network", "there,ifname=0123456789abcdef"], 2, &expect![]);
        mistake(&["sandbox", "create", "s", "--network", "there,mac=01:00:00:00:00:00"], 2, &expect![]);
        mistake(&["sandbox", "create", "s", "--network", "there,ip=10.9.0.1"], 2, &expect![]);
        mistake(&["sandbox", "create", "s", "--network", "there,ip=10.1.0.2"], 1, &expect![]);
        mistake(&["sandbox", "create", "s", "--network", "nowhere"], 1, &expect![]);
        mistake(&["sandbox", "create", "s", "--network", "there,alias=db"], 2, &expect![]);
        mistake(&["sandbox", "adopt", "s", "--netns", "/run/nothing"], 1, &expect![]);
        mistake(&["sandbox", "adopt", "s", "--netns", "/dev/null"], 1, &expect![]);
        mistake(&["network", "connect", "there", "nobody"], 1, &expect![]);
        mistake(&["network", "connect", "there", "web", "--alias", "db"], 2, &expect![]);
        mistake(&["network", "connect", "there", "web"], 1, &expect![]);
        mistake(&["network", "ls", "--filter", "colour=red"], 2, &expect![]);
        mistake(&["network", "paint"], 2, &expect![]);
    });
}

#[test]
fn ports() {
    isolated(|| {
        ok(&["network", "create", "default", "--subnet", "10.1.0.0/24"]);
        let held = TcpListener::bind("0.0.0.0:7070").unwrap();
        let run = |options: &[&str], status, expected: &Expect| {
            mistake(&[&["run"], options, &["--", "true"]].concat(), status, expected);
        };
        run(&["-p", "7070:80"], 125, &expect![]);
        run(&["-p", "8080:0"], 2, &expect![]);
        run(&["-p", "9-8:9-8"], 2, &expect![]);
        run(&["-p", "8080-8090:80-81"], 2, &expect![]);
        run(&["-p", "80/icmp"], 2, &expect![]);
        run(&["-p", "70000:80"], 2, &expect![]);
        run(&["-p", "1.2.3:80:80"], 2, &expect![]);
        run(&["-p", "8080:80;colour=red"], 2, &expect![]);
        run(&["-p", "8080:80,8080:81"], 125, &expect![]);
        run(&["-p", "80", "--network", "host"], 2, &expect![]);
        run(&["--network", "none", "--network", "default"], 2, &expect![]);
        drop(held);
    });
}

#[test]
fn stores() {
    isolated(|| {
        ok(&["network", "create", "default"]);
        let holder = Controller::open(Config::new(ROOT).run_dir("/run/other")).unwrap();
        let held = pontoon(&["--wait", "0", "network", "ls"]);
        assert_eq!(held.status, 1);
        assert!(held.stderr.contains(&format!("is held by pid {} (", std::process::id())), "{held:?}");
        drop(holder);

        let file = Path::new(ROOT).join("pontoon.redb");
        let whole = fs::read(&file).unwrap();
        for content in [&b"garbage"[..], &whole[..whole.len() / 2], &[]] {
            fs::write(&file, content).unwrap();
            let damaged = pontoon(&["network", "ls"]);
            if content.is_empty() {
                // An empty file is what a crash before the first write leaves.
                continue;
            }
            assert_eq!(damaged.status, 1, "{damaged:?}");
            assert!(damaged.stderr.contains("cannot be read"), "{damaged:?}");
            assert_eq!(fs::read(&file).unwrap(), content, "it must stay as it was");
        }
    });
}

#[test]
fn privileges() {
    isolated(|| {
        // A user namespace of its own, in which no further one may be made, and no capability.
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \"$0\" \
                      --root /run/s --run-dir /run/r network ls";
        let output =
            Command::new("unshare").args(["-Ur", "sh", "-c", script, env!("CARGO_BIN_EXE_pontoon")]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        expect![].assert_eq(told.trim_end());
    });
}
