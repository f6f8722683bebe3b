//! What a runtime tells its hooks.

use std::io::{self, ErrorKind, Read};

use serde::Deserialize;

/// Upper bound of a state in bytes; annotations can be long.
const LONGEST: u64 = 1024 * 1024;

/// The state of a container as the OCI runtime specification defines it, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OciState {
    /// The container's id.
    pub id: String,
    /// Its process, 0 while there is none.
    #[serde(default)]
    pub pid: u32,
    /// Where it stands: `creating`, `created`, `running` or `stopped`; empty if the state does not say.
    #[serde(default)]
    pub status: String,
}

impl OciState {
    /// Reads a state to its end; a hook finds it on its standard input.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] if it is no JSON object with an `id`, or longer than a mebibyte, or if the input fails.
    pub fn read(input: impl Read) -> io::Result<Self> {
        let mut text = Vec::new();
        input.take(LONGEST + 1).read_to_end(&mut text)?;
        if text.len() as u64 > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("it is longer than {LONGEST} bytes")));
        }
        // It would read the fields from a list too.
        if text.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is no JSON object"));
        }
        serde_json::from_slice(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let read = match OciState::read(text.as_bytes()) {
            Ok(OciState { id, pid, .. }) => format!("{id} {pid}"),
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        assert_eq!(read, expected, "{text:.100}");
    }

    #[test]
    fn states_are_read_with_everything_that_does_not_matter() {
        let whole =
            r#"{"ociVersion":"1.0.2","id":"c1","status":"created","pid":42,"bundle":"/b","annotations":{"a":"b"}}"#;
        check(whole, "c1 42");
        check("{\"id\":\"c1\"}\n", "c1 0");
    }

    #[test]
    fn what_is_no_state_is_refused() {
        check("", "InvalidData: EOF while parsing a value at line 1 column 0");
        check("[\"c\",42]", "InvalidData: it is no JSON object");
        check("{}", "InvalidData: missing field `id` at line 1 column 2");
        check(
            "{\"id\":\"c\",\"pid\":-1}",
            "InvalidData: invalid value: integer `-1`, expected u32 at line 1 column 18",
        );
        check("{\"id\":\"c\"} {", "InvalidData: trailing characters at line 1 column 12");
        check(&format!("{{\"id\":\"{}\"}}", "c".repeat(1 << 20)), "InvalidData: it is longer than 1048576 bytes");
    }
}
