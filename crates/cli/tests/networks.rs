//! `pontoon network`, `sandbox`, `endpoint` and `port`, each with its output looked at.

mod common;

use common::{command, json, like_before, ok, pontoon, ran, snapshot, without_ids};
use expect_test::{Expect, expect};
use pontoon_testkit::{isolated, run};

fn shows(arguments: &[&str], expected: &Expect) {
    expected.assert_eq(&without_ids(&ok(arguments)));
}

#[test]
fn networks_are_listed_and_inspected() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24", "--label", "team=a"]);
        ok(&["network", "create", "back", "--ipv6", "--subnet", "10.2.0.0/24", "--subnet", "fd02::/64", "--internal"]);
        shows(
            &["network", "ls"],
            &expect![[r#"
            NETWORK ID     NAME    DRIVER   SCOPE
            ID   back    bridge   local
            ID   front   bridge   local
        "#]],
        );
        shows(&["network", "ls", "-q", "--filter", "label=team=a"], &expect!["ID\n"]);
        shows(&["network", "ls", "-q", "--no-trunc", "--filter", "name=xyz"], &expect![""]);
        assert_eq!(json(&["network", "ls"])[1]["Name"], "front");

        let network = &json(&["network", "inspect", "back"])[0];
        assert_eq!(network["IPAM"]["Config"][0]["Subnet"], "10.2.0.0/24");
        assert_eq!(network["IPAM"]["Config"][1]["Gateway"], "fd02::1");
        assert_eq!(network["EnableIPv6"], true);
        assert_eq!(network["Internal"], true);
        assert_eq!(network["Containers"], serde_json::json!({}));

        let missing = pontoon(&["network", "inspect", "front", "nowhere"]);
        assert_eq!(missing.status, 1);
        assert!(missing.stderr.contains("network nowhere not found"), "{missing:?}");
        assert!(missing.stdout.contains("10.1.0.0/24"), "{missing:?}");
    });
}

