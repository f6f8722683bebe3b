//! Holds `docs/seeds.md` against the list of the seed documents' exported names, and against our sources.

mod documents;

use std::collections::BTreeMap;

use documents::{Row, Source, has_word, names, read, rows, sources};

const DOCUMENT: &str = "docs/seeds.md";

/// The document's headings for the sections of the list.
const SECTIONS: &[(&str, &str)] =
    &[("example", "The example"), ("controller", "Controller"), ("bridge", "Bridge driver")];

fn table() -> Vec<Row> {
    rows(&read(DOCUMENT))
}

#[test]
fn every_exported_name_has_exactly_one_row() {
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in table() {
        for name in row.code(0) {
            *found.entry((row.heading.clone(), name.to_owned())).or_default() += 1;
        }
    }
    let mut wrong = Vec::new();
    for (section, name) in names(include_str!("data/seed-names.txt")) {
        let (_, heading) = SECTIONS.iter().find(|(short, _)| *short == section).expect("a known section");
        match found.get(&((*heading).to_owned(), name.clone())) {
            Some(1) => {}
            count => wrong.push(format!("{heading}: {name} has {} rows", count.unwrap_or(&0))),
        }
    }
    assert!(wrong.is_empty(), "{DOCUMENT}:\n{}", wrong.join("\n"));
}

#[test]
fn every_row_names_an_item_or_says_why_there_is_none() {
    let silent: Vec<String> = table()
        .iter()
        .filter(|row| row.heading != "Spans" && row.code(1).is_empty() && row.cells.get(2).is_none_or(String::is_empty))
        .map(|row| row.cells.join(" | "))
        .collect();
    assert!(silent.is_empty(), "{DOCUMENT}: neither an item nor a reason:\n{}", silent.join("\n"));
}

#[test]
fn every_item_exists() {
    let sources = sources(|path| path.contains("/src/"));
    let missing: Vec<String> = table()
        .iter()
        .filter(|row| row.heading != "Spans")
        .flat_map(|row| [row.code(1), row.code(2)].concat())
        .filter(|item| item.starts_with("pontoon") && item.contains("::"))
        .filter(|item| !exists(item, &sources))
        .map(str::to_owned)
        .collect();
    assert!(missing.is_empty(), "{DOCUMENT} names items that the sources do not have:\n{}", missing.join("\n"));
}

/// Whether the last part of a path is defined, for a member in a file that defines or implements its type.
fn exists(item: &str, sources: &[Source]) -> bool {
    let parts: Vec<&str> = item.split("::").collect();
    let name = parts[parts.len() - 1];
    let owner = parts.get(parts.len().wrapping_sub(2)).filter(|part| part.starts_with(char::is_uppercase));
    sources.iter().any(|source| match owner {
        None => defines(&source.text, name),
        Some(owner) => is_home(&source.text, aliased(owner)) && has_member(&source.text, name),
    })
}

/// The library calls the records by longer names, because its handles have theirs.
fn aliased(name: &str) -> &str {
    name.strip_suffix("Record").unwrap_or(name)
}

fn defines(text: &str, name: &str) -> bool {
    ["struct", "enum", "trait", "fn", "const", "type", "mod"]
        .iter()
        .any(|word| has_word(text, &format!("{word} {name}")))
}

fn is_home(text: &str, owner: &str) -> bool {
    defines(text, owner)
        || text.lines().any(|line| line.starts_with("impl") && has_word(line, owner))
        || text.contains(&format!("mod {owner}"))
}

/// A method, a field, a constant, or a variant.
fn has_member(text: &str, name: &str) -> bool {
    let is_variant = |line: &str| {
        let rest = line.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([',', '(']) || rest.starts_with(" {"))
    };
    defines(text, name)
        || text.lines().any(|line| line.trim_start().starts_with(&format!("pub {name}:")))
        || (name.starts_with(char::is_uppercase) && text.lines().any(is_variant))
}

#[test]
fn every_span_is_opened_with_its_attributes() {
    let sources = sources(|path| path.contains("/src/"));
    let mut wrong = Vec::new();
    for row in table().iter().filter(|row| row.heading == "Spans") {
        let name = row.code(0)[0];
        let quoted = format!("\"{name}\"");
        let opened = sources.iter().find_map(|source| source.text.split_once(&quoted));
        let Some((_, rest)) = opened else {
            wrong.push(format!("{name} is opened nowhere"));
            continue;
        };
        let fields = rest.split(';').next().unwrap_or_default();
        wrong.extend(
            row.code(1).iter().filter(|field| !has_word(fields, field)).map(|field| format!("{name} lacks {field}")),
        );
    }
    assert!(wrong.is_empty(), "{DOCUMENT}, spans:\n{}", wrong.join("\n"));
}
