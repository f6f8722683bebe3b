//! Drivers: pure functions from the state to the objects of a host.
//!
//! Every driver is a folder with the same files. A driver never sees the engine, and never acts.

pub(crate) mod advertise;
mod bridge;
pub(crate) mod endpoint;
mod erased;
mod host;
mod null;
mod options;
mod view;

pub(crate) use bridge::gateway_network;
pub use bridge::{Bridge, BridgeConfig, BridgeDriverConfig, GatewayMode};
pub use erased::ErasedDriver;
pub use host::Host;
pub use null::Null;
pub use options::{OptionError, OptionReader};
pub use view::{EndpointView, NetworkView};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::HostProfile;
use crate::model::{Endpoint, Options, Routing};
use crate::objects::Objects;

/// What one kind of network looks like on a host. Pure: values in, data out.
pub trait Driver: Send + Sync {
    /// The driver's options of one network, parsed.
    type Config: Serialize + DeserializeOwned + Send + Sync;
    /// The driver's name, as networks name it.
    const NAME: &'static str;

    /// Parses the options of a network.
    ///
    /// # Errors
    ///
    /// [`OptionError`] names the option, its value, and what would be accepted.
    fn configure(&self, options: &Options, host: &HostProfile) -> Result<Self::Config, OptionError>;

    /// Returns what a network needs on its host, without its endpoints.
    fn network(&self, network: &NetworkView<'_, Self::Config>) -> Objects;

    /// Returns what an endpoint needs; nothing while it is attached to no sandbox.
    fn endpoint(&self, endpoint: &EndpointView<'_, Self::Config>) -> Objects;

    /// Checks a new network, with its pools, against itself and the driver's other networks.
    ///
    /// # Errors
    ///
    /// [`OptionError`] says what collides.
    fn check(
        &self,
        _network: &NetworkView<'_, Self::Config>,
        _others: &[NetworkView<'_, Self::Config>],
        _host: &HostProfile,
    ) -> Result<(), OptionError> {
        Ok(())
    }

    /// Returns what the engine must know of the driver.
    fn traits(&self) -> Traits {
        Traits::default()
    }

    /// Returns the host's address that ports are published on which name none; all addresses otherwise.
    fn host_binding(&self, _config: &Self::Config) -> Option<IpAddr> {
        None
    }

    /// Returns how the endpoints of a network publish ports of a family.
    fn publishing(&self, _config: &Self::Config, _v6: bool) -> Publishing {
        Publishing::OnHost
    }

    /// Returns whether the network itself has an address of a family, for which the gateway's is taken from the pool. One that
    /// is asked for is taken in any case.
    fn needs_gateway(&self, _network: &NetworkView<'_, Self::Config>, _v6: bool) -> bool {
        true
    }

    /// Reads the driver's own options of a new endpoint; those that nobody reads are refused.
    ///
    /// # Errors
    ///
    /// [`OptionError`] names the option, its value, and what would be accepted.
    fn endpoint_options(&self, _options: &mut OptionReader<'_>) -> Result<(), OptionError> {
        Ok(())
    }

    /// Returns where an endpoint leads that joins a sandbox: unless the driver says something else, to its pools' gateways and
    /// by the network's static routes.
    fn routing(&self, network: &NetworkView<'_, Self::Config>, endpoint: &Endpoint) -> Routing {
        Routing::of(network.network, endpoint)
    }

    /// Returns the prefix of the names of its interfaces inside sandboxes.
    fn interface_prefix(&self, _config: &Self::Config) -> String {
        "eth".to_owned()
    }
}

/// How an endpoint publishes its ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publishing {
    /// On ports of the host, while it is its sandbox's gateway or was itself asked to.
    #[default]
    OnHost,
    /// By its own address: the ports are opened, and none of the host's is taken.
    Open,
}

/// What the engine must know of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Whether its networks have pools and its endpoints addresses.
    pub addresses: bool,
    /// Whether there is one network of it at most, which cannot be deleted.
    pub special: bool,
    /// Whether it serves sandboxes in the host's namespace, rather than sandboxes with one of their own.
    pub host_namespace: bool,
}

impl Default for Traits {
    fn default() -> Self {
        Self { addresses: true, special: false, host_namespace: false }
    }
}

/// The drivers of a controller, by name.
#[derive(Clone)]
pub struct Registry(BTreeMap<String, Arc<dyn ErasedDriver>>);

impl Registry {
    /// Returns the built-in drivers.
    ///
    /// # Errors
    ///
    /// [`OptionError`] if a driver's configuration has the wrong type or an unknown driver is configured.
    pub fn builtin(configs: &DriverConfigs) -> Result<Self, OptionError> {
        configs.only_for(&[Bridge::NAME, Host::NAME, Null::NAME])?;
        let mut registry = Self(BTreeMap::new());
        registry.insert(Bridge::new(configs.of(Bridge::NAME)?));
        registry.insert(Host);
        registry.insert(Null);
        Ok(registry)
    }

