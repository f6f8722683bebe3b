//! Holds `docs/behaviour.md` against the list of libnetwork's tests, and against ours.

mod documents;

use std::collections::BTreeMap;

use documents::{Row, Source, names, read, rows, sources};

const DOCUMENT: &str = "docs/behaviour.md";
/// The columns of its tables.
const NAME: usize = 0;
const STATUS: usize = 2;
const PROOF: usize = 3;

fn table() -> Vec<Row> {
    rows(&read(DOCUMENT)).into_iter().filter(|row| row.cells.len() > PROOF).collect()
}

#[test]
fn every_upstream_test_has_exactly_one_row() {
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in table() {
        for name in row.code(NAME) {
            *found.entry((row.heading.clone(), name.to_owned())).or_default() += 1;
        }
    }
    let mut wrong = Vec::new();
    for (section, name) in names(include_str!("data/core-tests.txt")) {
        match found.remove(&(section.clone(), name.clone())) {
            Some(1) => {}
            count => wrong.push(format!("{section}: {name} has {} rows", count.unwrap_or(0))),
        }
    }
    assert!(wrong.is_empty(), "{DOCUMENT}:\n{}", wrong.join("\n"));
}

#[test]
fn every_row_has_a_status_and_what_it_owes() {
    let mut wrong = Vec::new();
    for row in table() {
        let (name, status) = (&row.cells[NAME], row.cells[STATUS].as_str());
        let is_done = status == "as upstream" || status.starts_with("differs by design: ");
        if !is_done && !status.starts_with("comes with ") {
            wrong.push(format!("{name}: {status:?} is no status"));
        }
        if is_done && row.code(PROOF).is_empty() {
            wrong.push(format!("{name}: nothing proves it"));
        }
    }
    assert!(wrong.is_empty(), "{DOCUMENT}:\n{}", wrong.join("\n"));
}

#[test]
fn every_proof_is_a_test() {
    let sources = sources(|_| true);
    let missing: Vec<String> = table()
        .iter()
        .flat_map(|row| {
            row.code(PROOF).into_iter().map(|proof| (row.cells[NAME].clone(), proof.to_owned())).collect::<Vec<_>>()
        })
        .filter(|(_, proof)| !sources.iter().any(|source| is_test(source, proof)))
        .map(|(name, proof)| format!("{name}: there is no test {proof}"))
        .collect();
    assert!(missing.is_empty(), "{DOCUMENT}:\n{}", missing.join("\n"));
}

/// Whether a file of the crate that a path names has the test, in a module of that name.
fn is_test(source: &Source, proof: &str) -> bool {
    let mut parts: Vec<&str> = proof.split("::").collect();
    let (Some(name), folder) = (parts.pop(), parts.remove(0)) else { return false };
    let modules: Vec<&str> = source.path.split(['/', '.']).collect();
    let of_crate = source.path.starts_with(&format!("crates/{folder}/"));
    let in_module = parts.iter().all(|part| modules.contains(part) || source.text.contains(&format!("mod {part} {{")));
    of_crate && in_module && has_test(&source.text, name)
}

/// Whether a function of a name carries `#[test]`, with nothing but comments and attributes between.
fn has_test(text: &str, name: &str) -> bool {
    text.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let lines = text[..at].lines().rev().skip_while(|line| line.trim().is_empty());
        lines.take_while(|line| !line.trim().is_empty()).take(6).any(|line| line.trim() == "#[test]")
    })
}
