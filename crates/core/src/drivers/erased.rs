//! One type for all drivers: options travel as JSON between the trait's typed methods.

use std::net::IpAddr;

use serde::Serialize;

use super::{Driver, EndpointView, NetworkView, OptionError, OptionReader, Publishing, Traits};
use crate::engine::HostProfile;
use crate::model::{Endpoint, Network, Options, Routing};
use crate::objects::Objects;

/// A [`Driver`] whose options' type is hidden. Implemented for every driver; not for implementing by hand.
pub trait ErasedDriver: Send + Sync {
    /// See [`Driver::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Driver::configure`].
    fn configure(&self, options: &Options, host: &HostProfile) -> Result<serde_json::Value, OptionError>;
    /// See [`Driver::network`].
    fn network(&self, network: &Network) -> Result<Objects, OptionError>;
    /// See [`Driver::endpoint`]; the view's own configuration is not looked at.
    fn endpoint(&self, endpoint: &EndpointView<'_, ()>) -> Result<Objects, OptionError>;
    /// See [`Driver::check`].
    fn check(&self, network: &Network, others: &[&Network], host: &HostProfile) -> Result<(), OptionError>;
    /// See [`Driver::traits`].
    fn traits(&self) -> Traits;
    /// See [`Driver::host_binding`]; none if the options cannot be read.
    fn host_binding(&self, network: &Network) -> Option<IpAddr>;
    /// See [`Driver::publishing`].
    fn publishing(&self, network: &Network, v6: bool) -> Result<Publishing, OptionError>;
    /// See [`Driver::needs_gateway`].
    fn needs_gateway(&self, network: &Network, v6: bool) -> Result<bool, OptionError>;
    /// See [`Driver::endpoint_options`].
    fn endpoint_options(&self, options: &mut OptionReader<'_>) -> Result<(), OptionError>;
    /// See [`Driver::routing`].
    fn routing(&self, network: &Network, endpoint: &Endpoint) -> Result<Routing, OptionError>;
    /// See [`Driver::interface_prefix`].
    fn interface_prefix(&self, network: &Network) -> Result<String, OptionError>;
}

impl<D: Driver> ErasedDriver for D {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn configure(&self, options: &Options, host: &HostProfile) -> Result<serde_json::Value, OptionError> {
        to_json::<D>(&Driver::configure(self, options, host)?)
    }

    fn network(&self, network: &Network) -> Result<Objects, OptionError> {
        let config = parse::<D>(network)?;
        Ok(Driver::network(self, &NetworkView { network, config: &config }))
    }

    fn endpoint(&self, view: &EndpointView<'_, ()>) -> Result<Objects, OptionError> {
        let network = view.network.network;
        let config = parse::<D>(network)?;
        Ok(Driver::endpoint(
            self,
            &EndpointView {
                endpoint: view.endpoint,
                network: NetworkView { network, config: &config },
                sandbox: view.sandbox,
                gateway4: view.gateway4,
                gateway6: view.gateway6,
            },
        ))
    }

    fn check(&self, network: &Network, others: &[&Network], host: &HostProfile) -> Result<(), OptionError> {
        let config = parse::<D>(network)?;
        let configs = others.iter().map(|other| parse::<D>(other)).collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> =
            others.iter().zip(&configs).map(|(network, config)| NetworkView { network, config }).collect();
        Driver::check(self, &NetworkView { network, config: &config }, &views, host)
    }

    fn traits(&self) -> Traits {
        Driver::traits(self)
    }

    fn host_binding(&self, network: &Network) -> Option<IpAddr> {
        parse::<D>(network).ok().and_then(|config| Driver::host_binding(self, &config))
    }

    fn publishing(&self, network: &Network, v6: bool) -> Result<Publishing, OptionError> {
        Ok(Driver::publishing(self, &parse::<D>(network)?, v6))
    }

    fn needs_gateway(&self, network: &Network, v6: bool) -> Result<bool, OptionError> {
        Ok(Driver::needs_gateway(self, &NetworkView { network, config: &parse::<D>(network)? }, v6))
    }

    fn endpoint_options(&self, options: &mut OptionReader<'_>) -> Result<(), OptionError> {
        Driver::endpoint_options(self, options)
    }

    fn routing(&self, network: &Network, endpoint: &Endpoint) -> Result<Routing, OptionError> {
        Ok(Driver::routing(self, &NetworkView { network, config: &parse::<D>(network)? }, endpoint))
    }

    fn interface_prefix(&self, network: &Network) -> Result<String, OptionError> {
        Ok(Driver::interface_prefix(self, &parse::<D>(network)?))
    }
}

fn parse<D: Driver>(network: &Network) -> Result<D::Config, OptionError> {
    serde::Deserialize::deserialize(&network.config).map_err(|error: serde_json::Error| OptionError::Config {
        driver: D::NAME.to_owned(),
        reason: error.to_string(),
    })
}

fn to_json<D: Driver>(config: &impl Serialize) -> Result<serde_json::Value, OptionError> {
    serde_json::to_value(config)
        .map_err(|error| OptionError::Config { driver: D::NAME.to_owned(), reason: error.to_string() })
}
