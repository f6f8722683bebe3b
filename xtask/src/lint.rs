//! `cargo xtask lint`: the invariants of ARCHITECTURE.md, checked over the sources and `cargo metadata`.
//!
//! Each rule is one file and one pure function from text to findings, with a test of what it must find.

mod core_is_pure;
mod host_calls;
mod labels;
mod length;
mod links;
mod machine;
mod manifests;
mod namespaces;
mod printing;
mod source;
mod target_os;
mod unsafe_code;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::Outcome;
use crate::workspace::{Depth, Workspace};
use source::Source;

/// A rule that looks at one Rust file.
type SourceRule = fn(&Source) -> Vec<Finding>;

/// A rule that looks at the text of one file, whatever its kind.
type TextRule = fn(&str, &str) -> Vec<Finding>;

const SOURCE_RULES: &[SourceRule] = &[
    core_is_pure::source,
    namespaces::source,
    host_calls::source,
    labels::source,
    target_os::source,
    printing::source,
    length::source,
];

const TEXT_RULES: &[TextRule] = &[machine::text, manifests::text];

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    message: String,
    rule: &'static str,
    weight: Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Error,
    Warning,
}

impl Finding {
    fn new(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        let (path, message) = (path.to_owned(), message.into());
        Self { path, line, message, rule, weight: Weight::Error }
    }

    fn into_warning(self) -> Self {
        Self { weight: Weight::Warning, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Error => "",
            Weight::Warning => "warning: ",
        };
        write!(f, "{}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {weight}{} [{}]", self.message, self.rule)
    }
}

/// Checks every rule and prints every finding; warnings do not fail.
pub(crate) fn run() -> Outcome {
    let workspace = Workspace::load(Depth::Dependencies)?;
    let files = read(&workspace)?;
    let sources = sources(&files);

    let mut findings = Vec::new();
    for source in sources.values() {
        findings.extend(SOURCE_RULES.iter().flat_map(|rule| rule(source)));
    }
    for (path, text) in &files {
        findings.extend(TEXT_RULES.iter().flat_map(|rule| rule(path, text)));
    }
    findings.extend(links::all(&files));
    findings.extend(core_is_pure::dependencies(&workspace.metadata));
    findings.extend(unsafe_code::roots(&workspace, &sources));
    findings.sort();

    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    println!("lint: {} files, {errors} errors, {} warnings", files.len(), findings.len() - errors);
    match errors {
        0 => Ok(()),
        count => Err(format!("the architecture's rules are broken in {count} places")),
    }
}

/// Reads the project's text files; what is not UTF-8 is no text.
fn read(workspace: &Workspace) -> Outcome<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in workspace.files()? {
        let bytes = std::fs::read(workspace.root.join(&path)).map_err(|err| format!("cannot read {path}: {err}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.insert(path, text);
        }
    }
    Ok(files)
}

fn sources(files: &BTreeMap<String, String>) -> BTreeMap<String, Source> {
    let rust = || files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let tests: BTreeSet<String> = rust().flat_map(|(path, text)| source::test_modules(path, text)).collect();
    rust().map(|(path, text)| (path.clone(), Source::parse(path, text, source::is_test(path, &tests)))).collect()
}

/// Whether a path lies under one of the prefixes.
fn is_under(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a rule for a file of the product.
    pub(super) fn messages(rule: SourceRule, path: &str, text: &str) -> Vec<String> {
        let findings = rule(&Source::parse(path, text, false));
        findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    #[test]
    fn findings_read_like_compiler_messages() {
        let finding = Finding::new("labels", "a.rs", 3, "no");
        assert_eq!(finding.to_string(), "a.rs:3: no [labels]");
        let whole = Finding::new("labels", "a.rs", 0, "no").into_warning();
        assert_eq!(whole.to_string(), "a.rs: warning: no [labels]");
    }

    #[test]
    fn modules_for_tests_are_found_by_their_declaration() {
        let files = BTreeMap::from([
            ("crates/a/src/lib.rs".to_owned(), "#[cfg(test)]\nmod double;".to_owned()),
            ("crates/a/src/double.rs".to_owned(), "fn f() {}".to_owned()),
            ("crates/a/src/other.rs".to_owned(), "fn f() {}".to_owned()),
        ]);
        let sources = sources(&files);
        assert_eq!(sources["crates/a/src/double.rs"].product().trim(), "");
        assert_eq!(sources["crates/a/src/other.rs"].product(), "fn f() {}");
    }
}
