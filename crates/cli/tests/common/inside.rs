//! Sandboxes from inside: programs there, what they are told when they ask for names, and who answers.

use std::fs;
use std::process::Command;
use std::time::Instant;

use pontoon_testkit::run;

use super::{RUN_DIR, json};

/// The file that keeps a sandbox's namespace.
pub(crate) fn netns(sandbox: &str) -> String {
    let id = json(&["sandbox", "inspect", sandbox])[0]["ID"].as_str().expect("an id").to_owned();
    format!("{RUN_DIR}/netns/{}", &id[..12])
}

/// Prepares a program inside a sandbox.
pub(crate) fn inside(sandbox: &str, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", netns(sandbox))).args(words);
    command
}

/// Runs a program inside a sandbox and returns what it prints, whatever its status.
pub(crate) fn say(sandbox: &str, words: &[&str]) -> String {
    let output = inside(sandbox, words).output().expect("the program runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What `dig` finds, a line a record in order; `SERVFAIL` and the like if there is no answer.
pub(crate) fn dig(sandbox: &str, words: &[&str]) -> String {
    let fixed = ["dig", "@127.0.0.11", "+tries=1", "+time=3", "+noall", "+answer", "+comments"];
    let text = say(sandbox, &[&fixed, words].concat());
    let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("nothing");
    if status != "NOERROR" {
        return status.to_owned();
    }
    let records = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    let mut values: Vec<&str> = records.filter_map(|line| line.split_whitespace().last()).collect();
    values.sort_unstable();
    values.join(" ")
}

/// The address of a sandbox on a network, without its length.
pub(crate) fn address(sandbox: &str, network: &str, v6: bool) -> String {
    let document = json(&["sandbox", "inspect", sandbox]);
    let endpoints = document[0]["Endpoints"].as_array().expect("endpoints").clone();
    let endpoint = endpoints.into_iter().find(|one| one["Network"] == network).expect("it is connected");
    let all = endpoint["Addresses"].as_array().expect("addresses").clone();
    let text = all.iter().filter_map(|one| one.as_str()).find(|text| text.contains(':') == v6);
    text.and_then(|text| text.split('/').next()).expect("an address of that family").to_owned()
}

/// Puts a file in the place of the host's resolv.conf; what is written to it later is seen.
pub(crate) fn host_servers(text: &str) {
    fs::write("/run/resolv.conf", text).unwrap();
    run("mount", &["--bind", "/run/resolv.conf", "/etc/resolv.conf"]);
}

/// The pid of the process that answers.
pub(crate) fn helper() -> Option<u32> {
    let processes = fs::read_dir("/proc").expect("processes are listed");
    processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        words.ends_with(b"\0resolver\0") && !status.contains("State:\tZ")
    })
}

/// Kills it and says when.
pub(crate) fn kill_helper() -> Instant {
    let pid = helper().expect("somebody answers");
    run("kill", &["-KILL", &pid.to_string()]);
    Instant::now()
}
