//! The programs that the tests call, and getting them.

use std::path::Path;
use std::process::Command;

use crate::workspace::run;

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) program: &'static str,
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

const TOOLS: &[Tool] = &[
    tool("nft", "nftables"),
    tool("ip", "iproute2"),
    tool("conntrack", "conntrack"),
    tool("iptables", "iptables"),
    tool("busybox", "busybox-static"),
    tool("tcpdump", "tcpdump"),
    tool("dig", "dnsutils"),
    tool("ping", "iputils-ping"),
    tool("runc", "runc"),
    tool("crun", "crun"),
    tool("musl-gcc", "musl-tools"),
];

/// Installs what is missing where it may, says what it could not get, and returns that.
pub(super) fn provide(may_install: bool) -> Vec<Tool> {
    let missing = lacking();
    if missing.is_empty() {
        return missing;
    }
    let packages = packages(&missing);
    println!("tools: missing packages: {}", packages.join(" "));
    match obstacle(may_install) {
        Some(why) => println!("tools: {why}; as root: apt-get install {}", packages.join(" ")),
        None => install(&packages),
    }
    lacking()
}

fn lacking() -> Vec<Tool> {
    TOOLS.iter().copied().filter(|tool| !is_present(tool.program)).collect()
}

fn packages(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().map(|tool| tool.package).collect()
}

fn is_present(program: &str) -> bool {
    let path = super::path_with_sbin(std::env::var_os("PATH"));
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Says why packages cannot be installed here, if so.
fn obstacle(may_install: bool) -> Option<&'static str> {
    if !may_install {
        return Some("not installed because of --no-install");
    }
    if !is_present("apt-get") {
        return Some("no apt-get here to install them");
    }
    (!is_root()).then_some("not root, so not installed")
}

/// The owner of our own entry in /proc is our effective user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}

fn install(packages: &[&'static str]) {
    // A package list that cannot be refreshed may still be good enough.
    report(apt_get(&["update", "--quiet"]));
    if run(&mut install_command(packages)).is_ok() {
        return;
    }
    // One package that apt does not know stops all others: get what can be had.
    for package in packages {
        report(install_command(&[package]));
    }
}

fn install_command(packages: &[&'static str]) -> Command {
    let mut command = apt_get(&["install", "--quiet", "--yes", "--no-install-recommends"]);
    command.args(packages);
    command
}

fn apt_get(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn report(mut command: Command) {
    if let Err(message) = run(&mut command) {
        println!("tools: {message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up() {
        assert!(is_present("sh"));
        assert!(!is_present("no-program-has-this-name"));
    }

    #[test]
    fn a_missing_program_names_its_package() {
        assert_eq!(packages(&TOOLS[..2]), ["nftables", "iproute2"]);
    }

    #[test]
    fn no_install_is_an_obstacle_for_everyone() {
        assert!(obstacle(false).is_some());
    }

    #[test]
    fn apt_is_never_asked_questions() {
        let command = install_command(&["nftables"]);
        assert_eq!(crate::workspace::shown(&command), "apt-get install --quiet --yes --no-install-recommends nftables");
    }
}