    fn insert(&mut self, driver: impl ErasedDriver + 'static) {
        self.0.insert(driver.name().to_owned(), Arc::new(driver));
    }

    /// Adds a driver from outside.
    ///
    /// # Errors
    ///
    /// [`OptionError::Registered`] if the name is taken, [`OptionError::Blank`] if it is blank.
    pub fn register(&mut self, driver: impl ErasedDriver + 'static) -> Result<(), OptionError> {
        let name = driver.name().to_owned();
        if name.trim().is_empty() {
            return Err(OptionError::Blank);
        }
        if self.0.contains_key(&name) {
            return Err(OptionError::Registered { driver: name });
        }
        self.insert(driver);
        Ok(())
    }

    /// Returns the driver of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn ErasedDriver>> {
        self.0.get(name)
    }

    /// Returns the names of all drivers.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Configuration of drivers, given at start: explicit values by driver name, over labels
/// `com.docker.network.driver.<type>.<field>=<value>`.
#[derive(Clone, Debug, Default)]
pub struct DriverConfigs {
    explicit: BTreeMap<String, serde_json::Value>,
    labels: Vec<String>,
}

impl DriverConfigs {
    /// Sets the configuration of a driver.
    pub fn set(&mut self, driver: impl Into<String>, config: serde_json::Value) {
        self.explicit.insert(driver.into(), config);
    }

    /// Adds a label `key=value`.
    pub fn label(&mut self, label: impl Into<String>) {
        self.labels.push(label.into());
    }

    /// Returns a driver's configuration: labels first, explicit fields over them.
    ///
    /// # Errors
    ///
    /// [`OptionError::Config`] if a field has the wrong type or is unknown.
    pub fn of<T: DeserializeOwned>(&self, driver: &str) -> Result<T, OptionError> {
        let wrong = |reason: String| OptionError::Config { driver: driver.to_owned(), reason };
        let mut fields = serde_json::Map::new();
        let prefix = format!("{}.{driver}.", crate::model::label::DRIVER_PREFIX);
        for label in &self.labels {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            if let Some(field) = key.strip_prefix(&prefix) {
                let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
                fields.insert(field.to_owned(), value);
            }
        }
        match self.explicit.get(driver) {
            None => {}
            Some(serde_json::Value::Object(explicit)) => fields.extend(explicit.clone()),
            Some(other) => return Err(wrong(format!("it must be an object of fields, not {other}"))),
        }
        serde_json::from_value(fields.into()).map_err(|error| wrong(error.to_string()))
    }

    fn only_for(&self, known: &[&str]) -> Result<(), OptionError> {
        match self.explicit.keys().find(|driver| !known.contains(&driver.as_str())) {
            Some(driver) => {
                Err(OptionError::Config { driver: driver.clone(), reason: "there is no such driver".to_owned() })
            }
            None => Ok(()),
        }
    }
}
