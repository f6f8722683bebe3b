//! Identifiers: 32 random bytes, written as 64 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid id {text:?}: it must be 64 hexadecimal digits")]
pub struct IdError {
    /// The text that was given.
    pub text: String,
}

fn parse(text: &str) -> Result<[u8; 32], IdError> {
    let error = || IdError { text: text.to_owned() };
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return Err(error());
    }
    let mut id = [0; 32];
    for (byte, pair) in id.iter_mut().zip(bytes.chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return Err(error()),
        }
    }
    Ok(id)
}

/// Whether the first 12 digits are all decimal: such an id must not be used, because its short form may become a host
/// name, and a host name of digits only is taken for an address.
fn looks_like_a_number(id: &[u8; 32]) -> bool {
    id[..6].iter().all(|byte| byte >> 4 < 10 && byte & 15 < 10)
}

macro_rules! id {
    ($name:ident, $what:literal) => {
        #[doc = concat!("Identifies a ", $what, ": 64 hexadecimal digits, the first 12 of which are its short form.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Draws an id from `random`, which fills the bytes it is given.
            pub fn draw(mut random: impl FnMut(&mut [u8])) -> Self {
                let mut id = [0; 32];
                random(&mut id);
                // Drawing again could go on for ever with a bad source: one digit becomes a letter instead.
                if looks_like_a_number(&id) {
                    id[0] |= 0xf0;
                }
                Self(id)
            }

            /// Returns the first 12 hexadecimal digits.
            pub fn short(&self) -> String {
                self.digits(12)
            }

            /// Returns the six bytes behind the short form: as random as the id, and never shown in its place.
            pub fn mac_octets(&self) -> [u8; 6] {
                self.0[6..12].try_into().expect("an id has 32 bytes")
            }

            /// Returns the first `count` hexadecimal digits, at most 64.
            pub fn digits(&self, count: usize) -> String {
                let mut text = self.to_string();
                text.truncate(count);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(NetworkId, "network");
id!(EndpointId, "endpoint");
id!(SandboxId, "sandbox");

impl EndpointId {
    /// Returns the lowest id, where a search by range begins; nothing has it.
    pub(crate) fn lowest() -> Self {
        Self([0; 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let id = NetworkId::draw(|bytes| bytes.fill(0xab));
        assert_eq!(id.to_string().parse::<NetworkId>(), Ok(id));
        assert_eq!(id.short(), "abababababab");
    }

    #[test]
    fn the_short_form_is_never_a_number() {
        let id = NetworkId::draw(|bytes| bytes.fill(0x11));
        assert!(id.short().parse::<u64>().is_err(), "{id}");
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(65)] {
            assert_eq!(text.parse::<NetworkId>(), Err(IdError { text: text.to_owned() }));
        }
    }
}
