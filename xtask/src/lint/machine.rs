//! Nothing in the project knows the machine that it was written on.

use super::Finding;
use super::source::line_of;

const RULE: &str = "machine";

/// Directories of a developer's machine. Written in parts, because this file is checked too.
const DIRECTORIES: &[&str] = &[concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/tmp/", "target")];

/// Settings that send cargo to another registry than everybody's.
const SETTINGS: &[&str] = &[concat!("replace", "-with"), concat!("CARGO_", "REGISTRIES_")];

const SCHEMES: &[&str] = &[concat!("regis", "try+"), concat!("spar", "se+")];
const REGISTRY: &[&str] = &["https://github.com/rust-lang/crates.io-index", "https://index.crates.io/"];

/// Checks a file of any kind.
pub(super) fn text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |at, message| findings.push(Finding::new(RULE, path, line_of(text, at), message));
    for directory in DIRECTORIES {
        for (at, _) in text.match_indices(directory).filter(|(at, _)| begins_path(text, *at)) {
            find(at, format!("{directory} is a path of one machine: use a relative one"));
        }
    }
    for setting in SETTINGS {
        for (at, _) in text.match_indices(setting) {
            find(at, format!("{setting} belongs in a machine's own configuration"));
        }
    }
    for scheme in SCHEMES {
        for (at, _) in text.match_indices(scheme) {
            let host = &text[at + scheme.len()..];
            if host.starts_with("http") && !REGISTRY.iter().any(|registry| host.starts_with(registry)) {
                find(at, "packages come from crates.io, under its own address".to_owned());
            }
        }
    }
    findings
}

/// Whether a slash is the first of its path: that of `/a/b` is, those of `https://x/a/b` and `../a/b` are not.
fn begins_path(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | '>' | ']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, count: usize) {
        assert_eq!(text("a.md", content).len(), count, "{content}");
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for directory in DIRECTORIES {
            check(&format!("see {directory}x"), 1);
            check(&format!("\"{directory}x\""), 1);
            check(&format!("..{directory}x, https://example.org{directory}x"), 0);
        }
    }

    #[test]
    fn other_registries_are_found() {
        for scheme in SCHEMES {
            check(&format!("source = \"{scheme}https://github.com/rust-lang/crates.io-index\""), 0);
            check(&format!("source = \"{scheme}https://mirror.example/index\""), 1);
        }
        check(&format!("{} = \"mirror\"", SETTINGS[0]), 1);
        check(&format!("{}MIRROR_INDEX=x", SETTINGS[1]), 1);
    }
}
