//! Tests on a real kernel, in namespaces of their own.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs, thread};

use rustix::mount::{MountFlags, mount};
use rustix::process::geteuid;
use serde_json::Value;

/// Holds the test's name inside the namespaces.
const GUARD: &str = "PONTOON_ISOLATED";

/// Runs a test inside fresh network, mount and process namespaces.
///
/// The test binary executes itself again for just this test, so that whatever the test does to
/// the kernel is gone with the process: nothing to clean up, and tests run in parallel. An
/// ordinary user becomes root of a user namespace. Inside, `/run` is empty and `lo` is up. Of what it prints,
/// lines with `COUNT ` or `MISSING ` are printed outside too.
///
/// Call it first, and at most once, in a `#[test]` function.
///
/// # Panics
///
/// If the test fails inside, with its output, or if the namespaces cannot be made.
pub fn isolated(test: impl FnOnce()) {
    if is_isolated() {
        furnish();
        test();
        return;
    }
    let name = test_name();
    let output = execute_again(&name);
    let stdout = String::from_utf8_lossy(&output.stdout);
    // A name that matches no test would otherwise succeed without having tested anything.
    let passed = output.status.success() && stdout.contains("1 passed");
    if !passed {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{name} failed in its namespaces\n{stdout}\n{stderr}");
    }
    for line in stdout.lines().filter(|line| line.contains("MISSING ") || line.contains("COUNT ")) {
        println!("{line}");
    }
}

/// Returns whether this is the inside of [`isolated`]: elsewhere a program that changes networks would change the machine's own.
pub fn is_isolated() -> bool {
    env::var_os(GUARD).is_some()
}

/// Runs a program and returns what it printed.
///
/// # Panics
///
/// If it cannot be run or fails, with what it printed to standard error.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("could not run {program}: {error}; install it"));
    assert!(
        output.status.success(),
        "{program} {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns what `ip -json -details` says, such as for `["link", "show"]`.
///
/// # Panics
///
/// If `ip` fails or prints something else than JSON.
pub fn ip_json(arguments: &[&str]) -> Value {
    json("ip", &["-json", "-details"], arguments)
}

/// Returns what `nft --json` says, such as for `["list", "ruleset"]`.
///
/// # Panics
///
/// If `nft` fails or prints something else than JSON.
pub fn nft_json(arguments: &[&str]) -> Value {
    json("nft", &["--json"], arguments)
}

fn json(program: &str, options: &[&str], arguments: &[&str]) -> Value {
    let text = run(program, &[options, arguments].concat());
    if text.trim().is_empty() {
        // `ip` prints nothing for an empty list.
        return Value::Array(Vec::new());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{program} printed no JSON: {error}\n{text}"))
}

/// The running test, as the test runner spells it.
pub(crate) fn test_name() -> String {
    if let Ok(name) = env::var(GUARD) {
        return name;
    }
    let thread = thread::current();
    match thread.name() {
        Some("main") | None => name_among(env::args().skip(1)),
        Some(name) => name.to_owned(),
    }
}

/// With a single test thread the runner uses the main thread; then the name was an argument.
fn name_among(arguments: impl Iterator<Item = String>) -> String {
    arguments
        .filter(|argument| !argument.starts_with('-'))
        .last()
        .expect("one test is run by name, or on a thread named after it")
}

fn execute_again(name: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command.arg("--mount-proc");
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .arg(env::current_exe().expect("the running test has a path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .args(["--include-ignored"])
        .env(GUARD, name)
        .output()
        .unwrap_or_else(|error| panic!("could not run unshare: {error}; install util-linux"))
}

fn furnish() {
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None)
        .unwrap_or_else(|errno| panic!("could not mount an empty /run: {errno}"));
    // The host's sysfs shows the host's links. A nested container may forbid a new one.
    let _ = mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None);
    if Path::new("/run").exists() {
        fs::create_dir_all("/run/netns").expect("an empty /run is writable");
    }
    run("ip", &["link", "set", "lo", "up"]);
}
