//! Kernel settings.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Place;
use crate::model::IfName;

/// What becomes of a setting when nobody needs it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenure {
    /// The original comes back, if the present value is still ours.
    Borrow,
    /// It stays: others may have come to rely on it.
    Ensure,
    /// It goes with its interface, which is ours.
    Own,
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

impl Sysctl {
    /// Returns a setting of an interface of ours, named as [`InterfaceSetting`](crate::model::InterfaceSetting) does.
    pub fn own(place: Place, name: String, value: String) -> Self {
        Self { place, name, value, tenure: Tenure::Own }
    }

    /// Returns a setting that was found. What becomes of one on the host cannot be seen; those in sandboxes are of interfaces.
    pub fn found(place: Place, name: String, value: String) -> Self {
        let tenure = if place == Place::Host { Tenure::Ensure } else { Tenure::Own };
        Self { place, name, value, tenure }
    }

    /// Returns the setting that says whether an interface of ours has IPv6.
    pub fn ipv6(place: Place, link: &IfName, on: bool) -> Self {
        let value = if on { "0" } else { "1" };
        Self::own(place, format!("net.ipv6.conf.{}.{DISABLE_IPV6}", written(link)), value.to_owned())
    }

    /// Returns whether it switches the IPv6 of an interface on or off.
    pub fn is_ipv6_switch(&self) -> bool {
        let mut parts = self.name.split('.');
        parts.nth(1) == Some("ipv6") && parts.next() == Some("conf") && parts.nth(1) == Some(DISABLE_IPV6)
    }

    /// Returns the name of the interface that a setting of ours belongs to.
    pub fn link(&self) -> Option<String> {
        let named = self.name.split('.').nth(3).filter(|_| self.tenure == Tenure::Own);
        named.map(|link| link.replace('/', "."))
    }
}

/// The last part of the name of the setting that switches IPv6 off.
pub(crate) const DISABLE_IPV6: &str = "disable_ipv6";

/// Writes an interface's name as a part of a setting's: as in sysctl(8), a slash stands for a dot.
pub(crate) fn written(link: &IfName) -> String {
    link.as_str().replace('.', "/")
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysctl {} = {} in {}", self.name, self.value, self.place)
    }
}
