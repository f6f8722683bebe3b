//! Kernel settings.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Place;

/// What becomes of a setting when nobody needs it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenure {
    /// The original comes back, if the present value is still ours.
    Borrow,
    /// It stays: others may have come to rely on it.
    Ensure,
}

/// A setting below `/proc/sys`, named with dots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// The namespace.
    pub place: Place,
    /// The name, such as `net.ipv4.ip_forward`.
    pub name: String,
    /// The value.
    pub value: String,
    /// What becomes of it.
    pub tenure: Tenure,
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysctl {} = {} in {}", self.name, self.value, self.place)
    }
}
