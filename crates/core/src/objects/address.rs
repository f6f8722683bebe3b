//! Addresses of interfaces.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Place;
use crate::model::IfName;

/// An address of an interface, without duplicate address detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The namespace.
    pub place: Place,
    /// The interface.
    pub link: IfName,
    /// The address and the length of its subnet's prefix.
    pub prefix: IpNet,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} on {} in {}", self.prefix, self.link, self.place)
    }
}
