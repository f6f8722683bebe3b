//! Mistakes with namespaces of others: what `sandbox adopt` and `oci-hook` say, and that nothing is left.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

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
            like_before(&before.clone());
        }
        fs::remove_file("/run/file").unwrap();
        assert_eq!(json(&["sandbox", "ls"]), serde_json::json!([]));
        expect![[r#""#]].assert_eq(&told);
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
            "{\"pid\":1}".to_owned(),
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
        expect![[r#""#]].assert_eq(&told);
        run("test", &["!", "-e", "/run/nobody.sock"]);
    });
}
