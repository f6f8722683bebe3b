//! Links between documents lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::source::line_of;

const RULE: &str = "links";

/// Checks the relative links of every Markdown file: the file, and the heading where one is named.
pub(super) fn all(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let documents = files.iter().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| document(path, text, files)).collect()
}

fn document(path: &str, text: &str, files: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let prose = without_code(text);
    for (at, target) in targets(&prose) {
        let mut broken = |message| findings.push(Finding::new(RULE, path, line_of(&prose, at), message));
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
        if !exists(&file, files) {
            broken(format!("the link to {target} leads nowhere: there is no {file}"));
        } else if let Some(text) = files.get(&file)
            && !heading.is_empty()
            && file.ends_with(".md")
            && !headings(text).contains(heading)
        {
            broken(format!("the link to {target} leads nowhere: {file} has no such heading"));
        }
    }
    findings
}

/// Whether a path is a file of the project, or a directory with one.
fn exists(path: &str, files: &BTreeMap<String, String>) -> bool {
    path.is_empty() || files.contains_key(path) || files.keys().any(|file| file.starts_with(&format!("{path}/")))
}

/// Returns the targets of `[text](target)` and `[label]: target` that are not elsewhere on the net.
fn targets(prose: &str) -> Vec<(usize, &str)> {
    let inline = prose.match_indices("](").map(|(at, _)| (at, &prose[at + 2..], ')'));
    let labelled = prose
        .match_indices("]: ")
        .filter(|(at, _)| prose[..*at].rsplit('\n').next().is_some_and(|line| line.starts_with('[')))
        .map(|(at, _)| (at, &prose[at + 3..], '\n'));
    inline
        .chain(labelled)
        .map(|(at, rest, end)| (at, rest.split([end, ' ', '\n']).next().unwrap_or(rest)))
        .filter(|(_, target)| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// Blanks fenced blocks and code spans: what stands there is no link.
fn without_code(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut fenced = false;
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence {
            fenced = !fenced;
        }
        let mut span = false;
        for c in line.chars() {
            if c == '`' {
                span = !span;
            }
            prose.push(if c != '\n' && (fenced || is_fence || span) { ' ' } else { c });
        }
    }
    prose
}

/// Returns the anchors that a forge makes of the headings.
fn headings(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced && line.starts_with('#') {
            anchors.insert(anchor(line.trim_start_matches('#').trim()));
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// Resolves a target against the document that names it, both relative to the root.
fn resolve(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, count: usize) {
        let files = BTreeMap::from([
            ("docs/a.md".to_owned(), text.to_owned()),
            ("docs/b.md".to_owned(), "# What `it` is\n".to_owned()),
            ("LICENSE".to_owned(), String::new()),
        ]);
        assert_eq!(all(&files).len(), count, "{text}");
    }

    #[test]
    fn broken_links_are_found() {
        check("[b](b.md) [b](./b.md#what-it-is) [l](../LICENSE) [d](../docs) [here](#top)\n# Top", 0);
        check("[c](c.md)", 1);
        check("[b](b.md#nothing)", 1);
        check("[here](#nothing)", 1);
        check("[b]: c.md\n", 1);
        check("[b]: b.md\n", 0);
    }

    #[test]
    fn code_and_the_net_are_free() {
        check("`[a](c.md)` [x](https://example.org/c.md)\n```\n[a](c.md)\n```\n", 0);
    }
}
