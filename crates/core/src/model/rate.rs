//! How fast data may pass an interface.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A rate in bits per second, in whole bytes: the kernel counts those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Rate(u64);

/// Why something is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// The text has another form.
    #[error(
        "{text:?} is no rate: write a whole number of bits per second, with k, M or G for thousands of them, such as 500k or 8M"
    )]
    Form {
        /// The text.
        text: String,
    },
    /// It is too low, or too high.
    #[error("the rate {rate} is out of range [{}, {}]: the numbers are bits per second", Rate::MIN, Rate::MAX)]
    Range {
        /// What was asked for.
        rate: String,
    },
}

impl Rate {
    /// The least: one packet of 1,500 bytes takes 1.5 seconds.
    pub const MIN: Self = Self(8_000);
    /// The most. What may wait at that rate is still counted in 32 bits.
    pub const MAX: Self = Self(400_000_000_000);
    /// The largest packet that an interface takes, with its link's header and room for more.
    const PACKET: u64 = 66_560;

    /// Takes a number of bits per second, and rounds it down to whole bytes.
    ///
    /// # Errors
    ///
    /// [`RateError::Range`] outside of [`Rate::MIN`] and [`Rate::MAX`].
    pub fn new(bits: u64) -> Result<Self, RateError> {
        match (Self::MIN.0..=Self::MAX.0).contains(&bits) {
            true => Ok(Self(bits - bits % 8)),
            false => Err(RateError::Range { rate: bits.to_string() }),
        }
    }

    /// Returns the number of bits per second.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes per second.
    pub fn bytes(self) -> u64 {
        self.0 / 8
    }

    /// Returns how many bytes may pass at once after a pause: what passes in 10 ms, and at least the largest packet there is,
    /// so that none is too large to pass at all.
    pub fn burst(self) -> u32 {
        Self::count((self.bytes() / 100).max(Self::PACKET))
    }

    /// Returns how many bytes may wait before more are dropped: a burst, and what passes in 50 ms or another packet.
    pub fn queue(self) -> u32 {
        self.burst() + Self::count((self.bytes() / 20).max(Self::PACKET))
    }

    fn count(bytes: u64) -> u32 {
        u32::try_from(bytes).expect("the highest rate passes less than 4 GiB in 60 ms")
    }
}

impl TryFrom<u64> for Rate {
    type Error = RateError;

    fn try_from(bits: u64) -> Result<Self, RateError> {
        Self::new(bits)
    }
}

impl From<Rate> for u64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// Reads a whole number with `k`, `M` or `G` in either case, powers of 1,000.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (number, factor) = match text.char_indices().next_back() {
            Some((at, 'k' | 'K')) => (&text[..at], 1_000),
            Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
            Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
            _ => (text, 1),
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RateError::Form { text: text.to_owned() });
        }
        let bits = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        let rate = bits.and_then(|bits| Self::new(bits).ok());
        rate.ok_or_else(|| RateError::Range { rate: text.to_owned() })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
        match units.into_iter().find(|(factor, _)| self.0.is_multiple_of(*factor)) {
            Some((factor, unit)) => write!(f, "{}{unit}", self.0 / factor),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        text.parse::<Rate>().map_or_else(|error| error.to_string(), |rate| rate.to_string())
    }

    #[test]
    fn rates_are_read_and_written() {
        for (text, written) in [
            ("8000", "8k"),
            ("8k", "8k"),
            ("1500K", "1500k"),
            ("8M", "8M"),
            ("8000k", "8M"),
            ("1g", "1G"),
            ("400G", "400G"),
            ("10007", "10k"),
            ("10008", "10008"),
        ] {
            assert_eq!(read(text), written, "{text}");
        }
        assert_eq!("8M".parse::<Rate>().map(Rate::bytes), Ok(1_000_000));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "k", "8 M", "-8M", "+8M", "1.5M", "8Mbit", "8T", "0x10", "8MM", "8µ"] {
            assert_eq!(
                read(text),
                format!(
                    "{text:?} is no rate: write a whole number of bits per second, with k, M or G for thousands of them, \
                     such as 500k or 8M"
                )
            );
        }
        for text in ["0", "7999", "401G", "400000000001", "99999999999999999999", "99999999999999G"] {
            assert_eq!(
                read(text),
                format!("the rate {text} is out of range [8k, 400G]: the numbers are bits per second")
            );
        }
        assert!(serde_json::from_str::<Rate>("5").is_err());
    }

    #[test]
    fn a_packet_always_passes_and_may_always_wait() {
        for (text, burst, queue) in [("8k", 66_560, 133_120), ("8M", 66_560, 133_120), ("1G", 1_250_000, 7_500_000)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.burst(), rate.queue()), (burst, queue), "{text}");
        }
        assert_eq!(Rate::MAX.queue(), 3_000_000_000);
    }
}
