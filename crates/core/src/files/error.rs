//! What can go wrong with the files of a container.

use super::resolv_conf::MAX_LINE;
use crate::error::Kind;

/// A refused file, or a value that cannot stand in one. The text of the first begins as upstream's: tools compare it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A line that is too long to be meant.
    #[error("failed to parse resolv.conf from {path}: line too long (exceeds {MAX_LINE}): shorten line {line}")]
    LongLine {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// Not the address of a name server.
    #[error("invalid name server {value:?}: write an IP address, such as 192.0.2.53, 2001:db8::53 or fe80::53%eth0")]
    NameServer {
        /// What was given.
        value: String,
    },
    /// Not a line of a hosts file.
    #[error("invalid hosts entry {value:?}: {reason}")]
    HostEntry {
        /// What was given.
        value: String,
        /// The rule it breaks.
        reason: &'static str,
    },
}

impl FileError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::LongLine { .. } => Kind::Internal,
            Self::NameServer { .. } | Self::HostEntry { .. } => Kind::Invalid,
        }
    }
}
