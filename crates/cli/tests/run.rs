//! `pontoon run`: a server that is reachable, and gone without a trace when it ends.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Command;

use common::{command, eventually, json, like_before, ok, outside, pontoon, signal, snapshot, start};
use pontoon_testkit::{Feature, isolated, require, run};

fn fetch(url: &str) -> Option<String> {
    let fetched = Command::new("ip")
        .args(["netns", "exec", "outside", "timeout", "2", "busybox", "wget", "-q", "-O", "-", url])
        .output();
    let fetched = fetched.expect("busybox runs");
    fetched.status.success().then(|| String::from_utf8_lossy(&fetched.stdout).into_owned())
}

#[test]
fn a_server_is_reachable_and_gone_without_a_trace() {
    isolated(|| {
        outside();
        fs::create_dir("/run/www").unwrap();
        fs::write("/run/www/index.html", "hello\n").unwrap();
        ok(&["network", "create", "default"]);
        let before = snapshot();
        let server = start(&[
            "run", "--name", "web", "-p", "8080:80", "--", "busybox", "httpd", "-f", "-p", "80", "-h", "/run/www",
        ]);
        eventually("the server", || fetch("http://192.0.2.1:8080/").is_some());
        assert_eq!(fetch("http://192.0.2.1:8080/").as_deref(), Some("hello\n"));
        // Others use the state meanwhile.
        assert_eq!(json(&["sandbox", "ls"])[0]["Name"], "web");
        assert_eq!(ok(&["port", "web"]), "80/tcp -> 0.0.0.0:8080\n");
        let ended = signal(server, "TERM");
        assert_eq!((ended.status, ended.stderr.as_str()), (128 + 15, ""));
        like_before(&before);
        assert_eq!(fetch("http://192.0.2.1:8080/"), None);
        assert_eq!(json(&["sandbox", "ls"]), serde_json::json!([]));
    });
}

#[test]
fn the_firewall_is_put_back_while_a_command_runs() {
    isolated(|| {
        outside();
        fs::create_dir("/run/www").unwrap();
        fs::write("/run/www/index.html", "hello\n").unwrap();
        ok(&["network", "create", "default"]);
        let server = start(&["run", "-p", "8080:80", "--", "busybox", "httpd", "-f", "-p", "80", "-h", "/run/www"]);
        eventually("the server", || fetch("http://192.0.2.1:8080/").is_some());
        for _ in 0..2 {
            run("nft", &["flush", "ruleset"]);
            eventually("the port", || fetch("http://192.0.2.1:8080/").is_some());
        }
        assert_eq!(pontoon(&["doctor", "-q"]).stdout, "");
        assert_eq!(signal(server, "TERM").status, 128 + 15);
        // Nobody guards a firewall whose commands have ended.
        run("nft", &["flush", "ruleset"]);
        assert_ne!(pontoon(&["doctor", "-q"]).stdout, "");
    });
}

#[test]
fn a_killed_run_is_cleaned_up_by_the_next_change() {
    isolated(|| {
        ok(&["network", "create", "default"]);
        let before = snapshot();
        let mut sleeper = start(&["run", "--name", "web", "-p", "8080:80", "--", "sleep", "1"]);
        eventually("the sandbox", || json(&["sandbox", "ls"]).as_array().is_some_and(|all| all.len() == 1));
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        let left = snapshot();
        assert_eq!(json(&["sandbox", "ls"])[0]["Name"], "web");
        let found = pontoon(&["doctor", "-q"]).stdout;
        let named =
            "state: processes that owned sandboxes are gone: `pontoon repair` or the next change removes sandbox web";
        assert!(found.contains(named), "{found}");
        let plan = ok(&["--plan", "sandbox", "create", "other"]);
        assert!(plan.starts_with("# recovery first\n- ") && plan.contains("\n# then\n+ "), "{plan}");
        like_before(&left);
        ok(&["sandbox", "create", "other"]);
        assert_eq!(json(&["sandbox", "ls"])[0]["Name"], "other");
        ok(&["sandbox", "rm", "other"]);
        like_before(&before);
    });
}

/// Tracks a UDP flow from outside to a port that is published on an address.
fn track(port: &str, address: &str) {
    let flow = format!(
        "-p udp -s 192.0.2.9 -d 192.0.2.1 --sport 4000 --dport {port} --reply-src {address} --reply-dst 192.0.2.9 \
         --reply-port-src 53 --reply-port-dst 4000"
    );
    run("conntrack", &["-I", "--timeout", "600"].into_iter().chain(flow.split_whitespace()).collect::<Vec<_>>());
}

