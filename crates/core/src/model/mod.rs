//! The records: plain data, grouped by where a value comes from (asked, parsed, allocated, learned).

mod endpoint;
mod ids;
mod labels;
mod names;
mod network;
mod rate;
mod routing;
mod sandbox;
mod setting;

pub use endpoint::{Attachment, Endpoint, EndpointSpec, OpenPort, PortBinding, is_link_local, on_link};
pub use ids::{EndpointId, IdError, NetworkId, SandboxId};
pub use labels::{Labels, Options, label};
pub use names::{IfName, MacAddr, Mtu, NameError, check_dns_name, check_name, check_word};
pub use network::{IpamSpec, Network, NetworkPool, NetworkSpec, PoolSpec};
pub use rate::{Rate, RateError};
pub use routing::{Routing, StaticRoute, WayOut};
pub use sandbox::{NamespaceSource, Owner, Sandbox, SandboxSpec};
pub use setting::{InterfaceSetting, SettingError};

use serde::{Deserialize, Serialize};

/// Where a record stands; only `Ready` records are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// An operation is bringing it into being; its names, addresses and ports are taken already.
    Creating,
    /// It exists.
    #[default]
    Ready,
    /// An operation is removing it; its names, addresses and ports are still taken.
    Deleting,
}
