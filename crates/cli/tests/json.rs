//! `--format json`: one document for every result, and one for every error.

mod common;

use std::net::TcpListener;

use common::{json, ok, pontoon, without_ids};
use expect_test::{Expect, expect};
use pontoon_testkit::{isolated, run};
use serde_json::Value;

/// Runs a command whose document is looked at.
fn shows(arguments: &[&str], expected: &Expect) {
    expected.assert_eq(&without_ids(&json(arguments).to_string()));
}

/// Runs a command that must fail with nothing but documents on standard error, one a line.
fn fails(arguments: &[&str], status: i32, expected: &Expect) {
    let ran = pontoon(&[&["--format", "json"], arguments].concat());
    assert_eq!(ran.status, status, "{ran:?}");
    for line in ran.stderr.lines() {
        let document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(document["error"]["message"].is_string(), "{line}");
    }
    expected.assert_eq(&without_ids(&ran.stderr));
}

#[test]
fn results_are_documents() {
    isolated(|| {
        run("ip", &["netns", "add", "theirs"]);
        shows(&["network", "create", "front", "--subnet", "10.1.0.0/24"], &expect![[r#"{"ID":"ID","Name":"front"}"#]]);
        shows(&["network", "create", "back", "--subnet", "10.2.0.0/24"], &expect![[r#"{"ID":"ID","Name":"back"}"#]]);
        shows(&["sandbox", "create", "web", "--network", "front"], &expect![[r#"{"ID":"ID","Name":"web"}"#]]);
        shows(
            &["sandbox", "adopt", "theirs", "--netns", "/run/netns/theirs"],
            &expect![[r#"{"ID":"ID","Name":"theirs"}"#]],
        );
        shows(&["network", "connect", "back", "web"], &expect![[r#"{"ID":"ID","Name":"web"}"#]]);
        shows(&["network", "disconnect", "back", "web"], &expect![[r#"{"EndpointsDeleted":["web"]}"#]]);
        shows(&["repair"], &expect![[r#"{"Done":[],"Failed":[],"Stale":[]}"#]]);
        shows(&["sandbox", "rm", "web", "theirs"], &expect![[r#"{"SandboxesDeleted":["web","theirs"]}"#]]);
        shows(&["network", "rm", "-f", "back", "nowhere"], &expect![[r#"{"NetworksDeleted":["back"]}"#]]);
        shows(&["network", "prune", "--force"], &expect![[r#"{"NetworksDeleted":["front"]}"#]]);
        shows(&["network", "prune", "--force"], &expect![[r#"{"NetworksDeleted":[]}"#]]);
        shows(&["--plan", "demo"], &expect![[r#"{"Recovery":[],"Steps":[]}"#]]);
        let made = json(&["network", "create", "front"]);
        assert_eq!(json(&["network", "ls"])[0]["ID"], made["ID"]);
    });
}

#[test]
fn the_version_is_a_document() {
    isolated(|| {
        assert_eq!(json(&["version"]), serde_json::json!({ "Version": env!("CARGO_PKG_VERSION") }));
    });
}

#[test]
fn errors_are_documents() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        let held = TcpListener::bind("0.0.0.0:7070").unwrap();
        fails(
            &["network", "create", "front"],
            1,
            &expect![[r#"
            {"error":{"kind":"conflict","message":"network with name front already exists","hint":"choose another name, or remove the network first"}}
        "#]],
        );
        fails(
            &["network", "create", "new", "--subnet", "10.9.0.1/24"],
            2,
            &expect![[r#"
            {"error":{"kind":"invalid","message":"invalid subnet: 10.9.0.1/24 has bits set after its prefix length, it should be 10.9.0.0/24","hint":null}}
        "#]],
        );
        fails(
            &["network", "create", "new", "--gateway", "10.9.0.1"],
            2,
            &expect![[r#"
            {"error":{"kind":"invalid","message":"gateway 10.9.0.1 is in none of the subnets","hint":"give --subnet with a subnet that holds it"}}
        "#]],
        );
        fails(
            &["sandbox", "rm", "nobody"],
            1,
            &expect![[r#"
            {"error":{"kind":"not_found","message":"sandbox nobody not found","hint":"`pontoon sandbox ls` shows the sandboxes"}}
        "#]],
        );
        fails(
            &["sandbox", "adopt", "s", "--netns", "/run/nothing"],
            1,
            &expect![[r#"
            {"error":{"kind":"not_found","message":"cannot open the namespace /run/nothing: No such file or directory (os error 2)","hint":null}}
        "#]],
        );
        fails(
            &["network", "disconnect", "front", "nobody"],
            1,
            &expect![[r#"
            {"error":{"kind":"not_found","message":"sandbox nobody not found","hint":"`pontoon sandbox ls` shows the sandboxes"}}
        "#]],
        );
        fails(
            &["run", "-p", "7070:80", "--network", "front", "--", "true"],
            125,
            &expect![[r#"
            {"error":{"kind":"conflict","message":"failed to bind host port 0.0.0.0:7070/tcp: address already in use","hint":"stop what holds the port, or publish on another one"}}
        "#]],
        );
        fails(
            &["run", "--network", "front", "--", "/nonexistent"],
            127,
            &expect![[r#"
            {"error":{"kind":"not_found","message":"cannot run /nonexistent: No such file or directory (os error 2)","hint":null}}
        "#]],
        );
        fails(
            &["network", "inspect", "nowhere"],
            1,
            &expect![[r#"
            {"error":{"kind":"not_found","message":"network nowhere not found","hint":"`pontoon network ls` shows the networks"}}
        "#]],
        );
        drop(held);
    });
}

#[test]
fn every_error_has_a_line() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["network", "create", "back", "--subnet", "10.2.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        fails(
            &["network", "rm", "front", "nowhere", "back"],
            1,
            &expect![[r#"
            {"error":{"kind":"forbidden","message":"network front has active endpoints (name:\"web\" id:\"ID\")","hint":"disconnect them with `pontoon network disconnect`, or remove their sandboxes"}}
            {"error":{"kind":"not_found","message":"network nowhere not found","hint":"`pontoon network ls` shows the networks"}}
        "#]],
        );
        assert_eq!(json(&["network", "ls"]).as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn command_lines_that_cannot_be_read_are_documents() {
    // One that can be read after all must not reach the machine.
    isolated(|| {
        fails(
            &["network", "paint"],
            2,
            &expect![[r#"
                {"error":{"kind":"invalid","message":"unrecognized subcommand 'paint'","hint":"try '--help'"}}
            "#]],
        );
        fails(
            &["network", "inspekt", "front"],
            2,
            &expect![[r#"
                {"error":{"kind":"invalid","message":"unrecognized subcommand 'inspekt'","hint":"a similar subcommand exists: 'inspect'"}}
            "#]],
        );
        fails(
            &["network"],
            2,
            &expect![[r#"
                {"error":{"kind":"invalid","message":"the command line is not complete","hint":"try '--help'"}}
            "#]],
        );
        fails(
            &["network", "create"],
            2,
            &expect![[r#"
                {"error":{"kind":"invalid","message":"the following required arguments were not provided: <NAME>","hint":"try '--help'"}}
            "#]],
        );
        fails(
            &["network", "create", "new", "--subnet", "ten"],
            2,
            &expect![[r#"
                {"error":{"kind":"invalid","message":"invalid value 'ten' for '--subnet <SUBNET>': ten is not a subnet, write ADDRESS/LENGTH such as 10.1.0.0/16","hint":"try '--help'"}}
            "#]],
        );
        // What follows `--` is another program's.
        let ran = pontoon(&["run", "-p", "none", "--", "ls", "--format=json"]);
        assert!(ran.status == 2 && ran.stderr.starts_with("error: invalid value 'none' for '--publish"), "{ran:?}");
        let helped = pontoon(&["--format", "json", "network", "--help"]);
        assert!(helped.status == 0 && helped.stdout.starts_with("Manage networks"), "{helped:?}");
    });
}

#[test]
fn nobody_is_asked() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let asked = expect![[r#"
            {"error":{"kind":"invalid","message":"nobody can be asked with --format json","hint":"give --force"}}
        "#]];
        fails(&["network", "prune"], 2, &asked);
        fails(&["repair", "--purge"], 2, &asked);
        assert_eq!(json(&["network", "ls"]).as_array().map(Vec::len), Some(1));
    });
}
