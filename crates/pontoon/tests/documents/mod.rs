//! Reading the project's documents and sources, for tests that hold the one against the other.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/pontoon is two below the root").to_owned()
}

/// Returns a file of the project, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A row of a table, with the heading it stands under and the names in backticks of each cell.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) heading: String,
    pub(crate) cells: Vec<String>,
}

impl Row {
    /// Returns the words in backticks of a cell.
    pub(crate) fn code(&self, cell: usize) -> Vec<&str> {
        self.cells.get(cell).map(|text| text.split('`').skip(1).step_by(2).collect()).unwrap_or_default()
    }
}

/// Returns the rows of all tables of a document, without their headers.
pub(crate) fn rows(text: &str) -> Vec<Row> {
    let mut heading = String::new();
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut heading);
        }
        let Some(line) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else { continue };
        if line.starts_with("---") {
            // What stood above was the header.
            rows.pop();
            continue;
        }
        let cells = line.split("| ").map(|cell| cell.trim().to_owned()).collect();
        rows.push(Row { heading: heading.clone(), cells });
    }
    rows
}

/// A list of names under `[section]` lines; `#` begins a comment.
pub(crate) fn names(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(title) => title.clone_into(&mut section),
            None => names.push((section.clone(), line.to_owned())),
        }
    }
    names
}

/// A source file: its path from the root, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Returns every Rust file below `crates` whose path `keep` accepts.
pub(crate) fn sources(keep: impl Fn(&str) -> bool) -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            if name.ends_with(".rs") && keep(&name) {
                files.push(Source { path: name, text: fs::read_to_string(&path).expect("a source file") });
            }
        }
    }
    files
}

/// Returns whether `text` has `word` with no letter, digit or underscore on either side.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
