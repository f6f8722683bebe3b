//! The `bridge` driver: a bridge on the host, a veth pair per endpoint, addresses behind the host's own.

mod firewall;
mod links;
mod options;
#[cfg(test)]
mod tests;

pub(crate) use options::gateway_network;
pub use options::{BridgeConfig, BridgeDriverConfig, GatewayMode};

use std::net::IpAddr;

use super::{Driver, EndpointView, NetworkView, OptionError, Publishing};
use crate::engine::HostProfile;
use crate::model::{IfName, Network, Options};
use crate::objects::Objects;

/// Renders bridge networks.
#[derive(Debug, Default)]
pub struct Bridge {
    config: BridgeDriverConfig,
}

impl Bridge {
    /// Takes the configuration that holds for all its networks.
    pub fn new(config: BridgeDriverConfig) -> Self {
        Self { config }
    }
}

impl Driver for Bridge {
    type Config = BridgeConfig;
    const NAME: &'static str = "bridge";

    fn configure(&self, options: &Options, host: &HostProfile) -> Result<BridgeConfig, OptionError> {
        if !host.nf_tables {
            return Err(OptionError::Kernel { driver: Self::NAME.to_owned(), what: "nf_tables".to_owned() });
        }
        BridgeConfig::parse(options)
    }

    fn network(&self, view: &NetworkView<'_, BridgeConfig>) -> Objects {
        let mut objects = links::of_network(view);
        firewall::of_network(view, &self.config).into_iter().for_each(|object| objects.set(object));
        objects
    }

    fn endpoint(&self, view: &EndpointView<'_, BridgeConfig>) -> Objects {
        let mut objects = links::of_endpoint(view);
        firewall::of_endpoint(view).into_iter().for_each(|object| objects.set(object));
        objects
    }

    fn check(
        &self,
        view: &NetworkView<'_, BridgeConfig>,
        others: &[NetworkView<'_, BridgeConfig>],
        host: &HostProfile,
    ) -> Result<(), OptionError> {
        options::check_gateway_modes(view)?;
        options::check_pools(view)?;
        options::check_mtu(view)?;
        let name = bridge_name(view);
        for other in others {
            if bridge_name(other) == name {
                return Err(OptionError::Collision {
                    network: view.network.spec.name.clone(),
                    other: other.network.spec.name.clone(),
                    what: format!("use the bridge {name}"),
                });
            }
        }
        options::check_overlap(view, others)?;
        match host.links.contains(name.as_str()) {
            true => Err(OptionError::LinkExists { name: name.to_string() }),
            false => Ok(()),
        }
    }

    fn host_binding(&self, config: &BridgeConfig) -> Option<IpAddr> {
        config.host_binding
    }

    fn publishing(&self, config: &BridgeConfig, v6: bool) -> Publishing {
        match config.gateway_mode(v6) {
            GatewayMode::Routed => Publishing::Open,
            GatewayMode::Nat | GatewayMode::NatUnprotected | GatewayMode::Isolated => Publishing::OnHost,
        }
    }

    fn needs_gateway(&self, view: &NetworkView<'_, BridgeConfig>, v6: bool) -> bool {
        // Where something leads out, the gateway's address is somebody's, if not the host's.
        view.config.has_gateway_address(v6) || !view.network.spec.internal
    }

    fn interface_prefix(&self, config: &BridgeConfig) -> String {
        config.interface_prefix.clone()
    }
}

/// Returns the name of a network's bridge: the one asked for, or `pn-` and the first 12 digits of the id.
fn bridge_name(view: &NetworkView<'_, BridgeConfig>) -> IfName {
    view.config.bridge.clone().unwrap_or_else(|| default_name(view.network))
}

fn default_name(network: &Network) -> IfName {
    IfName::new(format!("pn-{}", network.id.short())).expect("pn- and twelve digits are a valid interface name")
}
