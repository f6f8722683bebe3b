//! Long files are named, so that somebody looks for the missing type. They are no error.

use super::Finding;
use super::source::Source;

const LINES: usize = 700;

/// Warns of a file over the limit.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    let lines = source.raw().lines().count();
    let finding = || {
        let message = format!("{lines} lines, more than {LINES}: is there a type missing?");
        Finding::new("length", &source.path, 0, message).into_warning()
    };
    if lines > LINES { vec![finding()] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::Weight;
    use super::*;

    #[test]
    fn long_files_are_warned_of() {
        let findings = |lines| source(&Source::parse("a.rs", &"\n".repeat(lines), false));
        assert!(findings(LINES).is_empty());
        assert_eq!(findings(LINES + 1)[0].weight, Weight::Warning);
    }
}
