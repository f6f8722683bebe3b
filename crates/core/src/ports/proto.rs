//! Transport protocols that have ports.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PortError;

/// A transport protocol that can be published; ordered as bindings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortProto {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl PortProto {
    /// Every protocol.
    pub const ALL: [PortProto; 3] = [PortProto::Tcp, PortProto::Udp, PortProto::Sctp];

    /// Returns the protocol's number in an IP header.
    pub fn number(self) -> u8 {
        match self {
            PortProto::Tcp => 6,
            PortProto::Udp => 17,
            PortProto::Sctp => 132,
        }
    }

    /// Returns the lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            PortProto::Tcp => "tcp",
            PortProto::Udp => "udp",
            PortProto::Sctp => "sctp",
        }
    }
}

impl fmt::Display for PortProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PortProto {
    type Err = PortError;

    /// Reads a name in any case.
    fn from_str(text: &str) -> Result<Self, PortError> {
        PortProto::ALL
            .into_iter()
            .find(|proto| proto.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| PortError::UnknownProto { value: text.to_owned() })
    }
}
