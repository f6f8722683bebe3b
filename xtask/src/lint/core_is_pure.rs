//! Invariant 1: `core` does no I/O, reads no clock and starts no threads; nor does anything that it depends on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;
use super::source::{Source, imports, line_of, words};

const RULE: &str = "core is pure";
const PACKAGE: &str = "pontoon-core";

/// What the package may depend on by itself. A new entry means: somebody has read that it does no I/O.
const DIRECT: &[&str] =
    &["arc-swap", "imbl", "ipnet", "prefix-trie", "serde", "serde_json", "sha2", "thiserror", "tracing"];

/// What must not come in by way of those either; a dash at the end means the whole family.
const FORBIDDEN: &[&str] = &[
    "async-",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "netlink-",
    "nix",
    "pontoon-",
    "redb",
    "rustix",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "windows-",
];

/// Ways to something forbidden that are harmless.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Only to ask for the processor's features, on targets where an instruction cannot tell.
    ("cpufeatures", "libc"),
];

/// What the sources must not name, and what to do instead.
const NAMES: &[(&str, &str)] = &[
    ("std::env", "take the value as an argument"),
    ("std::fs", "describe the file as an object"),
    ("std::io::stderr", "return the text"),
    ("std::io::stdin", "take the text as an argument"),
    ("std::io::stdout", "return the text"),
    ("std::net::TcpListener", "describe the socket as an object"),
    ("std::net::TcpStream", "describe the socket as an object"),
    ("std::net::ToSocketAddrs", "parse the address; names are not resolved here"),
    ("std::net::UdpSocket", "describe the socket as an object"),
    ("std::os", "keep the operating system's types in host"),
    ("std::process", "describe the effect as an object"),
    ("thread::spawn", "let the caller bring the thread"),
    ("thread::sleep", "wait on a condition, to a deadline"),
    ("Instant::now", "take the time as an argument"),
    ("SystemTime::now", "take the time as an argument"),
    (".elapsed()", "take the time as an argument"),
];

/// Checks the sources of the package, without their tests.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/core/src/") {
        return Vec::new();
    }
    let product = source.product();
    let mut found = BTreeSet::new();
    for (name, instead) in NAMES {
        found.extend(words(product, name).map(|at| (line_of(product, at), *name, *instead)));
        for (line, import) in imports(product) {
            if reaches(&import, name) {
                found.insert((line, name, instead));
            }
        }
    }
    found
        .into_iter()
        .map(|(line, name, instead)| {
            Finding::new(RULE, &source.path, line, format!("core does no I/O and must not use {name}: {instead}"))
        })
        .collect()
}

/// Whether an import gives access to a name: the name, something in it, or everything around it.
fn reaches(import: &str, name: &str) -> bool {
    let import = import.trim_start_matches("::").trim_end_matches("::self");
    match import.strip_suffix("::*") {
        Some(module) => module == name || name.rsplit_once("::").is_some_and(|(around, _)| around == module),
        None => import == name || import.strip_prefix(name).is_some_and(|rest| rest.starts_with("::")),
    }
}

/// Checks what the package depends on, on every target. What runs at build time only, macros included, is not looked into.
pub(super) fn dependencies(metadata: &Value) -> Vec<Finding> {
    let graph = Graph::read(metadata);
    let Some(core) = graph.names.iter().find(|(_, name)| **name == PACKAGE).map(|(id, _)| *id) else {
        return vec![Finding::new(RULE, "Cargo.toml", 0, format!("cargo metadata knows no package {PACKAGE}"))];
    };
    let mut findings = Vec::new();
    for dependency in graph.edges(core) {
        let name = graph.names[dependency];
        if !DIRECT.contains(&name) {
            findings.push(manifest_finding(format!(
                "core must not depend on {name}: it is not on the list of those known to do no I/O"
            )));
        }
    }
    let mut seen = BTreeSet::from([core]);
    let mut paths = vec![vec![core]];
    while let Some(path) = paths.pop() {
        let from = path[path.len() - 1];
        for &to in graph.edges(from) {
            let path: Vec<&str> = path.iter().copied().chain([to]).collect();
            if EXCEPTIONS.contains(&(graph.names[from], graph.names[to])) {
                continue;
            }
            if is_forbidden(graph.names[to]) {
                let way: Vec<&str> = path.iter().map(|id| graph.names[id]).collect();
                findings.push(manifest_finding(format!("core reaches a crate that does I/O: {}", way.join(" → "))));
            } else if seen.insert(to) {
                paths.push(path);
            }
        }
    }
    findings
}

