//! Libraries do not print: they return text or log it, and the program decides where it goes.

use super::source::{Source, line_of, words};
use super::{Finding, is_under};

/// The programs, and what only tests use.
const ALLOWED: &[&str] = &["crates/cli/", "crates/testkit/", "crates/bench/", "xtask/"];

const MACROS: &[&str] = &["print!", "println!", "eprint!", "eprintln!"];

/// Checks the libraries' sources, without tests and examples.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    if is_under(&source.path, ALLOWED) || source.path.contains("examples/") {
        return Vec::new();
    }
    let code = source.product();
    let calls = MACROS.iter().flat_map(|name| words(code, name).map(move |at| (at, name)));
    calls
        .map(|(at, name)| {
            let message = format!("a library does not print, found {name}: return the text, or use tracing");
            Finding::new("printing", &source.path, line_of(code, at), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::messages;
    use super::*;

    #[test]
    fn printing_is_found_in_libraries() {
        let text = "fn f() {\n    println!(\"a\");\n    eprint!(\"b\");\n}";
        assert_eq!(messages(source, "crates/host/src/a.rs", text).len(), 2);
        assert!(messages(source, "crates/cli/src/a.rs", text).is_empty());
        assert!(messages(source, "crates/pontoon/examples/controller.rs", text).is_empty());
        let test = format!("#[cfg(test)] mod tests {{ {text} }}");
        assert!(messages(source, "crates/host/src/a.rs", &test).is_empty());
    }
}
