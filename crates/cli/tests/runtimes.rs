//! Containers of runc and crun in sandboxes of ours.

mod common;

use std::fs;
use std::io::Read;
use std::net::TcpStream;

use common::container::{Container, mount_cgroups};
use common::{ROOT, RUN_DIR, eventually, json, like_before, ok, snapshot};
use pontoon_testkit::{Feature, isolated, require, run};

const RUNTIMES: [&str; 2] = ["runc", "crun"];
/// What every container is given.
const FLAGS: [&str; 8] =
    ["--network", "front,ip=10.1.0.7,alias=web", "-p", "8080:80", "--hostname", "box", "--add-host", "far:192.0.2.7"];
/// Looks for the others, serves a port, and waits until it is told to end.
const SCRIPT: &str = "ping -c 1 -W 5 db; nslookup db; ping -c 1 -W 5 box; cat /etc/hosts /etc/resolv.conf; \
    nc -ll -p 80 -e echo hello & echo ready; until test -e /tmp/end; do sleep 0.05; done; echo done";

/// Runs a test for every runtime, beside another sandbox on the network.
fn beside_db(test: impl Fn(&'static str)) {
    isolated(|| {
        if !require(Feature::Cgroup2) {
            return;
        }
        mount_cgroups();
        fs::write("/run/resolv.conf", "").unwrap();
        run("mount", &["--bind", "/run/resolv.conf", "/etc/resolv.conf"]);
        ok(&["network", "create", "--subnet", "10.1.0.0/24", "front"]);
        ok(&["sandbox", "create", "db", "--network", "front,ip=10.1.0.9"]);
        for runtime in RUNTIMES {
            let before = snapshot();
            test(runtime);
            like_before(&before);
        }
    });
}

/// Mounts the files where `sandbox inspect` says they are.
fn mount_files(container: &mut Container, sandbox: &str) {
    let document = &json(&["sandbox", "inspect", sandbox])[0];
    for (file, destination) in [("HostsPath", "/etc/hosts"), ("ResolvConfPath", "/etc/resolv.conf")] {
        container.mount(document[file].as_str().expect("a path"), destination);
    }
}

/// Looks at a container that runs, from inside and from outside.
fn is_connected(container: &Container) {
    container.says("ready");
    let said = container.said();
    let expected =
        ["PING db (10.1.0.9)", "PING box (10.1.0.7)", "10.1.0.7\tbox", "192.0.2.7\tfar", "nameserver 127.0.0.11"];
    for words in expected {
        assert!(said.contains(words), "{words}: {said}");
    }
    // By the server at 127.0.0.11, not from a file.
    let looked_up = said.split("Name:\tdb\n").nth(1);
    assert!(looked_up.is_some_and(|rest| rest.starts_with("Address: 10.1.0.9\n")), "{said}");
    ok(&["sandbox", "exec", "db", "--", "ping", "-c", "1", "-W", "5", "web"]);
    assert_eq!(ok(&["sandbox", "exec", "db", "--", "dig", "+short", "web"]), "10.1.0.7\n");
    let mut answer = String::new();
    eventually("an answer on the published port", || {
        let said = container.said();
        assert!(!said.contains("nc: "), "{said}");
        let stream = TcpStream::connect("10.1.0.1:8080");
        stream.is_ok_and(|mut stream| stream.read_to_string(&mut answer).is_ok_and(|length| length > 0))
    });
    assert_eq!(answer, "hello\n");
}

/// Tells a container to end, and waits until it has.
fn end(container: &Container) {
    fs::write(container.root().join("tmp/end"), "").expect("the bundle is there");
    container.says("done");
}

#[test]
fn containers_run_in_namespaces_of_ours() {
    beside_db(|runtime| {
        ok(&[&["sandbox", "create", "mine"], &FLAGS[..]].concat());
        let mut container = Container::new(runtime, SCRIPT);
        mount_files(&mut container, "mine");
        let key = json(&["sandbox", "inspect", "mine"])[0]["Namespace"]["Key"].as_str().expect("a path").to_owned();
        container.namespace(&key);
        let _running = container.run();
        is_connected(&container);
        end(&container);
        ok(&["sandbox", "rm", "mine"]);
    });
}

#[test]
fn namespaces_of_containers_are_adopted_before_they_start() {
    beside_db(|runtime| {
        let container = Container::new(runtime, SCRIPT);
        container.create();
        let pid = container.pid().to_string();
        ok(&[&["sandbox", "adopt", "theirs", "--pid", &pid], &FLAGS[..]].concat());
        // They exist only now, so they are not mounted.
        let document = &json(&["sandbox", "inspect", "theirs"])[0];
        for (file, name) in [("HostsPath", "hosts"), ("ResolvConfPath", "resolv.conf")] {
            fs::copy(document[file].as_str().expect("a path"), container.root().join("etc").join(name))
                .expect("a copy");
        }
        container.start();
        is_connected(&container);
        end(&container);
        ok(&["sandbox", "rm", "theirs"]);
    });
}

#[test]
fn a_sandbox_that_waits_adopts_the_namespace_of_a_container() {
    beside_db(|runtime| {
        ok(&[&["sandbox", "create", "--external", "waits"], &FLAGS[..]].concat());
        let mut container = Container::new(runtime, SCRIPT);
        mount_files(&mut container, "waits");
        container.create();
        ok(&["sandbox", "adopt", "waits", "--pid", &container.pid().to_string()]);
        container.start();
        is_connected(&container);
        end(&container);
        ok(&["sandbox", "rm", "waits"]);
    });
}

/// The hook as it stands in a bundle's configuration.
const HOOK: [&str; 6] = [env!("CARGO_BIN_EXE_pontoon"), "--root", ROOT, "--run-dir", RUN_DIR, "oci-hook"];

#[test]
fn the_hook_gives_sandboxes_the_namespaces_of_containers() {
    beside_db(|runtime| {
        for kind in ["prestart", "createRuntime"] {
            let mut container = Container::new(runtime, SCRIPT);
            // The hook finds the sandbox by the container's id.
            ok(&[&["sandbox", "create", "--external", &container.id], &FLAGS[..]].concat());
            let id = container.id.clone();
            mount_files(&mut container, &id);
            container.hook(kind, &HOOK);
            let _running = container.run();
            is_connected(&container);
            end(&container);
            ok(&["sandbox", "rm", &id]);
            fs::remove_dir_all(container.root()).expect("the bundle is removed");
        }
    });
}

#[test]
fn a_container_whose_hook_fails_does_not_start() {
    beside_db(|runtime| {
        let mut container = Container::new(runtime, "echo started");
        container.hook("createRuntime", &HOOK);
        let mut running = container.run();
        assert!(!running.wait().success());
        let (said, words) = (container.said(), format!("network sandbox for container {} not found", container.id));
        assert!(said.contains(&words) && !said.contains("started"), "{said}");
    });
}
