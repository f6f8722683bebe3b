//! What a driver sees of the state.

use crate::model::{Endpoint, Network, Sandbox};

/// A network with its parsed options.
#[derive(Clone, Copy, Debug)]
pub struct NetworkView<'a, C> {
    /// The record.
    pub network: &'a Network,
    /// The driver's options.
    pub config: &'a C,
}

/// An endpoint with its network and sandbox.
#[derive(Clone, Copy, Debug)]
pub struct EndpointView<'a, C> {
    /// The record, with addresses and port bindings as they are in force.
    pub endpoint: &'a Endpoint,
    /// Its network.
    pub network: NetworkView<'a, C>,
    /// The sandbox it is attached to.
    pub sandbox: Option<&'a Sandbox>,
    /// Whether it is its sandbox's gateway for IPv4.
    pub gateway4: bool,
    /// Whether it is its sandbox's gateway for IPv6.
    pub gateway6: bool,
}
