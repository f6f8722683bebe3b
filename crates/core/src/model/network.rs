//! Networks: connectivity domains of one driver and one address manager.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Labels, NetworkId, Options, Phase, StaticRoute};

/// What is asked for when a network is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Unique among the networks.
    pub name: String,
    /// The id to use; a random one otherwise.
    pub id: Option<NetworkId>,
    /// The driver's name, `bridge` by default.
    pub driver: String,
    /// Driver options, as given.
    pub options: Options,
    /// Whether endpoints get IPv4 addresses.
    pub ipv4: bool,
    /// Whether endpoints get IPv6 addresses.
    pub ipv6: bool,
    /// No way out: neither gateway nor published ports.
    pub internal: bool,
    /// Front ends may attach containers of a cluster by hand.
    pub attachable: bool,
    /// Whether the network outlives the process.
    pub persist: bool,
    /// A network that only lends its configuration to others.
    pub config_only: bool,
    /// The name of the config-only network to take the configuration from.
    pub config_from: Option<String>,
    /// Where addresses come from.
    pub ipam: IpamSpec,
    /// Static routes that endpoints have besides those to its subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
    /// Free text.
    pub labels: Labels,
}

impl NetworkSpec {
    /// Asks for an IPv4 bridge network with an automatic subnet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            id: None,
            driver: "bridge".to_owned(),
            options: Options::new(),
            ipv4: true,
            ipv6: false,
            internal: false,
            attachable: false,
            persist: true,
            config_only: false,
            config_from: None,
            ipam: IpamSpec::default(),
            routes: Vec::new(),
            labels: Labels::new(),
        }
    }

    /// Sets the driver.
    #[must_use]
    pub fn driver(mut self, driver: impl Into<String>) -> Self {
        self.driver = driver.into();
        self
    }

    /// Sets one driver option.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    /// Adds a pool; its family follows from its subnet.
    #[must_use]
    pub fn subnet(mut self, subnet: IpNet) -> Self {
        let pool = PoolSpec { subnet: Some(subnet), ..PoolSpec::default() };
        match subnet {
            IpNet::V4(_) => self.ipam.v4.push(pool),
            IpNet::V6(_) => self.ipam.v6.push(pool),
        }
        self
    }

    /// Adds a static route: to a prefix by a next hop on the network, or to one that is on the network itself.
    #[must_use]
    pub fn route(mut self, to: IpNet, via: Option<IpAddr>) -> Self {
        self.routes.push(StaticRoute { to, via });
        self
    }

    /// Switches IPv6 on or off.
    #[must_use]
    pub fn ipv6(mut self, on: bool) -> Self {
        self.ipv6 = on;
        self
    }

    /// Switches IPv4 on or off.
    #[must_use]
    pub fn ipv4(mut self, on: bool) -> Self {
        self.ipv4 = on;
        self
    }

    /// Makes the network internal, or not.
    #[must_use]
    pub fn internal(mut self, on: bool) -> Self {
        self.internal = on;
        self
    }
}

/// Where the addresses of a network come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamSpec {
    /// The address manager: `default` or `null`.
    pub driver: String,
    /// Its options.
    pub options: Options,
    /// IPv4 pools; none means one chosen from the predefined ones.
    pub v4: Vec<PoolSpec>,
    /// IPv6 pools; none means one chosen from the predefined ones.
    pub v6: Vec<PoolSpec>,
}

impl Default for IpamSpec {
    fn default() -> Self {
        Self { driver: "default".to_owned(), options: Options::new(), v4: Vec::new(), v6: Vec::new() }
    }
}

/// One pool that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// The subnet. An unspecified address (`0.0.0.0/24`) asks for any subnet of that size.
    pub subnet: Option<IpNet>,
    /// The part of the subnet to choose addresses from.
    pub range: Option<IpNet>,
    /// The gateway's address; the first of the pool otherwise.
    pub gateway: Option<IpAddr>,
    /// Addresses to keep free, by name.
    pub aux: BTreeMap<String, IpAddr>,
}

/// One pool that a network has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPool {
    /// The subnet, in canonical form.
    pub prefix: IpNet,
    /// The part of it that addresses are chosen from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNet>,
    /// The address that the driver answers on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Addresses kept free, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux: BTreeMap<String, IpAddr>,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its identity.
    pub id: NetworkId,
    /// What was asked for.
    pub spec: NetworkSpec,
    /// The driver's parsed options.
    pub config: serde_json::Value,
    /// Its pools, IPv4 first.
    pub pools: Vec<NetworkPool>,
    /// When it was created, in nanoseconds since 1970.
    pub created: u128,
    /// Where it stands.
    #[serde(skip)]
    pub phase: Phase,
}

impl Network {
    /// Returns the first pool of a family.
    pub fn pool(&self, v6: bool) -> Option<&NetworkPool> {
        self.pools.iter().find(|pool| pool.prefix.addr().is_ipv6() == v6)
    }

    /// Returns the address that a sandbox's default route of a family goes to: none on an internal network.
    pub fn way_out(&self, v6: bool) -> Option<IpAddr> {
        if self.spec.internal {
            return None;
        }
        let aux = if v6 { super::label::AUX_GATEWAY_V6 } else { super::label::AUX_GATEWAY_V4 };
        let pool = self.pool(v6)?;
        pool.aux.get(aux).copied().or(pool.gateway)
    }
}
