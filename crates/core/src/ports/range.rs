//! Ranges of ports.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PortError;

/// One or more ports in a row, none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Returns the range from `first` to `last`, which must not be 0 or reversed.
    pub fn new(first: u16, last: u16) -> Result<Self, PortError> {
        if first == 0 || last == 0 {
            return Err(PortError::ZeroPort { value: text(first, last) });
        }
        if first > last {
            return Err(PortError::ReversedRange { first, last });
        }
        Ok(PortRange { first, last })
    }

    /// Returns the range of one port.
    pub fn single(port: u16) -> Result<Self, PortError> {
        PortRange::new(port, port)
    }

    /// Returns the first port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// Returns the last port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Returns how many ports there are, at least 1.
    pub fn count(self) -> u16 {
        // 1 to 65535 are 65535 ports: the sum fits.
        self.last - self.first + 1
    }

    /// Yields the ports in ascending order.
    pub fn iter(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Says whether `port` is in the range.
    pub fn contains(self, port: u16) -> bool {
        self.iter().contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self.first, self.last))
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    /// Reads `80` or `80-90`.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        PortRange::new(port(first, text)?, port(last, text)?)
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = PortError;

    fn try_from((first, last): (u16, u16)) -> Result<Self, PortError> {
        PortRange::new(first, last)
    }
}

impl From<PortRange> for (u16, u16) {
    fn from(range: PortRange) -> Self {
        (range.first, range.last)
    }
}

fn text(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn port(digits: &str, whole: &str) -> Result<u16, PortError> {
    // `u16::from_str` takes a sign; a port has none.
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().ok_or_else(|| PortError::InvalidPort { value: whole.to_owned() })
}
