//! Bad input: one clear error, the right exit status, and nothing changed.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::{ROOT, RUN_DIR, command, like_before, mistake, ok, pontoon, snapshot};
use expect_test::{Expect, expect};
use pontoon::{Config, Controller};
use pontoon_testkit::isolated;

#[test]
fn subnets() {
    isolated(|| {
        ok(&["network", "create", "there", "--subnet", "10.1.0.0/24"]);
        let create = |options: &[&str], status, expected: &Expect| {
            mistake(&[&["network", "create", "new"], options].concat(), status, expected);
        };
        create(
            &["--subnet", "10.1.0.0/33"],
            2,
            &expect![
                "error: invalid value '10.1.0.0/33' for '--subnet <SUBNET>': 10.1.0.0/33 is not a subnet, write ADDRESS/LENGTH such as 10.1.0.0/16"
            ],
        );
        create(
            &["--subnet", "ten"],
            2,
            &expect![
                "error: invalid value 'ten' for '--subnet <SUBNET>': ten is not a subnet, write ADDRESS/LENGTH such as 10.1.0.0/16"
            ],
        );
        create(
            &["--subnet", "10.9.0.1/24"],
            2,
            &expect![
                "error: invalid subnet: 10.9.0.1/24 has bits set after its prefix length, it should be 10.9.0.0/24"
            ],
        );
        create(
            &["--subnet", "10.1.0.128/25"],
            1,
            &expect!["error: Pool overlaps with other one on this address space: 10.1.0.128/25 overlaps 10.1.0.0/24"],
        );
        create(
            &["--subnet", "10.9.0.0/24", "--gateway", "10.8.0.1"],
            2,
            &expect![[r#"
            error: gateway 10.8.0.1 is in none of the subnets
            hint: give --subnet with a subnet that holds it"#]],
        );
        create(
            &["--gateway", "10.8.0.1"],
            2,
            &expect![[r#"
            error: gateway 10.8.0.1 is in none of the subnets
            hint: give --subnet with a subnet that holds it"#]],
        );
        create(
            &["--subnet", "10.9.0.0/24", "--ip-range", "10.8.0.0/25"],
            2,
            &expect![[r#"
            error: range 10.8.0.0/25 is in none of the subnets
            hint: give --subnet with a subnet that holds it"#]],
        );
        create(
            &["--subnet", "10.9.0.0/24", "--aux-address", "a=10.8.0.1"],
            2,
            &expect![[r#"
            error: auxiliary address 10.8.0.1 is in none of the subnets
            hint: give --subnet with a subnet that holds it"#]],
        );
        create(
            &["--subnet", "10.9.0.0/24", "--aux-address", "10.9.0.1"],
            2,
            &expect!["error: invalid value '10.9.0.1' for '--aux-address <NAME=ADDRESS>': write NAME=ADDRESS"],
        );
        create(
            &["--subnet", "10.9.0.0/24", "--subnet", "10.8.0.0/24"],
            2,
            &expect!["error: a bridge network has one ipv4 subnet: remove 10.8.0.0/24"],
        );
        create(&["--ipv4=false"], 2, &expect!["error: IPv4 or IPv6 must be enabled"]);
    });
}

#[test]
fn names() {
    isolated(|| {
        ok(&["network", "create", "there", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "there"]);
        mistake(
            &["network", "create", "there"],
            1,
            &expect![[r#"
            error: network with name there already exists
            hint: choose another name, or remove the network first"#]],
        );
        mistake(&["network", "create", " "], 2, &expect!["error: invalid name: name is empty"]);
        mistake(
            &["network", "create", "a/b"],
            2,
            &expect![[r#"error: invalid name "a/b": control characters and '/' are not allowed"#]],
        );
        mistake(
            &["network", "create", "host"],
            2,
            &expect![[r#"
            error: invalid network name "host": --network host would mean the host's own namespace
            hint: choose another name"#]],
        );
        mistake(
            &["network", "create", "none"],
            2,
            &expect![[r#"
            error: invalid network name "none": --network none would mean no network
            hint: choose another name"#]],
        );
        mistake(
            &["network", "create", "sandbox:web"],
            2,
            &expect![[r#"
                error: invalid network name "sandbox:web": --network sandbox:web would mean the namespace of another sandbox
                hint: choose another name"#]],
        );
        mistake(
            &["network", "create", "container:"],
            2,
            &expect![[r#"
                error: invalid network name "container:": --network container: would mean the namespace of another container
                hint: choose another name"#]],
        );
        mistake(
            &["network", "create", "a,b"],
            2,
            &expect![[r#"
            error: invalid network name "a,b": --network a,b would mean a network with options after the comma
            hint: choose another name"#]],
        );
        mistake(
            &["network", "create", "n", "-o", "com.docker.network.bridge.name=a b"],
            2,
            &expect![[
                r#"error: invalid value "a b" for option com.docker.network.bridge.name: invalid interface name "a b": it contains white space or control characters"#
            ]],
        );
        mistake(
            &["network", "create", "n", "-o", "com.docker.network.bridge.name=lo"],
            1,
            &expect!["error: interface lo exists already and is not Pontoon's: choose another name"],
        );
        mistake(
            &["network", "create", "n", "-o", "colour=red"],
            2,
            &expect![
                "error: unknown option colour for driver bridge: it has com.docker.network.bridge.name, com.docker.network.driver.mtu, com.docker.network.bridge.enable_icc, com.docker.network.bridge.enable_ip_masquerade, com.docker.network.bridge.gateway_mode_ipv4, com.docker.network.bridge.gateway_mode_ipv6, com.docker.network.bridge.inhibit_ipv4, com.docker.network.bridge.trusted_host_interfaces, com.docker.network.host_ipv4, com.docker.network.host_ipv6, com.docker.network.bridge.host_binding_ipv4, com.docker.network.container_iface_prefix"
            ],
        );
        mistake(
            &["network", "create", "n", "-o", "com.docker.network.bridge.gateway_mode_ipv4=route"],
            2,
            &expect![[
                r#"error: invalid value "route" for option com.docker.network.bridge.gateway_mode_ipv4: it must be nat, nat-unprotected, routed or isolated"#
            ]],
        );
        mistake(
            &["network", "create", "n", "-o", "com.docker.network.bridge.gateway_mode_ipv4=isolated"],
            2,
            &expect![[
                r#"error: invalid value "isolated" for option com.docker.network.bridge.gateway_mode_ipv4: it is for internal networks only: make the network internal, or choose another mode"#
            ]],
        );
        mistake(
            &["network", "create", "n", "-o", "com.docker.network.bridge.gateway_mode=routed"],
            2,
            &expect![
                "error: unknown option com.docker.network.bridge.gateway_mode for driver bridge: did you mean com.docker.network.bridge.gateway_mode_ipv4?"
            ],
        );
        mistake(
            &["network", "create", "n", "-d", "carrier-pigeon"],
            1,
            &expect![[r#"
            error: could not find plugin carrier-pigeon in v1 plugin registry: plugin not found
            hint: the drivers are bridge, host and null"#]],
        );
        mistake(
            &["network", "create", "n", "--ipam-driver", "abacus"],
            2,
            &expect![[r#"error: invalid ipam driver: "abacus""#]],
        );
        mistake(
            &["sandbox", "create", "web"],
            1,
            &expect![[r#"
            error: container web is already present in sandbox ID
            hint: choose another name, or remove the sandbox first"#]],
        );
        mistake(
            &["sandbox", "create", "s", "--network", "there,ifname=0123456789abcdef"],
            2,
            &expect![[
                r#"error: invalid value 'there,ifname=0123456789abcdef' for '--network <NET>': invalid interface name "0123456789abcdef": it is longer than 15 bytes"#
            ]],
        );
        mistake(
            &["sandbox", "create", "s", "--network", "there,mac=01:00:00:00:00:00"],
            2,
            &expect![[
                r#"error: invalid value 'there,mac=01:00:00:00:00:00' for '--network <NET>': invalid MAC address "01:00:00:00:00:00": it is a multicast address"#
            ]],
        );
        mistake(
            &["sandbox", "create", "s", "--network", "there,ip=10.9.0.1"],
            2,
            &expect!["error: requested address is out of range: 10.9.0.1 is not in 10.1.0.0/24"],
        );
        mistake(
            &["sandbox", "create", "s", "--network", "there,ip=10.1.0.2"],
            1,
            &expect!["error: Address already in use: 10.1.0.2"],
        );
        mistake(
            &["sandbox", "create", "s", "--network", "nowhere"],
            1,
            &expect![[r#"
            error: network nowhere not found
            hint: `pontoon network ls` shows the networks"#]],
        );
        mistake(
            &["sandbox", "create", "s", "--network", "there,link=:db"],
            2,
            &expect![
                "error: invalid value 'there,link=:db' for '--network <NET>': \":db\" is no link, write SANDBOX or SANDBOX:ALIAS"
            ],
        );
        mistake(
            &["sandbox", "adopt", "s", "--netns", "/run/nothing"],
            1,
            &expect![[r#"
            error: cannot open the namespace /run/nothing
              because No such file or directory (os error 2)"#]],
        );
        mistake(
            &["sandbox", "adopt", "s", "--netns", "/dev/null"],
            2,
            &expect![[r#"
            error: create sandbox s failed
              because step 1 (+ namespace of sandbox ID adopted from /dev/null) failed
              because /dev/null is not a network namespace"#]],
        );
        mistake(
            &["network", "connect", "there", "nobody"],
            1,
            &expect![[r#"
            error: sandbox nobody not found
            hint: `pontoon sandbox ls` shows the sandboxes"#]],
        );
        mistake(
            &["network", "connect", "there", "web", "--alias", "d b"],
            2,
            &expect!["error: invalid value 'd b' for '--alias <NAME>': \"d b\" is not a name"],
        );
        mistake(
            &["network", "connect", "there", "web"],
            1,
            &expect!["error: endpoint with name web already exists in network there"],
        );
        mistake(
            &["network", "ls", "--filter", "colour=red"],
            2,
            &expect![[r#"
            error: invalid filter "colour"
            hint: filter by name, driver, id or label"#]],
        );
        mistake(
            &["network", "paint"],
            2,
            &expect![[r#"
            error: unrecognized subcommand 'paint'

            Usage: pontoon network [OPTIONS] <COMMAND>"#]],
        );
    });
}

#[test]
fn routes() {
    isolated(|| {
        ok(&["network", "create", "there", "--subnet", "10.2.0.0/24"]);
        let front = ["network", "create", "front", "--subnet", "10.1.0.0/24", "--route"];
        for (route, expected) in [
            (
                "10.20.0.0",
                expect![
                    "error: invalid value '10.20.0.0' for '--route <PREFIX[,NEXTHOP]>': 10.20.0.0 is not a subnet, write ADDRESS/LENGTH such as 10.1.0.0/16"
                ],
            ),
            (
                "10.20.0.0/16,there",
                expect![
                    "error: invalid value '10.20.0.0/16,there' for '--route <PREFIX[,NEXTHOP]>': there is not an IP address"
                ],
            ),
            (
                "10.20.0.0/16,10.2.0.1",
                expect![
                    "error: invalid route to 10.20.0.0/16: the next hop 10.2.0.1 is in none of the network's subnets"
                ],
            ),
            (
                "0.0.0.0/0,10.1.0.9",
                expect![
                    "error: invalid route to 0.0.0.0/0: the way out is that of the gateway, which --gateway and gateway priorities choose"
                ],
            ),
        ] {
            mistake(&[&front[..], &[route]].concat(), 2, &expected);
        }
    });
}

#[test]
fn exhaustion() {
    isolated(|| {
        ok(&["network", "create", "tiny", "--subnet", "10.7.0.0/30"]);
        ok(&["sandbox", "create", "first", "--network", "tiny"]);
        mistake(
            &["sandbox", "create", "second", "--network", "tiny"],
            1,
            &expect!["error: no available addresses on this pool: 10.7.0.0/30"],
        );
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
        run(
            &["-p", "7070:80"],
            125,
            &expect![[r#"
                error: failed to bind host port 0.0.0.0:7070/tcp: address already in use
                hint: stop what holds the port, or publish on another one"#]],
        );
        run(
            &["-p", "8080:0"],
            2,
            &expect!["error: invalid value '8080:0' for '--publish <SPEC>': invalid port 0: ports start at 1"],
        );
        run(
            &["-p", "9-8:9-8"],
            2,
            &expect![
                "error: invalid value '9-8:9-8' for '--publish <SPEC>': invalid port range 9-8: it ends before it starts, did you mean 8-9"
            ],
        );
        run(
            &["-p", "8080-8090:80-81"],
            2,
            &expect![
                "error: invalid value '8080-8090:80-81' for '--publish <SPEC>': host port range 8080-8090 and container port range 80-81 differ in length: 11 and 2 ports"
            ],
        );
        run(
            &["-p", "80/icmp"],
            2,
            &expect![
                "error: invalid value '80/icmp' for '--publish <SPEC>': unknown protocol `icmp`: use tcp, udp or sctp"
            ],
        );
        run(
            &["-p", "70000:80"],
            2,
            &expect![
                "error: invalid value '70000:80' for '--publish <SPEC>': invalid port `70000`: write a number from 1 to 65535, or two joined by `-`"
            ],
        );
        run(
            &["-p", "1.2.3:80:80"],
            2,
            &expect![
                "error: invalid value '1.2.3:80:80' for '--publish <SPEC>': invalid host address `1.2.3`: write an IPv4 address, or an IPv6 address in brackets"
            ],
        );
        run(
            &["-p", "8080:80;colour=red"],
            2,
            &expect![
                "error: invalid value '8080:80;colour=red' for '--publish <SPEC>': unknown port option `colour=red`: use from=PREFIX or proxy-protocol"
            ],
        );
        run(
            &["-p", "8080:80,8080:81"],
            125,
            &expect![[r#"
                error: Bind for 0.0.0.0:8080 failed: port is already allocated
                hint: stop what holds the port, or publish on another one"#]],
        );
        run(
            &["-p", "80", "--network", "host"],
            2,
            &expect!["error: port 80/tcp cannot be published with --network host"],
        );
        run(
            &["--network", "none", "--network", "default"],
            2,
            &expect!["error: --network none excludes other networks"],
        );
        drop(held);
    });
}

#[test]
fn stores() {
    isolated(|| {
        ok(&["network", "create", "default"]);
        let holder = Controller::open(Config::new(ROOT).run_dir(RUN_DIR)).unwrap();
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

        // A database that panics on pages which contradict each other is no reason to show that.
        let mut found = 0;
        for page in 1..whole.len() / 4096 {
            for arguments in [&["network", "ls"][..], &["network", "create", "other"]] {
                let mut altered = whole.clone();
                altered[page * 4096] ^= 0xff;
                fs::write(&file, &altered).unwrap();
                let ran = pontoon(arguments);
                assert!(!ran.stderr.contains("panicked"), "{page} {arguments:?}: {ran:?}");
                assert!(ran.status == 0 || ran.stderr.starts_with("error: "), "{page} {arguments:?}: {ran:?}");
                found += usize::from(ran.status == 1 && ran.stderr.contains("its pages contradict each other"));
            }
        }
        assert!(found > 0, "no page mattered");
    });
}

#[test]
fn unknown_flags() {
    isolated(|| {
        ok(&["sandbox", "create", "web"]);
        mistake(
            &["run", "-p", "8080:80", "--publsh", "90:90", "--", "true"],
            2,
            &expect![[r#"
                error: unexpected argument '--publsh' found

                  tip: a similar argument exists: '--publish'
                  tip: to pass '--publsh' as a value, use '-- --publsh'

                Usage: pontoon run --publish <SPEC> <COMMAND>..."#]],
        );
        mistake(
            &["run", "-z", "true"],
            2,
            &expect![[r#"
            error: unexpected argument '-z' found

              tip: to pass '-z' as a value, use '-- -z'

            Usage: pontoon run [OPTIONS] <COMMAND>..."#]],
        );
        mistake(
            &["sandbox", "exec", "web", "--hostnam", "x", "true"],
            2,
            &expect![[r#"
            error: unexpected argument '--hostnam' found

              tip: to pass '--hostnam' as a value, use '-- --hostnam'

            Usage: pontoon sandbox exec <SANDBOX> <COMMAND>..."#]],
        );
        mistake(
            &["sandbox", "exec", "--nonesuch", "web", "true"],
            2,
            &expect![[r#"
            error: unexpected argument '--nonesuch' found

              tip: to pass '--nonesuch' as a value, use '-- --nonesuch'

            Usage: pontoon sandbox exec [OPTIONS] <SANDBOX> <COMMAND>..."#]],
        );
        // Of the command, whatever they are, and so is what follows `--`.
        assert_eq!(ok(&["sandbox", "exec", "web", "echo", "-p", "--publsh"]), "-p --publsh\n");
        assert_eq!(ok(&["sandbox", "exec", "web", "--", "echo", "--", "-z"]), "-- -z\n");
        assert_eq!(pontoon(&["sandbox", "exec", "web", "--", "-z"]).status, 127);
    });
}

/// With another run directory every sandbox would seem to be missing.
#[test]
fn run_directories() {
    isolated(|| {
        ok(&["network", "create", "default"]);
        ok(&["sandbox", "create", "web", "--network", "default"]);
        let before = snapshot();
        for arguments in [&["sandbox", "ls"][..], &["sandbox", "rm", "web"], &["--plan", "repair"]] {
            let mut elsewhere = command(arguments);
            let refused = common::ran(elsewhere.args(["--run-dir", "/run/other"]).output().unwrap());
            assert_eq!(refused.status, 1, "{refused:?}");
            expect![[r#"
                error: this state keeps its sandboxes below /run/pontoon, not below /run/other: use that directory (--run-dir), or give this one a state directory of its own (--root)
            "#]]
            .assert_eq(&refused.stderr);
        }
        let mut spelled = command(&["sandbox", "ls", "-q"]);
        assert_eq!(common::ran(spelled.args(["--run-dir", "/run/./pontoon/"]).output().unwrap()).status, 0);
        assert!(!Path::new("/run/other").exists());
        like_before(&before);
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
        expect![[r#"
            error: cannot make namespaces of your own: this system does not let ordinary users do so
              because No space left on device (os error 28)
            hint: run as root, or allow it: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns"#]].assert_eq(told.trim_end());
    });
}
