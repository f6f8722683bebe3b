//! Every dependency is in the workspace's manifest, under a comment that says what it is for.

use super::Finding;

const RULE: &str = "dependencies";
/// The section of a workspace that its members take their dependencies from.
const SHARED: &str = "workspace.dependencies";

/// Checks a `Cargo.toml`.
pub(super) fn text(path: &str, text: &str) -> Vec<Finding> {
    match path {
        "Cargo.toml" => workspace(path, text),
        // A member may be a workspace of its own, as a fuzzer is that instruments all that it builds.
        _ if path.ends_with("/Cargo.toml") => [member(path, text), workspace(path, text)].concat(),
        _ => Vec::new(),
    }
}

/// One comment may stand over several lines that belong together; a blank line ends its reach.
fn workspace(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut commented = false;
    for (number, line) in section_lines(text, |section| section == SHARED) {
        if line.is_empty() {
            commented = false;
        } else if line.starts_with('#') {
            commented = true;
        } else if let Some((name, value)) = line.split_once('=') {
            // Our own crates say what they are for themselves.
            if !commented && !value.contains("path") {
                let message = format!("{} needs a comment above it that says what it is for", name.trim());
                findings.push(Finding::new(RULE, path, number, message));
            }
        }
    }
    findings
}

fn member(path: &str, text: &str) -> Vec<Finding> {
    let is_dependencies = |section: &str| section.ends_with("dependencies") && section != SHARED;
    section_lines(text, is_dependencies)
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|(number, line)| line.split_once('=').map(|(name, value)| (number, name.trim(), value)))
        .filter(|(_, name, value)| !name.ends_with(".workspace") && !value.contains("workspace = true"))
        .map(|(number, name, _)| {
            let message = format!("{name} belongs in the workspace's dependencies; here `{name}.workspace = true`");
            Finding::new(RULE, path, number, message)
        })
        .collect()
}

/// Returns the lines of the sections that are wanted, trimmed and numbered from 1.
fn section_lines(text: &str, wanted: fn(&str) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().map(str::trim).zip(1..).filter_map(move |(line, number)| {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = wanted(section);
            return None;
        }
        inside.then_some((number, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, content: &str, expected: &[&str]) {
        let messages: Vec<String> =
            text(path, content).into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect();
        assert_eq!(messages, expected, "{content}");
    }

    #[test]
    fn a_dependency_without_its_sentence_is_found() {
        let bare = "[workspace.dependencies]\na = \"1\"\n";
        check("Cargo.toml", bare, &["2: a needs a comment above it that says what it is for"]);
        check("Cargo.toml", "[workspace.dependencies]\n# For b.\na = \"1\"\nb = \"1\"\n\nc = { path = \"c\" }\n", &[]);
        check(
            "Cargo.toml",
            "[workspace.dependencies]\n# For a.\na = \"1\"\n\nb = \"1\"\n[profile.dev]\nc = 1\n",
            &["5: b needs a comment above it that says what it is for"],
        );
    }

    #[test]
    fn a_member_brings_nothing_of_its_own() {
        let good =
            "[package]\nname = \"a\"\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [] }\n";
        check("crates/a/Cargo.toml", good, &[]);
        let bad = "[target.'cfg(unix)'.dev-dependencies]\na = \"1\"\n";
        let own = "[dependencies]\na.workspace = true\n[workspace]\n[workspace.dependencies]\n# For a.\na = \"1\"\n\nb = \"1\"\n";
        check("crates/a/fuzz/Cargo.toml", own, &["8: b needs a comment above it that says what it is for"]);
        check("crates/a/Cargo.toml", bad, &["2: a belongs in the workspace's dependencies; here `a.workspace = true`"]);
    }
}
