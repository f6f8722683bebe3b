//! Runs the real binary. Call everything inside `pontoon_testkit::isolated`.
#![allow(dead_code, reason = "every test program uses a part")]

pub(crate) mod container;
pub(crate) mod inside;
pub(crate) mod process;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use expect_test::Expect;
use pontoon_testkit::{is_isolated, run};
use serde_json::Value;

/// Where the state is, on the empty file system that every test has there.
pub(crate) const ROOT: &str = "/run/state";
/// Where namespaces are kept.
pub(crate) const RUN_DIR: &str = "/run/pontoon";

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Prepares the binary with the test's directories.
pub(crate) fn command(arguments: &[&str]) -> Command {
    assert!(is_isolated(), "call isolated() first: pontoon {arguments:?} would change this machine");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pontoon"));
    command.args(["--root", ROOT, "--run-dir", RUN_DIR]).args(arguments).stdin(Stdio::null());
    command.env_remove("PONTOON_LOG");
    command
}

/// Runs the binary.
pub(crate) fn pontoon(arguments: &[&str]) -> Ran {
    ran(command(arguments).output().expect("the binary runs"))
}

/// Returns what came of a process.
pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text on standard output"),
        stderr: String::from_utf8(output.stderr).expect("text on standard error"),
    }
}

/// Runs the binary, which must succeed and say nothing on standard error, and returns what it printed.
pub(crate) fn ok(arguments: &[&str]) -> String {
    let ran = pontoon(arguments);
    assert!(ran.status == 0 && ran.stderr.is_empty(), "pontoon {}: {ran:?}", arguments.join(" "));
    ran.stdout
}

/// Does the same with `--format json`.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let text = ok(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs a command that must fail, and looks at what it says and at what it leaves.
pub(crate) fn mistake(arguments: &[&str], status: i32, expected: &Expect) {
    let before = snapshot();
    let ran = pontoon(arguments);
    assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{arguments:?}: {ran:?}");
    let told = ran.stderr.trim_end().trim_end_matches("\n\nFor more information, try '--help'.");
    expected.assert_eq(&without_ids(told));
    like_before(&before);
}

/// Replaces ids, which differ each time, by `ID`.
pub(crate) fn without_ids(text: &str) -> String {
    let is_id = |word: &str| [12, 64].contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut out = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        out += &if is_id(word) { piece.replacen(word, "ID", 1) } else { piece.to_owned() };
    }
    out
}

/// Starts the binary in the background, with its output in pipes.
pub(crate) fn start(arguments: &[&str]) -> Child {
    command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

/// Makes a namespace `outside` that reaches the test's namespace at 192.0.2.1.
pub(crate) fn outside() {
    for line in [
        "netns add outside",
        "link add uplink type veth peer name eth0 netns outside",
        "addr add 192.0.2.1/24 dev uplink",
        "link set uplink up",
        "-n outside addr add 192.0.2.9/24 dev eth0",
        "-n outside link set eth0 up",
    ] {
        run("ip", &line.split(' ').collect::<Vec<_>>());
    }
}

/// Everything that could be left behind: links, addresses, routes, rules, mounts, files of the run directory.
pub(crate) fn snapshot() -> BTreeMap<&'static str, String> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts are listed");
    let files = if Path::new(RUN_DIR).exists() { run("find", &[RUN_DIR]) } else { String::new() };
    // A directory is listed in no order.
    let mut files: Vec<&str> = files.lines().collect();
    files.sort_unstable();
    BTreeMap::from([
        ("links", lasting(&["-j", "link"])),
        ("addresses", lasting(&["-j", "addr"])),
        ("routes", lasting(&["-j", "route", "show", "table", "all"])),
        ("routes6", lasting(&["-j", "-6", "route", "show", "table", "all"])),
        ("rules", run("nft", &["-j", "list", "ruleset"])),
        ("mounts", mounts),
        ("files", files.join("\n")),
    ])
}

/// What `ip` says, without what changes by itself: whether there is a carrier, whether an address was checked, and the
/// link-local addresses and routes that the kernel makes and removes as carriers come and go.
fn lasting(arguments: &[&str]) -> String {
    let mut text: Value = serde_json::from_str(&run("ip", arguments)).expect("ip prints JSON");
    let link_local = |entry: &Value, key: &str| entry[key].as_str().is_some_and(|text| text.starts_with("fe80:"));
    if let Some(entries) = text.as_array_mut() {
        entries.retain(|entry| !link_local(entry, "dst"));
    }
    for entry in text.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        entry.retain(|key, _| !["operstate", "flags", "qdisc"].contains(&key.as_str()));
        let mut addresses = entry.get_mut("addr_info").and_then(Value::as_array_mut);
        if let Some(addresses) = &mut addresses {
            addresses.retain(|address| !link_local(address, "local"));
        }
        for address in addresses.into_iter().flatten().filter_map(Value::as_object_mut) {
            address.remove("tentative");
        }
    }
    text.to_string()
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        sleep(Duration::from_millis(20));
    }
}

/// Waits until the host looks as it did; a bridge without ports takes a moment to say so.
pub(crate) fn like_before(before: &BTreeMap<&'static str, String>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline && snapshot() != *before {
        sleep(Duration::from_millis(50));
    }
    let after = snapshot();
    for (what, text) in before {
        assert_eq!(&after[what], text, "{what} differ");
    }
}

/// Ends a process that the test started and returns what came of it.
pub(crate) fn signal(child: Child, name: &str) -> Ran {
    run("kill", &["-s", name, &child.id().to_string()]);
    ran(child.wait_with_output().expect("the process ends"))
}
