//! The address of a name server, as resolv.conf writes it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FileError;

/// An address, with the zone that a link-local IPv6 address needs (RFC 4007 §11): `192.0.2.53`, `fe80::53%eth0`.
///
/// The text is also its form in records. A v4-mapped address is IPv4; only IPv6 has a zone, which is kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameServer {
    ip: IpAddr,
    zone: Option<String>,
}

impl NameServer {
    /// Returns the address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns the zone: an interface's name or index.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }
}

impl From<IpAddr> for NameServer {
    fn from(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), zone: None }
    }
}

impl FromStr for NameServer {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        let invalid = || FileError::NameServer { value: text.to_owned() };
        let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
        let server = Self::from(address.parse::<IpAddr>().map_err(|_| invalid())?);
        match zone {
            None => Ok(server),
            Some(zone) if server.ip.is_ipv6() && is_zone(zone) => Ok(Self { zone: Some(zone.to_owned()), ..server }),
            Some(_) => Err(invalid()),
        }
    }
}

/// White space would end the word in the file, and so the zone.
fn is_zone(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            None => write!(f, "{}", self.ip),
            Some(zone) => write!(f, "{}%{zone}", self.ip),
        }
    }
}

impl TryFrom<String> for NameServer {
    type Error = FileError;

    fn try_from(text: String) -> Result<Self, FileError> {
        text.parse()
    }
}

impl From<NameServer> for String {
    fn from(server: NameServer) -> Self {
        server.to_string()
    }
}
