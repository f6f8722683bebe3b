//! Mistakes with namespaces of others: what `sandbox adopt` and `oci-hook` say, and that nothing is left.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::inside::{address, dig, host_servers};
use common::{Ran, command, json, like_before, ok, pontoon, ran, snapshot};
use expect_test::expect;
use pontoon_testkit::{isolated, run};

/// A pid that nobody has here.
const NOBODY: &str = "999999";

/// Runs `oci-hook` with a state on standard input.
fn hook(arguments: &[&str], state: &str) -> Ran {
    let mut child = command(&[&["oci-hook"], arguments].concat());
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the binary runs");
    // It may not want to hear all of it.
    let _sent = child.stdin.take().expect("it is piped").write_all(state.as_bytes());
    ran(child.wait_with_output().expect("it ends"))
}

#[test]
fn namespaces_that_cannot_be_adopted() {
    isolated(|| {
        ok(&["network", "create", "front"]);
        let before = snapshot();
        fs::write("/run/file", "").unwrap();
        let sources: [&[&str]; 9] = [
            &["--netns", "/run/nothing"],
            &["--netns", "/run/file"],
            &["--netns", "/run"],
            &["--netns", "/proc/self/ns/net"],
            &["--netns", "/proc/self/ns/mnt"],
            &["--pid", NOBODY],
            &["--pid", "0"],
            &["--pid", "me"],
            &[],
        ];
        let mut told = String::new();
        for source in sources {
            let ran = pontoon(&[&["sandbox", "adopt", "web"], source].concat());
            let text: Vec<&str> = ran.stderr.lines().take_while(|line| !line.is_empty()).collect();
            told += &format!("{}: {} {}\n", source.join(" "), ran.status, common::without_ids(&text.join("; ")));
            like_before(&before);
        }
        fs::remove_file("/run/file").unwrap();
        assert_eq!(json(&["sandbox", "ls"]), serde_json::json!([]));
        expect![[r#"
            --netns /run/nothing: 1 error: cannot open the namespace /run/nothing;   because No such file or directory (os error 2)
            --netns /run/file: 2 error: create sandbox web failed;   because step 1 (+ namespace of sandbox ID adopted from /run/file) failed;   because /run/file is not a network namespace
            --netns /run: 2 error: create sandbox web failed;   because step 1 (+ namespace of sandbox ID adopted from /run) failed;   because /run is not a network namespace
            --netns /proc/self/ns/net: 2 error: create sandbox web failed;   because step 1 (+ namespace of sandbox ID adopted from /proc/self/ns/net) failed;   because /proc/self/ns/net is the host's own network namespace, which no sandbox can have
            --netns /proc/self/ns/mnt: 2 error: create sandbox web failed;   because step 1 (+ namespace of sandbox ID adopted from /proc/self/ns/mnt) failed;   because /proc/self/ns/mnt is not a network namespace
            --pid 999999: 1 error: cannot open the namespace /proc/999999/ns/net;   because No such file or directory (os error 2)
            --pid 0: 1 error: cannot open the namespace /proc/0/ns/net;   because No such file or directory (os error 2)
            --pid me: 2 error: invalid value 'me' for '--pid <PID>': invalid digit found in string
            : 2 error: the following required arguments were not provided:;   <--netns <PATH>|--pid <PID>>
        "#]].assert_eq(&told);
    });
}

#[test]
fn a_sandbox_that_gets_its_namespace_later_has_names_there() {
    isolated(|| {
        host_servers("");
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        ok(&["sandbox", "create", "late", "--external", "--network", "front", "--hostname", "later"]);
        let paths = json(&["sandbox", "inspect", "late"]);
        let file = |key: &str| fs::read_to_string(paths[0][key].as_str().unwrap()).unwrap();
        run("ip", &["netns", "add", "theirs"]);
        ok(&["sandbox", "adopt", "late", "--netns", "/var/run/netns/theirs"]);
        let (web, late) = (address("web", "front", false), address("late", "front", false));
        assert_eq!((dig("late", &["web", "A"]), dig("web", &["late", "A"])), (web, late.clone()));
        assert!(file("HostsPath").ends_with(&format!("{late}\tlater\n")), "{}", file("HostsPath"));
        assert!(file("ResolvConfPath").contains("\nnameserver 127.0.0.11\n"), "{}", file("ResolvConfPath"));
    });
}

#[test]
fn states_of_containers_that_are_none() {
    isolated(|| {
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "web", "--external", "--network", "front"]);
        let before = snapshot();
        let pid = std::process::id();
        let states = [
            "".to_owned(),
            "not a state".to_owned(),
            "{\"pid\":7}".to_owned(),
            "{\"id\":\"web\"}".to_owned(),
            "{\"id\":\"web\",\"pid\":-1}".to_owned(),
            format!("{{\"id\":\"web\",\"pid\":{NOBODY}}}"),
            // In the host's own namespace.
            format!("{{\"id\":\"web\",\"pid\":{pid}}}"),
            format!("{{\"id\":\"other\",\"pid\":{pid}}}"),
            format!("{{\"id\":\"web\",\"annotations\":\"{}", "a".repeat(2 << 20)),
        ];
        let mut told = String::new();
        for state in &states {
            let ran = hook(&[], state);
            let text = ran.stderr.replace(&format!("/{pid}/"), "/PID/");
            let short = if state.len() > 100 { "a long one" } else { state };
            let line =
                format!("{short}: {} {}\n", ran.status, common::without_ids(&text.trim_end().replace('\n', "; ")));
            told += &line.replace(&format!(":{pid}"), ":PID");
            like_before(&before);
        }
        // Nobody serves this socket: the hook does the work, and fails in the same way.
        let ran = hook(&["--socket", "/run/nobody.sock"], &states[5]);
        assert!(ran.status != 0 && ran.stderr.contains(NOBODY), "{ran:?}");
        expect![[r#"
            : 1 error: standard input is not the state of an OCI container;   because EOF while parsing a value at line 1 column 0; hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it
            not a state: 1 error: standard input is not the state of an OCI container;   because it is no JSON object; hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it
            {"pid":7}: 1 error: standard input is not the state of an OCI container;   because missing field `id` at line 1 column 9; hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it
            {"id":"web"}: 1 error: container web has no process: the hook belongs where the state has a pid, such as createRuntime
            {"id":"web","pid":-1}: 1 error: standard input is not the state of an OCI container;   because invalid value: integer `-1`, expected u32 at line 1 column 20; hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it
            {"id":"web","pid":999999}: 1 error: set the namespace of sandbox ID failed;   because step 1 (+ namespace of sandbox ID adopted from /proc/999999/ns/net) failed;   because network namespace /proc/999999/ns/net does not exist
            {"id":"web","pid":PID}: 1 error: set the namespace of sandbox ID failed;   because step 1 (+ namespace of sandbox ID adopted from /proc/PID/ns/net) failed;   because /proc/PID/ns/net is the host's own network namespace, which no sandbox can have
            {"id":"other","pid":PID}: 1 error: network sandbox for container other not found; hint: `pontoon sandbox ls` shows the sandboxes
            a long one: 1 error: standard input is not the state of an OCI container;   because it is longer than 1048576 bytes; hint: name it in `hooks` of a bundle's config.json, or pipe `runc state` into it
        "#]].assert_eq(&told);
        run("test", &["!", "-e", "/run/nobody.sock"]);
    });
}
