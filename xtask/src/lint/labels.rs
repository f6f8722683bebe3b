//! Invariant 4: label strings occur only where options are parsed.

use super::Finding;
use super::source::{Source, line_of};

const PREFIX: &str = concat!("com.docker", ".network");

/// The files that parse: `options.rs` and `labels.rs` of a driver or front end, and the specs.
const PARSERS: &[&str] = &["options.rs", "labels.rs", "spec.rs"];

/// Checks literals of what is not a test; comments may speak of labels.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let is_parser = PARSERS.contains(&name)
        || ["options", "labels", "spec"].iter().any(|folder| source.path.contains(&format!("/{folder}/")));
    if is_parser {
        return Vec::new();
    }
    let text = source.product_text();
    text.match_indices(PREFIX)
        .map(|(at, _)| {
            let message = format!("labels such as {PREFIX}.* belong where options are parsed ({})", PARSERS.join(", "));
            Finding::new("labels", &source.path, line_of(text, at), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::messages;
    use super::*;

    #[test]
    fn labels_are_found_outside_parsers() {
        let text = format!("fn f() {{}}\nconst A: &str = \"{PREFIX}.bridge.name\";");
        assert_eq!(messages(source, "crates/core/src/drivers/bridge/links.rs", &text).len(), 1);
        assert!(messages(source, "crates/core/src/drivers/bridge/options.rs", &text).is_empty());
        assert!(messages(source, "crates/core/src/model/spec/network.rs", &text).is_empty());
    }

    #[test]
    fn documentation_and_tests_may_name_them() {
        let text = format!("//! {PREFIX}.x\n#[cfg(test)] mod tests {{ const A: &str = \"{PREFIX}.x\"; }}");
        assert!(messages(source, "crates/core/src/a.rs", &text).is_empty());
    }
}
