//! The host's port settings, as the kernel writes them.

use super::error::PortError;
use super::range::PortRange;
use crate::ipam::Ranges;

impl PortRange {
    /// Returns the range used when the host's own cannot be read: the dynamic ports of RFC 6335, without the first.
    pub fn default_ephemeral() -> Self {
        PortRange::new(49153, 65535).expect("in order and without 0")
    }

    /// Reads `net.ipv4.ip_local_port_range`: two numbers apart by blanks.
    pub fn parse_local(text: &str) -> Result<Self, PortError> {
        let invalid = || PortError::InvalidPort { value: text.trim().to_owned() };
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(first), Some(last), None) => {
                PortRange::new(first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?)
            }
            _ => Err(invalid()),
        }
    }
}

/// Reads `net.ipv4.ip_local_reserved_ports`: numbers and `first-last` apart by commas, or nothing.
///
/// Port 0 may be in it and is never given out anyway.
pub fn parse_reserved_ports(text: &str) -> Result<Ranges<u16>, PortError> {
    text.trim()
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
                (Ok(first), Ok(last)) => Err(PortError::ReversedRange { first, last }),
                _ => Err(PortError::InvalidPort { value: entry.to_owned() }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream `TestParseReservedPorts`.
    #[test]
    fn reads_reserved_ports() {
        let check = |text: &str, expected: &str| {
            let shown = match parse_reserved_ports(text) {
                Ok(ports) => {
                    ports.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect::<Vec<_>>().join(" ")
                }
                Err(error) => error.to_string(),
            };
            assert!(shown.starts_with(expected), "{text:?}: {shown}");
        };
        check("\n", "");
        check("8080\n", "8080-8080");
        check("8080,9148,10-12\n", "10-12 8080-8080 9148-9148");
        check("1-3,4,65535", "1-4 65535-65535");
        check("0", "0-0");
        check("9-3", "invalid port range 9-3");
        check("a", "invalid port `a`");
        check("1-", "invalid port `1-`");
        check("65536", "invalid port `65536`");
    }

    #[test]
    fn reads_the_local_range() {
        let read = |text| PortRange::parse_local(text).map(|range| range.to_string());
        assert_eq!(read("32768\t60999\n").as_deref(), Ok("32768-60999"));
        for bad in ["", "1", "1 2 3", "a b", "9 3", "0 9"] {
            assert_eq!(read(bad).map_err(|error| error.kind()), Err(crate::error::Kind::Invalid), "{bad:?}");
        }
        assert_eq!(PortRange::default_ephemeral().to_string(), "49153-65535");
    }
}