#[test]
fn networks_have_static_routes() {
    isolated(|| {
        let front = ["network", "create", "front", "--subnet", "10.1.0.0/24", "--internal"];
        ok(&[&front[..], &["--route", "10.20.0.0/16,10.1.0.9", "--route", "10.30.0.0/16"]].concat());
        let network = &json(&["network", "inspect", "front"])[0];
        let routes = serde_json::json!([
            { "Destination": "10.20.0.0/16", "Gateway": "10.1.0.9" },
            { "Destination": "10.30.0.0/16" },
        ]);
        assert_eq!(network["Routes"], routes);
        shows(
            &["run", "--network", "front", "--", "ip", "route"],
            &expect![[r#"
                10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.2 
                10.20.0.0/16 via 10.1.0.9 dev eth0 proto 112 
                10.30.0.0/16 dev eth0 proto 112 scope link 
            "#]],
        );
    });
}

#[test]
fn networks_are_removed_and_pruned() {
    isolated(|| {
        for name in ["a", "b", "c"] {
            ok(&["network", "create", name]);
        }
        ok(&["sandbox", "create", "s", "--network", "b"]);
        let used = pontoon(&["network", "rm", "a", "b"]);
        assert_eq!((used.status, used.stdout.as_str()), (1, "a\n"));
        assert!(used.stderr.contains("network b has active endpoints"), "{used:?}");
        let refused = pontoon(&["network", "prune"]);
        assert_eq!((refused.status, refused.stdout.as_str()), (0, ""));
        assert!(refused.stderr.contains("[y/N]"), "{refused:?}");
        shows(&["network", "prune", "--force"], &expect!["Deleted Networks:\nc\n"]);
        ok(&["sandbox", "rm", "s"]);
        shows(&["network", "rm", "-f", "b", "nowhere"], &expect!["b\n"]);
        assert_eq!(run("nft", &["list", "ruleset"]), "");
    });
}

#[test]
fn sandboxes_connect_and_disconnect() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["network", "create", "back", "--subnet", "10.2.0.0/24"]);
        let before = snapshot();
        ok(&[
            "sandbox",
            "create",
            "web",
            "--network",
            "front,ip=10.1.0.9,ifname=lan0",
            "-p",
            "8080-8081:80-81,9000:9/udp",
        ]);
        ok(&["network", "connect", "back", "web", "--ip", "10.2.0.9", "--gw-priority", "-1"]);
        shows(
            &["port", "web"],
            &expect![[r#"
            9/udp -> 0.0.0.0:9000
            80-81/tcp -> 0.0.0.0:8080-8081
        "#]],
        );
        shows(
            &["endpoint", "ls"],
            &expect![[r#"
            ENDPOINT ID    NAME   NETWORK   SANDBOX   INTERFACE   ADDRESSES
            ID   web    back      web       eth0        10.2.0.9/24
            ID   web    front     web       lan0        10.1.0.9/24
        "#]],
        );
        let endpoints = json(&["endpoint", "inspect", "web"]);
        assert_eq!(endpoints.as_array().map(Vec::len), Some(2));
        let sandboxes = json(&["sandbox", "ls"]);
        assert_eq!(sandboxes[0]["Networks"], serde_json::json!(["front", "back"]));
        let sandbox = &json(&["sandbox", "inspect", "web"])[0];
        assert_eq!(sandbox["Endpoints"][0]["Addresses"][0], "10.1.0.9/24");
        let container = &json(&["network", "inspect", "back"])[0]["Containers"][sandbox["ID"].as_str().unwrap()];
        assert_eq!(container["IPv4Address"], "10.2.0.9/24");
        let routes = ok(&["sandbox", "exec", "web", "--", "ip", "route"]);
        assert!(routes.starts_with("default via 10.1.0.1 dev lan0"), "{routes}");

        ok(&["network", "disconnect", "back", "web"]);
        let again = pontoon(&["network", "disconnect", "back", "web"]);
        assert!(again.status == 1 && again.stderr.contains("web is not connected to network back"), "{again:?}");
        ok(&["sandbox", "rm", "web"]);
        like_before(&before);
    });
}

#[test]
fn an_adopted_namespace_is_left_as_it_was() {
    isolated(|| {
        run("ip", &["netns", "add", "theirs"]);
        // As runtimes leave it; the kernel gives `lo` its address when it comes up first.
        run("ip", &["-n", "theirs", "link", "set", "lo", "up"]);
        let links = || run("ip", &["-n", "theirs", "-j", "addr"]);
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let (before, inside) = (snapshot(), links());
        ok(&["sandbox", "adopt", "theirs", "--netns", "/run/netns/theirs"]);
        ok(&["network", "connect", "front", "theirs"]);
        assert!(links().contains("10.1.0.2"));
        ok(&["sandbox", "rm", "theirs"]);
        like_before(&before);
        assert_eq!(links(), inside);
    });
}

#[test]
fn a_loopback_interface_that_was_down_is_up_while_its_namespace_is_adopted() {
    isolated(|| {
        run("ip", &["netns", "add", "theirs"]);
        let is_up = || run("ip", &["-n", "theirs", "link", "show", "lo"]).contains("<LOOPBACK,UP");
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let before = snapshot();
        assert!(!is_up());
        ok(&["sandbox", "adopt", "theirs", "--netns", "/run/netns/theirs"]);
        assert!(is_up());
        // What is found up by a command in between is down all the same when the namespace is given back.
        ok(&["repair"]);
        ok(&["sandbox", "rm", "theirs"]);
        assert!(!is_up());
        like_before(&before);
        let refused =
            pontoon(&["sandbox", "adopt", "theirs", "--netns", "/run/netns/theirs", "--network", "front,ifname=lo"]);
        assert_eq!((refused.status, is_up()), (1, false), "{refused:?}");
        // The one that fails last: a port that is taken.
        let _taken = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
        let flags = ["--network", "front", "-p", "8080:80"];
        let refused = pontoon(&[&["sandbox", "adopt", "theirs", "--netns", "/run/netns/theirs"][..], &flags].concat());
        assert_eq!((refused.status, is_up()), (1, false), "{refused:?}");
        like_before(&before);
    });
}

#[test]
fn a_plan_changes_nothing() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "front", "-p", "80:80"]);
        let (before, state) = (snapshot(), json(&["sandbox", "ls"]));
        let plans: [&[&str]; 9] = [
            &["network", "create", "other"],
            &["network", "rm", "front"],
            &["network", "disconnect", "front", "web"],
            &["network", "prune"],
            &["sandbox", "create", "s", "--network", "front"],
            &["sandbox", "rm", "web"],
            &["run", "-p", "81:81", "--", "true"],
            &["repair"],
            &["repair", "--purge"],
        ];
        for plan in plans {
            // A refusal is an answer too: `network rm front` would fail.
            let planned = pontoon(&[&["--plan"], plan].concat());
            assert!(planned.status <= 1, "{plan:?}: {planned:?}");
            like_before(&before);
            assert_eq!(json(&["sandbox", "ls"])[0]["Ports"], state[0]["Ports"], "{plan:?}");
        }
        let plan = ok(&["--plan", "run", "-p", "81:81", "--network", "front", "--", "true"]);
        assert!(plan.contains("+ hold 0.0.0.0:81/tcp\n"), "{plan}");
        // The network that it would create is in the same plan.
        let plan = ok(&["--plan", "run", "-p", "81:81", "--", "true"]);
        for step in ["+ bridge ", "+ namespace of sandbox ", "+ veth ", "+ hold 0.0.0.0:81/tcp"] {
            assert!(plan.contains(step), "{step}: {plan}");
        }
        let plan = json(&["--plan", "sandbox", "rm", "web"]);
        assert!(plan["Steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{plan}");
    });
}

#[test]
fn several_commands_take_turns() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let names: Vec<_> = (0..8).map(|i| format!("s{i}")).collect();
        let started = names.iter().map(|name| {
            let mut command = command(&["sandbox", "create", name, "--network", "front"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        });
        for child in started.collect::<Vec<_>>() {
            let ran = ran(child.wait_with_output().unwrap());
            assert!(ran.status == 0, "{ran:?}");
        }
        assert_eq!(json(&["endpoint", "ls"]).as_array().map(Vec::len), Some(8));
    });
}
