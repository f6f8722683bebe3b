//! `pontoon publish` and `pontoon unpublish`: ports of a sandbox that is there.

mod common;

use std::net::TcpListener;

use common::{eventually, json, mistake, ok, outside, pontoon, signal, snapshot, start, without_ids};
use expect_test::expect;
use pontoon_testkit::{isolated, run};

/// A sandbox on a network of IPv4.
fn web() {
    ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
    ok(&["sandbox", "create", "web", "--network", "front,ip=10.1.0.7", "-p", "9000:90"]);
}

#[test]
fn ports_come_and_go() {
    isolated(|| {
        web();
        let before = snapshot();
        assert_eq!(
            ok(&["publish", "web", "8080:80,7000-7009:7000-7009", "127.0.0.1:5353:53/udp"]),
            "53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n7000-7009/tcp -> 0.0.0.0:7000-7009\n"
        );
        assert_eq!(
            ok(&["port", "web"]),
            "53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n90/tcp -> 0.0.0.0:9000\n\
             7000-7009/tcp -> 0.0.0.0:7000-7009\n"
        );
        assert_eq!(pontoon(&["doctor", "-q"]).stdout, "");
        // By its id, in the words it was asked for with.
        let id = json(&["sandbox", "ls"])[0]["ID"].as_str().unwrap().to_owned();
        assert_eq!(ok(&["unpublish", &id[..8], "8080:80/tcp"]), "80/tcp -> 0.0.0.0:8080\n");
        ok(&["unpublish", "web", "7000-7009:7000-7009", "127.0.0.1:5353:53/udp"]);
        assert_eq!(ok(&["port", "web"]), "90/tcp -> 0.0.0.0:9000\n");
        common::like_before(&before);
    });
}

#[test]
fn results_are_documents() {
    isolated(|| {
        web();
        let binding = expect![[
            r#"[{"ContainerIP":"10.1.0.7","ContainerPort":80,"Count":1,"HostIP":"0.0.0.0","HostPort":8080,"Proto":"tcp","Sandbox":"web"}]"#
        ]];
        binding.assert_eq(&json(&["publish", "web", "8080:80"]).to_string());
        binding.assert_eq(&json(&["unpublish", "web", "8080:80"]).to_string());
    });
}

#[test]
fn a_plan_publishes_nothing() {
    isolated(|| {
        web();
        let before = snapshot();
        let plan = ok(&["--plan", "publish", "web", "8080:80"]);
        expect![[r#"
            + hold 0.0.0.0:8080/tcp
            + element open4 10.1.0.7 . tcp . 80
            + element publish_any4 tcp . 8080 : 10.1.0.7 . 80
        "#]]
        .assert_eq(&without_ids(&plan));
        ok(&["publish", "web", "8080:80"]);
        let plan = ok(&["--plan", "unpublish", "web", "8080:80"]);
        expect![[r#"
            - element open4 10.1.0.7 . tcp . 80
            - element publish_any4 tcp . 8080 : 10.1.0.7 . 80
            - hold 0.0.0.0:8080/tcp
        "#]]
        .assert_eq(&without_ids(&plan));
        assert_eq!(ok(&["unpublish", "web", "8080:80"]), "80/tcp -> 0.0.0.0:8080\n");
        common::like_before(&before);
    });
}

#[test]
fn ports_wait_for_a_network_that_leads_out() {
    isolated(|| {
        ok(&["sandbox", "create", "web"]);
        let published = pontoon(&["publish", "web", "8080:80"]);
        assert_eq!((published.status, published.stdout.as_str()), (0, ""));
        assert_eq!(published.stderr, "note: 8080:80/tcp waits for a network that leads out of sandbox web\n");
        ok(&["network", "create", "front"]);
        ok(&["network", "connect", "front", "web"]);
        assert_eq!(ok(&["port", "web"]), "80/tcp -> 0.0.0.0:8080\n");
    });
}

#[test]
fn ports_of_a_running_command() {
    isolated(|| {
        outside();
        ok(&["network", "create", "default", "--subnet", "10.1.0.0/24"]);
        let server = start(&[
            "run", "--name", "web", "-p", "8080:80", "--", "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello",
        ]);
        let reads = |port: &str| {
            let script = format!("busybox nc -w 1 192.0.2.1 {port} </dev/null || true");
            run("ip", &["netns", "exec", "outside", "sh", "-c", &script])
        };
        eventually("the server", || reads("8080") == "hello\n");
        assert_eq!(ok(&["publish", "web", "8081:80"]), "80/tcp -> 0.0.0.0:8081\n");
        eventually("the new port", || reads("8081") == "hello\n");
        ok(&["unpublish", "web", "8080:80"]);
        assert_eq!(reads("8080"), "");
        eventually("the other port", || reads("8081") == "hello\n");
        // Who ran the command holds its port until then.
        assert!(TcpListener::bind("0.0.0.0:8080").is_err());
        assert_eq!(signal(server, "TERM").status, 128 + 15);
        drop(TcpListener::bind("0.0.0.0:8080").expect("the port is free again"));
        assert_eq!(reads("8081"), "");
    });
}

#[test]
fn mistakes() {
    isolated(|| {
        web();
        ok(&["sandbox", "create", "later", "--external"]);
        let held = TcpListener::bind("0.0.0.0:7070").unwrap();
        mistake(
            &["publish", "web", "81", "7070:80"],
            1,
            &expect![[r#"
                error: failed to bind host port 0.0.0.0:7070/tcp: address already in use
                hint: stop what holds the port, or publish on another one"#]],
        );
        mistake(
            &["publish", "web", "81", "9000:91"],
            1,
            &expect![[r#"
                error: Bind for 0.0.0.0:9000 failed: port is already allocated
                hint: stop what holds the port, or publish on another one"#]],
        );
        mistake(&["publish", "web", "9000:90"], 1, &expect!["error: sandbox web publishes 9000:90/tcp already"]);
        mistake(&["publish", "web", "81,81/tcp"], 2, &expect!["error: port 81/tcp is asked for twice"]);
        mistake(
            &["publish", "web", "0:0"],
            2,
            &expect!["error: invalid value '0:0' for '<SPEC>...': invalid port 0: ports start at 1"],
        );
        mistake(
            &["publish", "later", "80"],
            1,
            &expect![[r#"
                error: port 80/tcp cannot be published: sandbox later waits for its namespace
                hint: `pontoon sandbox adopt` names it"#]],
        );
        mistake(
            &["publish", "nobody", "80"],
            1,
            &expect![[r#"
                error: sandbox nobody not found
                hint: `pontoon sandbox ls` shows the sandboxes"#]],
        );
        mistake(
            &["unpublish", "web", "9000:90", "81"],
            1,
            &expect!["error: sandbox web does not publish 81/tcp: it publishes 9000:90/tcp"],
        );
        mistake(
            &["unpublish", "later", "81"],
            1,
            &expect!["error: sandbox later does not publish 81/tcp: it publishes nothing"],
        );
        assert_eq!(ok(&["port", "web"]), "90/tcp -> 0.0.0.0:9000\n");
        assert_eq!(pontoon(&["publish", "web"]).status, 2);
        drop(held);
    });
}
