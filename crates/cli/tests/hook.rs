//! Sandboxes whose namespaces come later, by the hook of a runtime.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use common::process::Process;
use common::{ROOT, RUN_DIR, Ran, command, eventually, json, like_before, ok, ran, snapshot, without_ids};
use expect_test::{Expect, expect};
use pontoon::{Config, Controller};
use pontoon_testkit::{isolated, run};

const SOCKET: &str = "/run/keys/keys.sock";

/// Runs the hook with something on its standard input.
fn hook(arguments: &[&str], state: &[u8]) -> Ran {
    let words = [&["oci-hook"], arguments].concat();
    let mut command = command(&words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // It may refuse before it has read all of it.
    let _sent = child.stdin.take().expect("a pipe").write_all(state);
    ran(child.wait_with_output().expect("the hook ends"))
}

/// Runs the hook, which must fail, and looks at what it says and at what it leaves.
fn refused(arguments: &[&str], state: &str, status: i32, expected: &Expect) {
    let before = snapshot();
    let ran = hook(arguments, state.as_bytes());
    assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{arguments:?}: {ran:?}");
    expected.assert_eq(&without_ids(ran.stderr.trim_end()));
    like_before(&before);
}

/// The state of a container, as a runtime writes it.
fn state(id: &str, pid: u32) -> String {
    format!(
        r#"{{"ociVersion":"1.0.2","id":"{id}","status":"created","pid":{pid},"bundle":"/run/b","annotations":{{"a":"b"}}}}"#
    )
}

/// A process in a network namespace of its own, as a runtime makes it.
fn container() -> Process {
    let container = Process::start(Command::new("unshare").args(["--net", "sleep", "60"]));
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let netns = format!("/proc/{}/ns/net", container.id());
    eventually("a namespace", || fs::read_link(&netns).is_ok_and(|namespace| namespace != own));
    container
}

/// A sandbox that waits for its namespace, on a network.
fn waiting(name: &str) {
    ok(&["sandbox", "create", "--external", name, "--network", "front,ip=10.1.0.7", "-p", "8080:80"]);
}

fn network() {
    fs::write("/run/resolv.conf", "").unwrap();
    run("mount", &["--bind", "/run/resolv.conf", "/etc/resolv.conf"]);
    ok(&["network", "create", "--subnet", "10.1.0.0/24", "front"]);
}

/// The source of a sandbox's namespace.
fn source(sandbox: &str) -> String {
    json(&["sandbox", "inspect", sandbox])[0]["Namespace"]["Source"].as_str().expect("a source").to_owned()
}

#[test]
fn a_sandbox_waits_with_addresses_ports_and_files() {
    isolated(|| {
        network();
        let before = snapshot();
        waiting("web");
        let document = &json(&["sandbox", "inspect", "web"])[0];
        assert_eq!(document["Namespace"]["Source"], "later");
        assert_eq!(document["Endpoints"][0]["Addresses"][0], "10.1.0.7/24");
        assert_eq!(ok(&["port", "web"]), "80/tcp -> 0.0.0.0:8080\n");
        for file in ["HostsPath", "ResolvConfPath"] {
            assert!(fs::metadata(document[file].as_str().unwrap()).is_ok(), "{file}");
        }
        // Nothing is inside, as there is no inside.
        let entered = common::pontoon(&["sandbox", "exec", "web", "--", "true"]);
        assert_eq!(entered.status, 125);
        expect![[r#"
            error: sandbox web waits for its namespace
            hint: `pontoon sandbox adopt` names it
        "#]]
        .assert_eq(&entered.stderr);
        assert_eq!(json(&["stats", "web"]), serde_json::json!([]));
        let links = run("ip", &["-o", "link", "show", "type", "veth"]);
        assert_eq!(links, "");
        ok(&["sandbox", "rm", "web"]);
        like_before(&before);
    });
}

#[test]
fn the_hook_gives_a_sandbox_its_namespace() {
    isolated(|| {
        network();
        let before = snapshot();
        let (first, second) = (container(), container());
        waiting("web");
        // The container's id is the sandbox's name, unless another one is said.
        let done = hook(&[], state("web", first.id()).as_bytes());
        assert_eq!((done.status, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
        let path = format!("/proc/{}/ns/net", first.id());
        assert_eq!(json(&["sandbox", "inspect", "web"])[0]["Namespace"]["Path"], path);
        ok(&["sandbox", "exec", "web", "--", "ping", "-c", "1", "-W", "5", "10.1.0.1"]);
        ok(&["sandbox", "exec", "web", "--", "dig", "+short", "web"]);
        ok(&["sandbox", "create", "--external", "db", "--network", "front"]);
        let done = hook(&["db"], state("0123", second.id()).as_bytes());
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        ok(&["sandbox", "exec", "db", "--", "ping", "-c", "1", "-W", "5", "10.1.0.7"]);
        ok(&["sandbox", "rm", "web", "db"]);
        like_before(&before);
    });
}

#[test]
fn a_socket_that_is_served_is_asked_and_else_the_hook_does_it_itself() {
    isolated(|| {
        network();
        waiting("web");
        let container = container();
        let state = state("web", container.id());
        // Nobody is there yet.
        let done = hook(&["--socket", SOCKET], state.as_bytes());
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        ok(&["sandbox", "rm", "web"]);
        waiting("web");
        // Nobody is there any more.
        fs::create_dir_all("/run/keys").unwrap();
        drop(UnixListener::bind(SOCKET).unwrap());
        let done = hook(&["--socket", SOCKET], state.as_bytes());
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        ok(&["sandbox", "rm", "web"]);
        waiting("web");
        // Somebody is there, and has the state.
        let controller = Controller::open(Config::new(ROOT).run_dir(RUN_DIR)).expect("opens");
        let server = controller.serve_keys(SOCKET).expect("serves");
        let unknown = hook(&["--socket", SOCKET, "nobody"], state.as_bytes());
        assert_eq!(unknown.status, 1);
        expect![[r#"
            error: the namespace was refused
              because network sandbox for container nobody not found
        "#]]
        .assert_eq(&unknown.stderr);
        let done = hook(&["--socket", SOCKET], state.as_bytes());
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        drop(server);
        controller.stop().expect("stops");
        assert_eq!(source("web"), "adopted");
        ok(&["sandbox", "exec", "web", "--", "ping", "-c", "1", "-W", "5", "10.1.0.1"]);
    });
}

#[test]
fn bad_states_are_named_and_change_nothing() {
    isolated(|| {
        network();
        waiting("web");
        refused(
            &[],
            "",
            1,
            &expect![[r#"
            error: standard input is not the state of an OCI container
              because EOF while parsing a value at line 1 column 0
            hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"#]],
        );
        refused(
            &[],
            "{",
            1,
            &expect![[r#"
            error: standard input is not the state of an OCI container
              because EOF while parsing an object at line 1 column 1
            hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"#]],
        );
        refused(
            &[],
            "[\"web\",1]",
            1,
            &expect![[r#"
            error: standard input is not the state of an OCI container
              because it is no JSON object
            hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"#]],
        );
        refused(
            &[],
            "{\"pid\":1}",
            1,
            &expect![[r#"
            error: standard input is not the state of an OCI container
              because missing field `id` at line 1 column 9
            hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"#]],
        );
        refused(
            &[],
            "{\"id\":\"web\",\"pid\":\"1\"}",
            1,
            &expect![[r#"
            error: standard input is not the state of an OCI container
              because invalid type: string "1", expected u32 at line 1 column 21
            hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"#]],
        );
        refused(
            &[],
            &format!("{{\"id\":\"{}\",\"pid\":1}}", "a".repeat(1 << 20)),
            1,
            &expect![[r#"
            error: standard input is not the state of an OCI container
              because it is longer than 1048576 bytes
            hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"#]],
        );
        refused(
            &[],
            "{\"id\":\"web\",\"status\":\"creating\"}",
            1,
            &expect![
                "error: container web has no process: the hook belongs where the state has a pid, such as createRuntime"
            ],
        );
        refused(
            &["web", "more"],
            &state("web", 1),
            2,
            &expect![[r#"
            error: unexpected argument 'more' found

            Usage: pontoon oci-hook [OPTIONS] [SANDBOX]

            For more information, try '--help'."#]],
        );
        assert_eq!(source("web"), "later");
    });
}

#[test]
fn set_ups_that_fail_are_told_to_the_runtime() {
    isolated(|| {
        network();
        waiting("web");
        let container = container();
        refused(
            &[],
            &state("nobody", container.id()),
            1,
            &expect![[r#"
            error: network sandbox for container nobody not found
            hint: `pontoon sandbox ls` shows the sandboxes"#]],
        );
        // A pid that is gone, and one that is everybody's.
        refused(
            &[],
            &state("web", 4_194_304),
            1,
            &expect![[r#"
                error: set the namespace of sandbox ID failed
                  because step 1 (+ namespace of sandbox ID adopted from /proc/4194304/ns/net) failed
                  because network namespace /proc/4194304/ns/net does not exist"#]],
        );
        refused(
            &[],
            &state("web", 1),
            1,
            &expect![[r#"
            error: set the namespace of sandbox ID failed
              because step 1 (+ namespace of sandbox ID adopted from /proc/1/ns/net) failed
              because /proc/1/ns/net is the host's own network namespace, which no sandbox can have"#]],
        );
        assert_eq!(source("web"), "later");
        // A name that is taken inside: what was joined cannot be set up.
        let netns = format!("--net=/proc/{}/ns/net", container.id());
        run("nsenter", &[&netns, "ip", "link", "add", "eth0", "type", "bridge"]);
        let before = snapshot();
        let taken = hook(&[], state("web", container.id()).as_bytes());
        let words = "because the interface eth0 in sandbox";
        assert!(taken.status == 1 && taken.stderr.contains(words), "{taken:?}");
        like_before(&before);
        assert_eq!(source("web"), "later");
        run("nsenter", &[&netns, "ip", "link", "del", "eth0"]);
        let done = hook(&[], state("web", container.id()).as_bytes());
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        // A namespace that is somebody else's already.
        ok(&["sandbox", "create", "--external", "db"]);
        let taken = hook(&["db"], state("web", container.id()).as_bytes());
        let words = "already: a namespace has one sandbox";
        assert!(taken.status == 1 && taken.stderr.contains(words), "{taken:?}");
        assert_eq!(source("db"), "later");
    });
}
