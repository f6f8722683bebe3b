//! Files that a container sees in the place of its image's.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::SandboxId;

/// How many lines of a file its own line shows.
const SHOWN: usize = 4;
/// Names that every hosts file has.
const STANDARD: [&str; 2] = ["localhost", "ip6-"];

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileName {
    /// `/etc/hosts`.
    Hosts,
    /// `/etc/resolv.conf`.
    ResolvConf,
}

impl FileName {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hosts, Self::ResolvConf];

    /// Returns the name without a directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::ResolvConf => "resolv.conf",
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A file of a sandbox, to be mounted over the container's.
///
/// The container may edit it, which is no difference: what counts is the text that was written last. Its own edits stay: a
/// hosts file is changed line by line, and a resolv.conf that was edited is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// Which file.
    pub name: FileName,
    /// What was written last, or is to be written. A file that was found has none if its writing was cut short, or if nobody
    /// looked; none is asked for so.
    pub content: Option<String>,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {} of sandbox {}", self.name, self.sandbox.short())?;
        let Some(content) = &self.content else { return f.write_str(", unfinished") };
        let telling: Vec<&str> = content.lines().filter(|line| self.is_telling(line)).collect();
        for (index, line) in telling.iter().take(SHOWN).enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            f.write_str(&line.split_ascii_whitespace().collect::<Vec<_>>().join(" "))?;
        }
        match telling.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

impl File {
    /// Whether a line says something that not every such file says.
    fn is_telling(&self, line: &str) -> bool {
        let mut words = line.split_ascii_whitespace();
        match (self.name, words.next()) {
            (_, None) => false,
            (_, Some(first)) if first.starts_with(['#', ';']) => false,
            (FileName::Hosts, _) => {
                !words.next().is_some_and(|host| STANDARD.iter().any(|name| host.starts_with(name)))
            }
            (FileName::ResolvConf, _) => true,
        }
    }
}