#[test]
fn flows_of_a_killed_sandbox_do_not_reach_the_next_tenant() {
    isolated(|| {
        if !require(Feature::Conntrack) {
            return;
        }
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "stays", "--network", "front,ip=10.1.0.2", "-p", "5352:53/udp"]);
        ok(&["sandbox", "create", "goes", "--network", "front,ip=10.1.0.3", "-p", "5353:53/udp"]);
        let namespaces = || fs::read_dir("/run/pontoon/netns").unwrap().count();
        let mut removing = start(&["sandbox", "rm", "goes"]);
        eventually("the commit", || namespaces() == 1);
        removing.kill().unwrap();
        removing.wait().unwrap();
        // Killed a moment earlier, it leaves its mark and the flows.
        fs::write("/run/state/in-use", "").unwrap();
        track("5352", "10.1.0.2");
        track("5353", "10.1.0.3");
        ok(&["repair"]);
        let tracked = run("conntrack", &["-L", "-p", "udp"]);
        assert!(tracked.contains("src=10.1.0.2 "), "{tracked}");
        assert!(!tracked.contains("10.1.0.3"), "{tracked}");
        assert_eq!(json(&["sandbox", "ls"]).as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_change_that_is_interrupted_is_brought_to_its_end() {
    isolated(|| {
        let names: Vec<String> = (0..30).map(|number| format!("s{number}")).collect();
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        for name in &names {
            ok(&["sandbox", "create", name, "--network", "front"]);
        }
        let namespaces = || fs::read_dir("/run/pontoon/netns").unwrap().count();
        let mut arguments = vec!["sandbox", "rm"];
        arguments.extend(names.iter().map(String::as_str));
        let removing = start(&arguments);
        eventually("the first removal", || namespaces() < 30);
        let ended = signal(removing, "INT");
        assert_eq!(ended.status, 128 + 2, "{ended:?}");
        assert_eq!(ended.stderr, "note: interrupted: what was begun is done, and nothing more was begun\n");
        let gone: Vec<&str> = ended.stdout.lines().collect();
        assert!(!gone.is_empty() && gone.len() < 30, "{gone:?}");
        let left = json(&["sandbox", "ls"]);
        assert_eq!(left.as_array().unwrap().len(), 30 - gone.len());
        assert_eq!(namespaces(), 30 - gone.len());
        assert!(!fs::exists("/run/state/in-use").unwrap());
        assert_eq!(pontoon(&["doctor", "-q"]).stdout, "");
    });
}

#[test]
fn a_run_that_fails_leaves_no_network() {
    isolated(|| {
        const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
        // A new namespace takes this over from the machine's.
        fs::write(FORWARDING, "0").unwrap();
        // The run directory is made by the first command that may change something.
        ok(&["repair"]);
        let before = snapshot();
        let held = TcpListener::bind("0.0.0.0:8080").unwrap();
        let refused = pontoon(&["run", "-p", "8080:80", "--", "true"]);
        assert_eq!(refused.status, 125, "{refused:?}");
        assert!(refused.stderr.contains("failed to bind host port 0.0.0.0:8080/tcp"), "{refused:?}");
        assert_eq!(json(&["network", "ls"]), serde_json::json!([]));
        like_before(&before);
        assert_eq!(fs::read_to_string(FORWARDING).unwrap(), "0\n");
        drop(held);
        assert_eq!(ok(&["run", "-p", "8080:80", "--", "echo", "done"]), "done\n");
        assert_eq!(json(&["network", "ls"])[0]["Name"], "default");
    });
}

#[test]
fn signals_are_passed_on() {
    isolated(|| {
        for (name, number) in
            [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3), ("USR1", 10), ("USR2", 12), ("WINCH", 28)]
        {
            let script = format!("trap 'exit {}' {name}; echo ready; while :; do sleep 0.02; done", number + 40);
            let mut child = start(&["run", "--", "sh", "-c", &script]);
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            assert_eq!(signal(child, name).status, number + 40, "{name}");
        }
    });
}

#[test]
fn the_status_is_the_commands_own() {
    isolated(|| {
        let status = |arguments: &[&str]| pontoon(arguments).status;
        assert_eq!(status(&["run", "--", "true"]), 0);
        assert_eq!(status(&["run", "--", "sh", "-c", "exit 7"]), 7);
        assert_eq!(status(&["run", "--", "sh", "-c", "kill -9 $$"]), 128 + 9);
        assert_eq!(status(&["run", "--", "/nonexistent"]), 127);
        assert_eq!(status(&["run", "--", "/etc/passwd"]), 126);
        assert_eq!(status(&["run", "--network", "nowhere", "--", "true"]), 125);
        assert_eq!(status(&["run"]), 2);
        ok(&["sandbox", "create", "s"]);
        assert_eq!(status(&["sandbox", "exec", "s", "--", "sh", "-c", "exit 9"]), 9);
        assert_eq!(status(&["sandbox", "exec", "s", "/nonexistent"]), 127);
        assert_eq!(status(&["sandbox", "exec", "nobody", "true"]), 125);
        ok(&["sandbox", "rm", "s"]);
        assert_eq!(json(&["sandbox", "ls"]), serde_json::json!([]));
    });
}

#[test]
fn namespaces_are_as_asked() {
    isolated(|| {
        let inside =
            |arguments: &[&str], script: &str| ok(&[&["run"], arguments, &["--", "sh", "-c", script]].concat());
        assert_eq!(inside(&["--hostname", "web"], "hostname"), "web\n");
        assert_eq!(
            inside(&["--network", "none"], "ls /proc/self/net/dev_snmp6 | wc -l; ip -o link | wc -l").lines().last(),
            Some("1")
        );
        let mine = fs::read_link("/proc/self/ns/net").unwrap();
        assert_eq!(inside(&["--network", "host"], "readlink /proc/self/ns/net").trim(), mine.to_string_lossy());
        ok(&["network", "create", "a", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "s", "--network", "a,ip=10.1.0.7"]);
        assert!(inside(&["--network", "sandbox:s"], "ip -o addr").contains("10.1.0.7/24"));
        assert!(inside(&["--network", "a,mac=02:00:00:00:00:07"], "ip -o link").contains("02:00:00:00:00:07"));
    });
}

#[test]
fn options_stop_at_the_command() {
    isolated(|| {
        let output = command(&["run", "--network", "none", "echo", "-p", "--network", "x", "--plan"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "-p --network x --plan\n");
    });
}
