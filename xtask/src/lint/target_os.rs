//! Invariant 5: only the crates at the edge, and the composition root, know which system they run on.

use super::source::{Source, line_of, words};
use super::{Finding, is_under};

const ALLOWED: &[&str] = &[
    "crates/host/",
    "crates/netlink/",
    "crates/hcs/",
    "crates/pontoon/src/lib.rs",
    "crates/pontoon/src/open.rs",
    // For development only: its namespaces are Linux's.
    "crates/testkit/",
];

/// Checks what is not a test: a test may say that it needs Linux.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    if is_under(&source.path, ALLOWED) {
        return Vec::new();
    }
    let code = source.product();
    words(code, "cfg")
        .chain(words(code, "cfg_attr"))
        .filter(|&at| asks_for_system(&code[at..]))
        .map(|at| {
            let message = "the operating system is chosen in host, netlink, hcs and pontoon's lib.rs and open.rs only";
            Finding::new("target_os", &source.path, line_of(code, at), message)
        })
        .collect()
}

/// Whether the text begins with a condition on the system: `cfg(all(unix, ...))`, `cfg!(target_os = ...)`.
fn asks_for_system(code: &str) -> bool {
    let after = code.trim_start_matches("cfg_attr").trim_start_matches("cfg");
    if !after.trim_start_matches('!').starts_with('(') {
        return false;
    }
    let mut depth = 0_usize;
    let end = code.find(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (c == ')' && depth == 0) || c == ';' || c == '{'
    });
    let condition = &code[..end.unwrap_or(code.len())];
    ["target_os", "target_family", "unix", "windows"].iter().any(|name| words(condition, name).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::super::tests::messages;
    use super::*;

    fn check(path: &str, text: &str, count: usize) {
        assert_eq!(messages(source, path, text).len(), count, "{path}: {text}");
    }

    #[test]
    fn conditions_are_found() {
        let other = "crates/core/src/a.rs";
        check(other, "#[cfg(target_os = \"linux\")]\nfn f() {}", 1);
        check(other, "#[cfg(not(all(debug_assertions, unix)))]\nfn f() {}", 1);
        check(other, "if cfg!(windows) {}", 1);
        check(other, "#[cfg_attr(target_family = \"unix\", derive(Debug))] struct A;", 1);
        check("crates/host/src/a.rs", "#[cfg(unix)] fn f() {}", 0);
        check("crates/pontoon/src/open.rs", "#[cfg(unix)] fn f() {}", 0);
        check("crates/pontoon/src/opener.rs", "#[cfg(unix)] fn f() {}", 1);
    }

    #[test]
    fn other_conditions_are_free() {
        check("crates/core/src/a.rs", "#[cfg(feature = \"unix\")]\nfn f() { windows() }", 0);
        check("crates/core/src/a.rs", "let cfg = unix(); use std::os::unix;", 0);
    }
}
