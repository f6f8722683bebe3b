//! Holds `docs/behaviour.md` and the documents that belong to it against the lists of what they must tell, and against our tests.

mod documents;

use std::collections::BTreeMap;

use documents::{Row, Source, names, read, rows, sources};

/// A document, and what it must have a row for: the heading it stands under, and the first cell.
struct Document {
    path: &'static str,
    list: &'static str,
    /// The column of states, unless everything in the document is done.
    status: Option<usize>,
    /// The column of proofs, the last.
    proof: usize,
}

const DOCUMENTS: [Document; 4] = [
    Document { path: "docs/behaviour.md", list: include_str!("data/core-tests.txt"), status: Some(2), proof: 3 },
    Document {
        path: "docs/behaviour/sandboxes.md",
        list: include_str!("data/sandboxes.txt"),
        status: Some(2),
        proof: 3,
    },
    Document { path: "docs/behaviour/names.md", list: include_str!("data/names.txt"), status: Some(2), proof: 3 },
    Document { path: "docs/behaviour/bad-input.md", list: include_str!("data/bad-input.txt"), status: None, proof: 2 },
];
/// The column of what a row is about.
const NAME: usize = 0;
/// The list of differences has a form of its own.
const DIFFERENCES: &str = "Differences by design";

impl Document {
    fn rows(&self) -> Vec<Row> {
        let rows = rows(&read(self.path)).into_iter().filter(|row| row.heading != DIFFERENCES);
        rows.inspect(|row| assert_eq!(row.cells.len(), self.proof + 1, "{}: {row:?}", self.path)).collect()
    }
}

/// Returns the names of upstream's tests in a row, or what it is about.
fn subjects(row: &Row) -> Vec<&str> {
    let names = row.code(NAME);
    if names.is_empty() { vec![&row.cells[NAME]] } else { names }
}

#[test]
fn everything_has_exactly_one_row() {
    let mut wrong = Vec::new();
    for document in &DOCUMENTS {
        let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
        for row in document.rows() {
            for subject in subjects(&row) {
                *found.entry((row.heading.clone(), subject.to_owned())).or_default() += 1;
            }
        }
        for (section, name) in names(document.list) {
            match found.remove(&(section.clone(), name.clone())) {
                Some(1) => {}
                count => wrong.push(format!("{}: {section}: {name} has {} rows", document.path, count.unwrap_or(0))),
            }
        }
        let unknown = found.keys().map(|(section, name)| format!("{}: {section}: {name} is in no list", document.path));
        wrong.extend(unknown);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_has_a_status_and_what_it_owes() {
    let mut wrong = Vec::new();
    for document in &DOCUMENTS {
        for row in document.rows() {
            let name = &row.cells[NAME];
            let status = document.status.map_or("as upstream", |column| row.cells[column].as_str());
            let is_done = status == "as upstream" || status.starts_with("differs by design: ");
            if !is_done && !status.starts_with("comes with ") {
                wrong.push(format!("{}: {name}: {status:?} is no status", document.path));
            }
            if is_done && row.code(document.proof).is_empty() {
                wrong.push(format!("{}: {name}: nothing proves it", document.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_proof_is_a_test() {
    let sources = sources(|_| true);
    let mut missing = Vec::new();
    for document in &DOCUMENTS {
        for row in document.rows() {
            let proofs = row.code(document.proof).into_iter();
            let absent = proofs.filter(|proof| !sources.iter().any(|source| is_test(source, proof)));
            missing.extend(
                absent.map(|proof| format!("{}: {}: there is no test {proof}", document.path, row.cells[NAME])),
            );
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
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
