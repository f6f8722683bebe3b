//! Kernel features that tests found missing, against those that may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

use crate::Outcome;

/// The features that `tests/expected-missing.txt` lists, each with its reason.
#[derive(Debug, Default)]
pub(super) struct Expected {
    reasons: BTreeMap<String, String>,
}

impl Expected {
    /// Reads the list.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(path).map_err(|err| format!("cannot read {}: {err}", path.display()))?;
        Self::parse(&text).map_err(|message| format!("{}: {message}", path.display()))
    }

    fn parse(text: &str) -> Outcome<Self> {
        let mut reasons = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (feature, reason) =
                line.split_once(char::is_whitespace).ok_or(format!("line {}: '{line}' gives no reason", index + 1))?;
            reasons.insert(feature.to_owned(), reason.trim().to_owned());
        }
        Ok(Self { reasons })
    }
}

/// The features that tests reported, each with the tests that could not run without it.
#[derive(Debug, Default)]
pub(super) struct Missing {
    tests: BTreeMap<String, BTreeSet<String>>,
}

impl Missing {
    /// Reads what the tests appended, one `MISSING <feature> <test>` a line. No file means nothing was missing.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(err) => Err(format!("cannot read {}: {err}", path.display())),
        }
    }

    fn parse(text: &str) -> Outcome<Self> {
        let mut missing = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (feature, test) = line
                .strip_prefix("MISSING ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(format!("a test reported '{line}', not 'MISSING <feature> <test>'"))?;
            missing.tests.entry(feature.to_owned()).or_default().insert(test.to_owned());
        }
        Ok(missing)
    }

    /// Returns the features that nobody expected to be missing.
    pub(super) fn unexpected(&self, expected: &Expected) -> Vec<String> {
        self.tests.keys().filter(|feature| !expected.reasons.contains_key(*feature)).cloned().collect()
    }

    /// Returns the count and one line per feature; the tests are named where the feature should be there.
    pub(super) fn report(&self, expected: &Expected) -> String {
        let tests: usize = self.tests.values().map(BTreeSet::len).sum();
        let mut report = format!("missing kernel features: {}, tests without them: {tests}\n", self.tests.len());
        for (feature, tests) in &self.tests {
            let count = tests.len();
            // Writing to a string cannot fail.
            let _ = match expected.reasons.get(feature) {
                Some(reason) => writeln!(report, "  {feature}: {count}, expected: {reason}"),
                None => {
                    let names: Vec<&str> = tests.iter().map(String::as_str).collect();
                    writeln!(report, "  {feature}: {count}, NOT EXPECTED: {}", names.join(", "))
                }
            };
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# a comment\n\nipvlan  CONFIG_IPVLAN is not set\n";

    #[test]
    fn expected_and_unexpected_are_told_apart() {
        let expected = Expected::parse(LIST).unwrap();
        let missing =
            Missing::parse("MISSING ipvlan a::b\nMISSING veth c d\nMISSING ipvlan a::b\nMISSING ipvlan e\n").unwrap();
        assert_eq!(missing.unexpected(&expected), ["veth"]);
        assert_eq!(
            missing.report(&expected),
            "missing kernel features: 2, tests without them: 3\n  \
             ipvlan: 2, expected: CONFIG_IPVLAN is not set\n  veth: 1, NOT EXPECTED: c d\n"
        );
    }

    #[test]
    fn malformed_lines_are_refused() {
        assert_eq!(Expected::parse("ipvlan\n").unwrap_err(), "line 1: 'ipvlan' gives no reason");
        assert!(Missing::parse("ipvlan a\n").is_err());
        assert!(Missing::parse("MISSING ipvlan\n").is_err());
    }

    #[test]
    fn the_list_of_the_project_is_well_formed() {
        let expected = Expected::parse(include_str!("../../../tests/expected-missing.txt")).unwrap();
        assert!(expected.reasons.contains_key("ipvlan"));
    }
}