fn manifest_finding(message: String) -> Finding {
    Finding::new(RULE, "crates/core/Cargo.toml", 0, message)
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.iter().any(|&entry| name == entry || (entry.ends_with('-') && name.starts_with(entry)))
}

/// The dependencies of the code itself: no macros, nothing for building or testing.
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    edges: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn read(metadata: &'a Value) -> Self {
        let mut names = BTreeMap::new();
        let mut macros = BTreeSet::new();
        for package in list(&metadata["packages"]) {
            let id = text(&package["id"]);
            names.insert(id, text(&package["name"]));
            if list(&package["targets"]).any(|target| list(&target["kind"]).any(|kind| kind == "proc-macro")) {
                macros.insert(id);
            }
        }
        let mut edges = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let needed = list(&node["deps"])
                .filter(|dependency| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()))
                .map(|dependency| text(&dependency["pkg"]))
                .filter(|id| !macros.contains(id) && names.contains_key(id));
            edges.insert(text(&node["id"]), needed.collect());
        }
        Self { names, edges }
    }

    fn edges(&self, id: &str) -> &[&'a str] {
        self.edges.get(id).map_or(&[], Vec::as_slice)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::messages;
    use super::*;

    fn check(text: &str, count: usize) {
        assert_eq!(messages(source, "crates/core/src/a.rs", text).len(), count, "{text}");
        assert!(messages(source, "crates/host/src/a.rs", text).is_empty());
    }

    #[test]
    fn effects_are_found_however_they_are_named() {
        check("use std::fs;", 1);
        check("use std::{collections::BTreeMap, fs::File};", 1);
        check("use std::net::{IpAddr, TcpStream as S};", 1);
        check("use std::process::*;", 1);
        check("use std::net::*;", 4);
        check("use std::process::{self};", 1);
        check("let f = std::fs::read(path);", 1);
        check("let now = Instant::now();", 1);
        check("let now = std::time::SystemTime::now();", 1);
        check("thread::spawn(f);", 1);
        check("let d = start.elapsed();", 1);
    }

    #[test]
    fn values_tests_and_comments_are_free() {
        check("use std::net::{IpAddr, SocketAddr};\nuse std::time::Instant;\nuse std::collections::*;", 0);
        check("// std::fs\nconst A: &str = \"std::fs\";", 0);
        check("#[cfg(test)]\nmod tests { use std::fs; }", 0);
        check("use std::fsx; env!(\"A\");", 0);
    }

    fn graph(direct: &[(&str, Value)], of_sha2: &[(&str, Value)]) -> Vec<String> {
        let package = |name: &str, kind: &str| json!({"id": name, "name": name, "targets": [{"kind": [kind]}]});
        let deps = |list: &[(&str, Value)]| -> Vec<Value> {
            list.iter().map(|(name, kind)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]})).collect()
        };
        let metadata = json!({
            "packages": [
                package(PACKAGE, "lib"), package("sha2", "lib"), package("cpufeatures", "lib"), package("libc", "lib"),
                package("tokio", "lib"), package("netlink-sys", "lib"), package("odd", "lib"), package("mio", "proc-macro"),
            ],
            "resolve": {"nodes": [
                {"id": PACKAGE, "deps": deps(direct)},
                {"id": "sha2", "deps": deps(of_sha2)},
                {"id": "cpufeatures", "deps": deps(&[("libc", Value::Null)])},
            ]},
        });
        dependencies(&metadata).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn the_tree_is_searched_for_effects() {
        let normal = Value::Null;
        assert_eq!(graph(&[("sha2", normal.clone())], &[("cpufeatures", normal.clone())]), [""; 0]);
        assert_eq!(
            graph(&[("sha2", normal.clone())], &[("netlink-sys", normal.clone())]),
            ["core reaches a crate that does I/O: pontoon-core → sha2 → netlink-sys"]
        );
        assert_eq!(graph(&[("tokio", normal.clone())], &[]).len(), 2);
        assert_eq!(graph(&[("odd", normal)], &[]).len(), 1);
    }

    #[test]
    fn tests_builds_and_macros_may_do_more() {
        assert_eq!(graph(&[("tokio", json!("dev"))], &[]), [""; 0]);
        assert_eq!(graph(&[("sha2", Value::Null)], &[("mio", Value::Null), ("libc", json!("build"))]), [""; 0]);
    }

    #[test]
    fn a_missing_package_is_no_pass() {
        assert_eq!(dependencies(&json!({"packages": []})).len(), 1);
    }
}
