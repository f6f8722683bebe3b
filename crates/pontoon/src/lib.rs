//! Container networking: networks, endpoints and sandboxes.
//!
//! ```no_run
//! use pontoon::{BridgeDriverConfig, Config, Controller, EndpointSpec, NetworkSpec, SandboxSpec};
//!
//! # fn main() -> Result<(), pontoon::Error> {
//! let controller = Controller::open(Config::new("/var/lib/pontoon").driver("bridge", BridgeDriverConfig::default()))?;
//! let network = controller.create_network(NetworkSpec::new("network1").driver("bridge"))?;
//! let endpoint = network.create_endpoint(EndpointSpec::new("Endpoint1").publish("8080:80/tcp".parse()?))?;
//! let sandbox = controller.create_sandbox(SandboxSpec::new("container1").hostname("test").domainname("example.org"))?;
//! endpoint.join(&sandbox)?;
//! println!("{:?}", endpoint.info()?);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Controller`] is the way in. Handles ([`Network`], [`Endpoint`], [`Sandbox`]) are cheap clones of the engine and an id:
//! they hold no state, and looking something up through them reads a snapshot without waiting for anybody.

#![forbid(unsafe_code)]

mod builder;
mod config;
mod controller;
mod endpoint;
mod firewall_guard;
mod keys;
pub mod names;
mod network;
mod preview;
mod run_dir;
mod sandbox;
mod session;
mod surroundings;

pub use builder::Builder;
pub use config::Config;
pub use controller::Controller;
pub use endpoint::{Endpoint, EndpointInfo};
pub use firewall_guard::FirewallGuard;
pub use keys::{KeyRequest, KeyServer, OciState, send_key};
pub use network::Network;
pub use preview::{Pending, PlannedStep, Preview};
pub use sandbox::{InterfaceStatistics, Sandbox, SandboxFiles, is_alive, myself};
pub use session::Holds;
pub use surroundings::{AdvertisedLink, ForeignChain, advertised_links, foreign_chains, loopback_up};

pub use pontoon_core::drivers::{
    BridgeDriverConfig, Driver, EndpointView, NetworkView, OptionError, OptionReader, Publishing, Traits,
};
pub use pontoon_core::engine::gateway::Gateways;
pub use pontoon_core::engine::{
    ApplyError, Attach, Counters, Difference, EVENT_CAPACITY, Event, GATEWAY_NETWORK, HostError, HostProfile,
    NetworkTarget, NoIpv6, Quarantined, Repaired, Restored, StoreError, Subscription,
};
pub use pontoon_core::error::{EndpointError, Error, Kind, NetworkError, SandboxError, with_causes};
pub use pontoon_core::files::{self, FileError};
pub use pontoon_core::ipam::{DefaultPools, IpamError, PoolConfig, PoolStatus, derive_ula};
pub use pontoon_core::model::label;
pub use pontoon_core::model::{Endpoint as EndpointRecord, Network as NetworkRecord, Sandbox as SandboxRecord};
pub use pontoon_core::model::{
    EndpointId, EndpointSpec, IfName, IpamSpec, Labels, MacAddr, Mtu, NameError, NamespaceSource, NetworkId,
    NetworkPool, NetworkSpec, OpenPort, Options, Owner, PoolSpec, PortBinding, Rate, RateError, Routing, SandboxId,
    SandboxSpec, SettingError, StaticRoute, WayOut, on_link,
};
pub use pontoon_core::objects;
pub use pontoon_core::ports::{HostPort, PortError, PortProto, PortRange, PortSpec};
