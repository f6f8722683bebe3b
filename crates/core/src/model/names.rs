//! Names and small values with a rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name or a small value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name of nothing, or of white space only.
    #[error("invalid name: name is empty")]
    Empty,
    /// A directory of nothing.
    #[error("empty dir: name the directory that keeps the state")]
    EmptyDir,
    /// A name that cannot be printed or addressed.
    #[error("invalid name {name:?}: control characters and '/' are not allowed")]
    Unprintable {
        /// The name.
        name: String,
    },
    /// More than one word where files have room for one.
    #[error("invalid {what} {name:?}: white space and control characters are not allowed")]
    Words {
        /// What it is the name of.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that no DNS query can carry, or no client would ask for.
    #[error("invalid DNS name {name:?}: {reason}")]
    Dns {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The kernel would refuse the interface name (`dev_valid_name` in net/core/dev.c).
    #[error("invalid interface name {name:?}: {reason}")]
    Interface {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Not a MAC address that an interface can have.
    #[error("invalid MAC address {text:?}: {reason}")]
    Mac {
        /// The text.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Not an MTU.
    #[error("MTU {mtu} is out of range [{}, {}]", Mtu::MIN, Mtu::MAX)]
    Mtu {
        /// The value.
        mtu: i64,
    },
}

/// Checks the name of a network, endpoint or sandbox: it must not be blank or contain control characters or `/`.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if name.chars().any(|c| c.is_control() || c == '/') {
        return Err(NameError::Unprintable { name: name.to_owned() });
    }
    Ok(())
}

/// Checks that a text is one word, for it stands in a file where white space ends words and lines. `what` says what it names.
///
/// # Errors
///
/// [`NameError::Words`].
pub fn check_word(what: &'static str, text: &str) -> Result<(), NameError> {
    match text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(NameError::Words { what, name: text.to_owned() }),
        false => Ok(()),
    }
}

/// Checks that a DNS query can carry a name, with a dot at its end or without (RFC 1035 §2.3.4), and that it is one word.
///
/// # Errors
///
/// [`NameError::Dns`] with the rule it breaks.
pub fn check_dns_name(name: &str) -> Result<(), NameError> {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let reason = match labels {
        "" => Some("it is empty"),
        // With a length before each label and the root after the last, 255 bytes.
        text if text.len() > 253 => Some("it is longer than 253 bytes"),
        text if text.split('.').any(str::is_empty) => {
            Some("it has an empty label: one between dots, or before the first")
        }
        text if text.split('.').any(|label| label.len() > 63) => Some("it has a label longer than 63 bytes"),
        text if check_word("DNS name", text).is_err() => Some("white space and control characters are not allowed"),
        _ => None,
    };
    reason.map_or(Ok(()), |reason| Err(NameError::Dns { name: name.to_owned(), reason }))
}

/// The name of a network interface: 1 to 15 bytes, as the kernel accepts it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

impl IfName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// [`NameError::Interface`] if it is empty, longer than 15 bytes, `.`, `..`, `all` or `default`, or contains `/`, `:`, white
    /// space or a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let reason = match name.as_str() {
            "" => Some("it is empty"),
            "." | ".." => Some("it names a directory"),
            "all" | "default" => Some("the kernel keeps settings of other interfaces under it"),
            text if text.len() > 15 => Some("it is longer than 15 bytes"),
            text if text.contains(['/', ':']) => Some("it contains '/' or ':'"),
            text if text.chars().any(|c| c.is_whitespace() || c.is_control()) => {
                Some("it contains white space or control characters")
            }
            text if text.contains(['%', '*', '"', '\\']) => {
                Some("it contains one of % * \" \\, which rules and patterns use")
            }
            _ => None,
        };
        match reason {
            Some(reason) => Err(NameError::Interface { name, reason }),
            None => Ok(Self(name)),
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IfName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for IfName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<IfName> for String {
    fn from(name: IfName) -> Self {
        name.0
    }
}

/// A unicast MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Takes the six bytes of an address.
    ///
    /// # Errors
    ///
    /// [`NameError::Mac`] for a multicast address or the address of zeros, which no interface can have.
    pub fn new(bytes: [u8; 6]) -> Result<Self, NameError> {
        let refuse = |reason| {
            let text = Self(bytes).to_string();
            Err(NameError::Mac { text, reason })
        };
        if bytes[0] & 1 != 0 {
            return refuse("it is a multicast address");
        }
        if bytes == [0; 6] {
            return refuse("it is zero");
        }
        Ok(Self(bytes))
    }

    /// Draws a random address: locally administered, unicast.
    pub fn draw(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut bytes = [0; 6];
        random(&mut bytes);
        bytes[0] = bytes[0] & !1 | 2;
        Self(bytes)
    }

    /// Returns the six bytes.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for MacAddr {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Mac { text: text.to_owned(), reason: "it must be six pairs of hexadecimal digits" };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(error)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() {
            return Err(error());
        }
        Self::new(bytes)
    }
}

impl TryFrom<String> for MacAddr {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

/// A maximum transmission unit in bytes, 68 (RFC 791) to 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct Mtu(u32);

impl Mtu {
    /// The least that IPv4 allows.
    pub const MIN: u32 = 68;
    /// The most that a bridge or a veth accepts.
    pub const MAX: u32 = 65_535;
    /// What Ethernet uses.
    pub const ETHERNET: Self = Self(1500);
    /// The least that IPv6 allows (RFC 8200 section 5): below it the kernel removes IPv6 from the interface.
    pub const MIN_V6: u32 = 1280;

    /// Returns the number of bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for Mtu {
    type Error = NameError;

    fn try_from(mtu: i64) -> Result<Self, NameError> {
        u32::try_from(mtu)
            .ok()
            .filter(|value| (Self::MIN..=Self::MAX).contains(value))
            .map(Self)
            .ok_or(NameError::Mtu { mtu })
    }
}

impl From<Mtu> for u32 {
    fn from(mtu: Mtu) -> Self {
        mtu.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_follow_the_kernel() {
        for good in ["eth0", "a", "pn-0123456789ab", "br.100", "ü"] {
            assert!(IfName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "a:b", "0123456789abcdef", "a\n", "eth%d", "a*"] {
            assert!(IfName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mac_addresses_round_trip_and_refuse_multicast() {
        let mac: MacAddr = "02:42:ac:11:00:02".parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        for bad in ["01:00:00:00:00:00", "00:00:00:00:00:00", "02:42", "02:42:ac:11:00:02:03", "2:42:ac:11:0:2"] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
        let drawn = MacAddr::draw(|bytes| bytes.fill(0xff));
        assert_eq!(drawn.octets()[0], 0xfe);
    }

    #[test]
    fn mtu_has_a_range() {
        assert_eq!(Mtu::try_from(9000).map(Mtu::bytes), Ok(9000));
        assert_eq!(Mtu::try_from(65_536).unwrap_err().to_string(), "MTU 65536 is out of range [68, 65535]");
        assert!(Mtu::try_from(-1).is_err());
    }
}
