//! Results: aligned columns for people, one JSON document for programs.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Format;

/// Between two columns.
const GAP: u16 = 3;

/// Prints rows under headings, as wide as their content.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    table.lines().for_each(|text| line(text.trim_end()));
}

/// Prints a document.
pub(crate) fn json(document: &impl Serialize) {
    let text = serde_json::to_string_pretty(document).expect("documents have text keys and no failing parts");
    line(text);
}

/// What a command created.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: &'a str,
}

/// Prints the id of what was created; a document has its name too.
pub(crate) fn created(format: Format, id: impl std::fmt::Display, name: &str) {
    match format {
        Format::Table => line(id),
        Format::Json => json(&Created { id: id.to_string(), name }),
    }
}

/// Prints one line.
pub(crate) fn line(text: impl std::fmt::Display) {
    // Who reads may have seen enough, as in `pontoon network ls | head -1`: that is no failure.
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    // See above.
    let _ = io::stdout().write_all(bytes);
}

/// Shortens an id for a column.
pub(crate) fn short(id: &str, whole: bool) -> String {
    if whole { id.to_owned() } else { id.chars().take(12).collect() }
}
