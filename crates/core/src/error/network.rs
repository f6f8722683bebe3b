//! Errors of operations on networks.

use ipnet::IpNet;

use super::Kind;

/// Why an operation on networks failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No network of this name or id.
    #[error("network {name} not found")]
    NotFound {
        /// The name or id.
        name: String,
    },
    /// It was there once.
    #[error("unknown network {name} id {id}")]
    Unknown {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// The name or id is taken.
    #[error("network with name {name} already exists")]
    Exists {
        /// The name or id.
        name: String,
    },
    /// Several networks begin with this id prefix.
    #[error("network id prefix {prefix} is ambiguous: {count} networks begin with it; give more digits")]
    Ambiguous {
        /// The prefix.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// It still has endpoints.
    #[error("network {name} has active endpoints ({})", .endpoints.join(", "))]
    ActiveEndpoints {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
        /// The endpoints, each as `name:"..." id:"..."`.
        endpoints: Vec<String>,
    },
    /// No such driver.
    #[error("could not find plugin {driver} in v1 plugin registry: plugin not found")]
    NoDriver {
        /// The driver's name.
        driver: String,
    },
    /// No such address manager.
    #[error("invalid ipam driver: {driver:?}")]
    NoIpam {
        /// Its name.
        driver: String,
    },
    /// A driver of which there is one network only.
    #[error("only one instance of {driver:?} network is allowed")]
    OnlyOne {
        /// The driver.
        driver: String,
    },
    /// A network that cannot be deleted.
    #[error("network of type {driver:?} cannot be deleted")]
    Undeletable {
        /// The driver.
        driver: String,
    },
    /// A config-only network with operator fields.
    #[error(
        "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal \
         | attachable | scope ] are not supported."
    )]
    OperatorFields,
    /// A config-only network with config-from.
    #[error("a configuration network cannot depend on another configuration network")]
    ConfigOnlyFrom,
    /// config-from with settings of one's own.
    #[error("user-specified configurations are not supported if the network depends on a configuration network")]
    ConfigFromOwn,
    /// config-from with driver options.
    #[error("network driver options are not supported if the network depends on a configuration network")]
    ConfigFromOptions,
    /// config-from of what is not there.
    #[error("configuration network {name:?} does not exist")]
    NoConfig {
        /// The name.
        name: String,
    },
    /// A config-only network that others use.
    #[error("configuration network {name:?} is in use")]
    ConfigInUse {
        /// Its name.
        name: String,
    },
    /// A static route that its endpoints cannot have.
    #[error("invalid route to {to}: {reason}")]
    Route {
        /// Where it leads.
        to: IpNet,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The network that shall lead out does not.
    #[error("network {name} leads nowhere: remove it, and it is made again as it must be")]
    NoWayOut {
        /// Its name.
        name: String,
    },
    /// This kernel has no IPv6.
    #[error("network {name} asks for IPv6, which this kernel does not have; create it with IPv4 only")]
    NoIpv6 {
        /// The network's name.
        name: String,
    },
}

impl NetworkError {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::Unknown { .. } | Self::NoDriver { .. } | Self::NoConfig { .. } => {
                Kind::NotFound
            }
            Self::Exists { .. } => Kind::Conflict,
            Self::Ambiguous { .. } | Self::NoIpam { .. } | Self::Route { .. } => Kind::Invalid,
            Self::NoIpv6 { .. } => Kind::Unsupported,
            Self::ActiveEndpoints { .. }
            | Self::OnlyOne { .. }
            | Self::Undeletable { .. }
            | Self::OperatorFields
            | Self::ConfigOnlyFrom
            | Self::ConfigFromOwn
            | Self::NoWayOut { .. }
            | Self::ConfigFromOptions
            | Self::ConfigInUse { .. } => Kind::Forbidden,
        }
    }
}
