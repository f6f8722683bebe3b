//! Names as text, as they are looked up, and as they are put into messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::Name;
use domain::base::name::ToLabelIter;

/// A name that was asked for.
///
/// `exact` is what the client wrote, `lower` the same in lower case; both without the dot at the end, and of the same
/// length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueryName {
    pub(crate) exact: String,
    pub(crate) lower: String,
}

impl QueryName {
    /// Reads the labels of a name; `None` if none of ours can be meant.
    ///
    /// A label may hold any bytes, even dots. Ours are text, and split at every dot.
    pub(crate) fn read(labels: &impl ToLabelIter) -> Option<Self> {
        let mut exact = String::with_capacity(64);
        for label in labels.iter_labels().filter(|label| !label.is_root()) {
            let text = std::str::from_utf8(label.as_slice()).ok()?;
            if text.contains('.') {
                return None;
            }
            if !exact.is_empty() {
                exact.push('.');
            }
            exact.push_str(text);
        }
        let lower = exact.to_ascii_lowercase();
        Some(Self { exact, lower })
    }

    /// Returns how the name can be divided into a name and the network that it is on: `a.b.c` on any, `a.b` on `c`,
    /// `a` on `b.c`.
    pub(crate) fn divisions(&self) -> impl Iterator<Item = Division<'_>> {
        let whole = Division { exact: &self.exact, lower: &self.lower, network: None };
        let parts = self.lower.rmatch_indices('.').map(|(dot, _)| Division {
            exact: &self.exact[..dot],
            lower: &self.lower[..dot],
            network: Some(&self.lower[dot + 1..]),
        });
        std::iter::once(whole).chain(parts)
    }

    /// Returns the address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
    pub(crate) fn reverse_address(&self) -> Option<IpAddr> {
        if let Some(octets) = self.lower.strip_suffix(".in-addr.arpa") {
            return ipv4_reversed(octets).map(IpAddr::V4);
        }
        ipv6_reversed(self.lower.strip_suffix(".ip6.arpa")?).map(IpAddr::V6)
    }
}

/// A name, and the network in lower case that it must be on, if not any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division<'a> {
    pub(crate) exact: &'a str,
    pub(crate) lower: &'a str,
    pub(crate) network: Option<&'a str>,
}

/// Returns the name by which `text` is kept: lower case, no dot at the end. `None` if nothing is left.
pub(crate) fn key(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    (!text.is_empty()).then(|| text.to_ascii_lowercase())
}

/// Returns the name for a message, or `None` if it has no encoding: a label that is empty or longer than 63 bytes, or
/// more than 255 bytes in all (RFC 1035 §2.3.4).
pub(crate) fn encode(text: &str) -> Option<Name<Vec<u8>>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut octets = Vec::with_capacity(text.len() + 2);
    for label in text.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        octets.push(length);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    Name::from_octets(octets).ok()
}

fn ipv4_reversed(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in octets.iter_mut().rev() {
        let part = parts.next()?;
        *octet = part.parse().ok()?;
        // One spelling for each address: no `+1`, no `01`.
        if octet.to_string() != part {
            return None;
        }
    }
    parts.next().is_none().then(|| octets.into())
}

fn ipv6_reversed(text: &str) -> Option<Ipv6Addr> {
    let nibbles = text.as_bytes();
    if nibbles.len() != 32 * 2 - 1 || nibbles.iter().skip(1).step_by(2).any(|&byte| byte != b'.') {
        return None;
    }
    let mut bits = 0_u128;
    for &digit in nibbles.iter().step_by(2).rev() {
        bits = bits << 4 | u128::from(char::from(digit).to_digit(16)?);
    }
    Some(bits.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QueryName {
        QueryName::read(&encode(text).unwrap()).unwrap()
    }

    #[test]
    fn names_are_divided_at_every_dot() {
        let name = name("A.b.C");
        let divisions: Vec<_> = name.divisions().map(|d| (d.exact, d.lower, d.network)).collect();
        assert_eq!(divisions, [("A.b.C", "a.b.c", None), ("A.b", "a.b", Some("c")), ("A", "a", Some("b.c"))]);
    }

    #[test]
    fn labels_that_are_no_text_of_ours_are_not_read() {
        let dotted = Name::from_octets(b"\x03a.b\x00".to_vec()).unwrap();
        let binary = Name::from_octets(b"\x02\xff\xfe\x00".to_vec()).unwrap();
        assert_eq!(QueryName::read(&dotted), None);
        assert_eq!(QueryName::read(&binary), None);
        assert_eq!(QueryName::read(&Name::root_vec()).unwrap().exact, "");
    }

    #[test]
    fn what_does_not_fit_has_no_encoding() {
        let long = "a".repeat(64);
        let total = ["a".repeat(63).as_str(); 4].join(".");
        for bad in ["", ".", "a..b", ".a", long.as_str(), total.as_str()] {
            assert!(encode(bad).is_none(), "{bad}");
        }
        assert_eq!(encode("a.b.").unwrap().as_slice(), b"\x01a\x01b\x00");
    }

    #[test]
    fn reverse_names_are_read_in_one_spelling() {
        let check = |text: &str, expected: Option<&str>| {
            let address = name(text).reverse_address();
            assert_eq!(address, expected.map(|text| text.parse().unwrap()), "{text}");
        };
        check("4.3.2.10.in-addr.arpa", Some("10.2.3.4"));
        check("4.3.2.10.IN-ADDR.arpa", Some("10.2.3.4"));
        check("04.3.2.10.in-addr.arpa", None);
        check("256.3.2.10.in-addr.arpa", None);
        check("3.2.10.in-addr.arpa", None);
        check("5.4.3.2.10.in-addr.arpa", None);
        check("in-addr.arpa", None);
        check("8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.D.0.1.0.0.2.ip6.arpa", Some("2001:db8::8"));
        check("g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", None);
        check("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", None);
        check("00.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", None);
    }
}
