//! What a container's files are made from: the host's, as they were when its sandbox was created.

use serde::{Deserialize, Serialize};

use super::{Ipv6, resolv_conf};

/// The host's files, read once: a later change of theirs does not reach a container that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Basis {
    /// Whether the host's kernel has IPv6.
    pub ipv6: Ipv6,
    /// The file that names the servers really asked.
    pub resolv_conf: Origin,
    /// The text of `/etc/hosts`, for a sandbox in the host's namespace.
    pub hosts: Option<String>,
}

/// A file that was read. One that does not exist has no text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where it is.
    pub path: String,
    /// What stood in it.
    pub text: String,
}

impl Default for Origin {
    fn default() -> Self {
        Self { path: resolv_conf::ETC.to_owned(), text: String::new() }
    }
}
