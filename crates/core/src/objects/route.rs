//! Routes of the main table.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Place;
use crate::model::IfName;

/// A unicast route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The namespace.
    pub place: Place,
    /// The destination; a prefix of length 0 is the default route.
    pub to: IpNet,
    /// The next hop; none for a destination on the link.
    pub via: Option<IpAddr>,
    /// The interface.
    pub link: IfName,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.to)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        write!(f, " on {} in {}", self.link, self.place)
    }
}
