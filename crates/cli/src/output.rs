//! Results: aligned columns for people, one JSON document for programs.

use anstream::println;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Between two columns.
const GAP: u16 = 3;

/// Prints rows under headings, as wide as their content.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    for line in table.lines() {
        println!("{}", line.trim_end());
    }
}

/// Prints a document.
pub(crate) fn json(document: &impl Serialize) {
    let text = serde_json::to_string_pretty(document).expect("documents have text keys and no failing parts");
    println!("{text}");
}

/// Prints one line.
pub(crate) fn line(text: impl std::fmt::Display) {
    println!("{text}");
}

/// Shortens an id for a column.
pub(crate) fn short(id: &str, whole: bool) -> String {
    if whole { id.to_owned() } else { id.chars().take(12).collect() }
}
