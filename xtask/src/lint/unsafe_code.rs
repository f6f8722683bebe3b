//! Invariant: unsafe code lives in netlink and host only, each piece with its reason.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Finding;
use super::source::Source;
use crate::workspace::Workspace;

const RULE: &str = "unsafe code";
const FORBID: &str = "#![forbid(unsafe_code)]";

/// The packages that speak to the kernel in its own terms, and the one that measures doing so.
const EXEMPT: &[&str] = &["pontoon-netlink", "pontoon-host", "pontoon-bench"];

/// Checks the root of every library, program and example of the workspace.
pub(super) fn roots(workspace: &Workspace, sources: &BTreeMap<String, Source>) -> Vec<Finding> {
    let root = format!("{}/", workspace.root.display());
    let mut findings = Vec::new();
    for (package, path) in crate_roots(&workspace.metadata) {
        let path = path.strip_prefix(&root).unwrap_or(path);
        match sources.get(path) {
            Some(source) => findings.extend(check(package, source)),
            None => {
                findings.push(Finding::new(RULE, path, 0, "cargo builds this file, but it is not part of the project"))
            }
        }
    }
    findings
}

fn check(package: &str, source: &Source) -> Option<Finding> {
    let is_safe = source.code().contains(FORBID) || EXEMPT.contains(&package);
    (!is_safe).then(|| Finding::new(RULE, &source.path, 1, format!("a crate root needs {FORBID}")))
}

fn crate_roots(metadata: &Value) -> Vec<(&str, &str)> {
    let mut roots = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        // What has a source comes from elsewhere.
        if !package["source"].is_null() {
            continue;
        }
        for target in package["targets"].as_array().into_iter().flatten() {
            let is_root = |kind: &Value| matches!(kind.as_str(), Some("lib" | "bin" | "example" | "proc-macro"));
            if target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(is_root)) {
                roots.extend(package["name"].as_str().zip(target["src_path"].as_str()));
            }
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_root_without_the_attribute_is_found() {
        let source = |text| Source::parse("crates/a/src/lib.rs", text, false);
        assert!(check("a", &source("//! Text.\n#![forbid(unsafe_code)]")).is_none());
        assert!(check("a", &source("//! #![forbid(unsafe_code)]\nfn f() {}")).is_some());
        assert!(check("pontoon-host", &source("fn f() {}")).is_none());
    }

    #[test]
    fn roots_are_the_workspace_s_own() {
        let metadata = json!({"packages": [
            {"name": "a", "source": null, "targets": [
                {"kind": ["lib"], "src_path": "/p/a.rs"}, {"kind": ["test"], "src_path": "/p/t.rs"},
            ]},
            {"name": "b", "source": "registry", "targets": [{"kind": ["lib"], "src_path": "/q/b.rs"}]},
        ]});
        assert_eq!(crate_roots(&metadata), [("a", "/p/a.rs")]);
    }
}
