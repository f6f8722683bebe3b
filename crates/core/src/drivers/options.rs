//! Reading driver options: strings in, typed values out, once.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::Kind;
use crate::model::Options;

/// Why options are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A value that cannot be read.
    #[error("invalid value {value:?} for option {option}: {accepted}")]
    Value {
        /// The option.
        option: String,
        /// The value.
        value: String,
        /// What would be accepted.
        accepted: String,
    },
    /// A value that is no number.
    #[error("value for option {option} {value:?} must be {what}")]
    Integer {
        /// The option.
        option: &'static str,
        /// The value.
        value: String,
        /// What would be accepted.
        what: &'static str,
    },
    /// A number that is too small or too large.
    #[error("{option} must be in the range {low} to {high}")]
    Range {
        /// The option.
        option: &'static str,
        /// The smallest value.
        low: i64,
        /// The largest.
        high: i64,
    },
    /// An option that the driver does not have.
    #[error("unknown option {option} for driver {driver}: {hint}")]
    Unknown {
        /// The option.
        option: String,
        /// The driver.
        driver: String,
        /// The nearest known one, or all of them.
        hint: String,
    },
    /// Options or settings that do not go together.
    #[error("{0}")]
    Combination(String),
    /// What would collide with another network.
    #[error("network {network} would collide with network {other}: both {what}")]
    Collision {
        /// The new network.
        network: String,
        /// The one that is there.
        other: String,
        /// What both would have.
        what: String,
    },
    /// An interface that exists on the host and is not ours.
    #[error("interface {name} exists already and is not Pontoon's: choose another name")]
    LinkExists {
        /// Its name.
        name: String,
    },
    /// What the kernel lacks.
    #[error("driver {driver} needs {what}, which this kernel does not have")]
    Kernel {
        /// The driver.
        driver: String,
        /// What is missing.
        what: String,
    },
    /// A driver's own configuration.
    #[error("invalid configuration of driver {driver}: {reason}")]
    Config {
        /// The driver.
        driver: String,
        /// What is wrong.
        reason: String,
    },
    /// A driver without a name.
    #[error("network type string cannot be empty")]
    Blank,
    /// A driver's name that is taken.
    #[error("Driver already registered for type {driver:?}")]
    Registered {
        /// The name.
        driver: String,
    },
}

impl OptionError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Collision { .. } | Self::Registered { .. } => Kind::Forbidden,
            Self::LinkExists { .. } => Kind::Conflict,
            Self::Kernel { .. } => Kind::Unsupported,
            _ => Kind::Invalid,
        }
    }
}

/// Reads options by name and remembers which it has been asked for.
pub struct OptionReader<'a> {
    driver: &'static str,
    options: &'a Options,
    known: Vec<&'static str>,
}

impl<'a> OptionReader<'a> {
    /// Reads `options` for `driver`.
    pub fn new(driver: &'static str, options: &'a Options) -> Self {
        Self { driver, options, known: Vec::new() }
    }

    /// Returns the text of an option, if it is set.
    pub fn text(&mut self, option: &'static str) -> Option<&'a str> {
        self.known.push(option);
        self.options.get(option).map(String::as_str)
    }

    /// Returns a boolean: `1 t T TRUE true True` or `0 f F FALSE false False`.
    ///
    /// # Errors
    ///
    /// [`OptionError::Value`] for any other text.
    pub fn flag(&mut self, option: &'static str, default: bool) -> Result<bool, OptionError> {
        match self.text(option) {
            None => Ok(default),
            Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
            Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
            Some(other) => Err(bad_value(option, other, "it must be true or false")),
        }
    }

    /// Returns a parsed value; an empty text counts as not set.
    ///
    /// # Errors
    ///
    /// [`OptionError::Value`] with the parser's own words.
    pub fn parsed<T>(&mut self, option: &'static str) -> Result<Option<T>, OptionError>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.text(option).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error: T::Err| bad_value(option, text, error)),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`OptionError::Unknown`] if an option was given that nobody asked for.
    pub fn finish(self) -> Result<(), OptionError> {
        match self.options.keys().find(|option| !self.known.contains(&option.as_str())) {
            None => Ok(()),
            Some(option) => Err(OptionError::Unknown {
                option: option.clone(),
                driver: self.driver.to_owned(),
                hint: match nearest(option, &self.known) {
                    Some(known) => format!("did you mean {known}?"),
                    None if self.known.is_empty() => "it has none".to_owned(),
                    None => format!("it has {}", self.known.join(", ")),
                },
            }),
        }
    }
}

/// Returns the error for a value that cannot be read.
pub(crate) fn bad_value(option: &str, value: &str, accepted: impl Display) -> OptionError {
    OptionError::Value { option: option.to_owned(), value: value.to_owned(), accepted: accepted.to_string() }
}

/// Returns the known name that is at most a third of its length away.
fn nearest(text: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .copied()
        .map(|name| (distance(text, name), name))
        .filter(|(d, name)| *d <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_names_the_nearest_one() {
        let options = Options::from([("bridge.nmae".to_owned(), "x".to_owned())]);
        let mut reader = OptionReader::new("bridge", &options);
        let _ = reader.text("bridge.name");
        assert_eq!(
            reader.finish().unwrap_err().to_string(),
            "unknown option bridge.nmae for driver bridge: did you mean bridge.name?"
        );
    }

    #[test]
    fn flags_are_read_as_upstream_reads_them() {
        let options = Options::from([("a".to_owned(), "T".to_owned()), ("b".to_owned(), "yes".to_owned())]);
        let mut reader = OptionReader::new("bridge", &options);
        assert_eq!(reader.flag("a", false), Ok(true));
        assert_eq!(reader.flag("absent", true), Ok(true));
        assert_eq!(
            reader.flag("b", false).unwrap_err().to_string(),
            "invalid value \"yes\" for option b: it must be true or false"
        );
    }
}
