//! Limits of how fast data passes an interface.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{IfName, Rate};

/// Which way data goes, as the container sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the container.
    In,
    /// From the container.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// How fast data may pass a pair of interfaces one way: a token bucket (`tbf`) on the host, where the container cannot lift it.
///
/// In: on the host's end. Out: on an interface of its own (`ifb`), to which everything is led that arrives at the host's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The host's end of the pair.
    pub link: IfName,
    /// Which way.
    pub direction: Direction,
    /// How fast.
    pub rate: Rate,
    /// Whether it was found in a state in which it does not hold: none is asked for so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}

/// What the host's end of a pair and its `ifb` begin with; the rest of their names is the same.
const PREFIXES: [&str; 2] = ["pv", "pi"];

impl Limit {
    /// Returns the name of the `ifb` through which a limit out goes: that of the host's end with `pi` in the place of `pv`.
    pub fn ifb(&self) -> String {
        let name = self.link.as_str();
        format!("{}{}", PREFIXES[1], name.strip_prefix(PREFIXES[0]).unwrap_or(name))
    }

    /// Returns the host's end to which an `ifb` of that name belongs, if it is one's name.
    pub fn link_of(ifb: &str) -> Option<IfName> {
        let rest = ifb.strip_prefix(PREFIXES[1])?;
        IfName::new(format!("{}{rest}", PREFIXES[0])).ok()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}", self.direction)?;
        if !self.damaged {
            write!(f, " to {}bit/s", self.rate)?;
        }
        write!(f, " on {}", self.link)?;
        if self.direction == Direction::Out {
            write!(f, " through {}", self.ifb())?;
        }
        f.write_str(if self.damaged { ", damaged" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ifb_is_named_after_the_pair() {
        let link: IfName = "pv0123456789ab".parse().unwrap();
        let limit = Limit { link: link.clone(), direction: Direction::Out, rate: Rate::MIN, damaged: false };
        assert_eq!(limit.to_string(), "limit out to 8kbit/s on pv0123456789ab through pi0123456789ab");
        let damaged = Limit { direction: Direction::In, damaged: true, ..limit.clone() };
        assert_eq!(damaged.to_string(), "limit in on pv0123456789ab, damaged");
        assert_eq!(Limit::link_of(&limit.ifb()), Some(link));
        assert_eq!(Limit::link_of("pv0"), None);
    }
}
