//! Hosts that a container shall find by name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FileError;
use super::hosts::HostEntry;

/// What stands for the address at which a container reaches its host.
pub const HOST_GATEWAY: &str = "host-gateway";

/// A name and its address: `db:192.0.2.7`, `db:[2001:db8::7]`, `host.internal:host-gateway`. The text is also its form in
/// records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtraHost {
    name: String,
    address: HostAddress,
}

/// The address of an extra host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// This one.
    Ip(IpAddr),
    /// That of the gateway, of each family that the container has one for.
    Gateway,
}

impl ExtraHost {
    /// Returns a name with its address.
    ///
    /// # Errors
    ///
    /// [`FileError::HostEntry`] if the name cannot stand in a hosts file as one word.
    pub fn new(name: impl Into<String>, address: HostAddress) -> Result<Self, FileError> {
        let host = Self { name: name.into(), address };
        let one_word = !host.name.is_empty() && !host.name.contains(char::is_whitespace);
        let entry = one_word.then(|| HostEntry::new(Ipv4Addr::LOCALHOST.into(), &host.name));
        match entry {
            Some(Ok(_)) => Ok(host),
            _ => Err(FileError::HostEntry {
                value: host.to_string(),
                reason: "a host name is one word without control characters and `#`",
            }),
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address.
    pub fn address(&self) -> HostAddress {
        self.address
    }
}

impl FromStr for ExtraHost {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        let invalid = || FileError::HostEntry {
            value: text.to_owned(),
            reason: "write NAME:ADDRESS, such as db:192.0.2.7 or host.internal:host-gateway",
        };
        let (name, address) = text.split_once([':', '=']).ok_or_else(invalid)?;
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address = match bare {
            HOST_GATEWAY => HostAddress::Gateway,
            ip => HostAddress::Ip(ip.parse().map_err(|_| invalid())?),
        };
        Self::new(name, address)
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Ip(ip) => write!(f, "{}:{ip}", self.name),
            HostAddress::Gateway => write!(f, "{}:{HOST_GATEWAY}", self.name),
        }
    }
}

impl TryFrom<String> for ExtraHost {
    type Error = FileError;

    fn try_from(text: String) -> Result<Self, FileError> {
        text.parse()
    }
}

impl From<ExtraHost> for String {
    fn from(host: ExtraHost) -> Self {
        host.to_string()
    }
}
