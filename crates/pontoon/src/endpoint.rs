//! Handles on endpoints.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use pontoon_core::engine::Engine;

use crate::{EndpointId, EndpointRecord, Error, IfName, MacAddr, NetworkId, OpenPort, PortBinding, Sandbox, SandboxId};

/// An endpoint.
#[derive(Clone)]
pub struct Endpoint {
    engine: Arc<Engine>,
    id: EndpointId,
}

/// What an endpoint looks like now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointInfo {
    /// Its id.
    pub id: EndpointId,
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: NetworkId,
    /// The sandbox it is attached to.
    pub sandbox: Option<SandboxId>,
    /// Its interface's name inside the sandbox.
    pub ifname: Option<IfName>,
    /// Whether it was made because nothing else leads out of its sandbox.
    pub automatic: bool,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpNet>,
    /// The gateway of its network, while it is attached; none on an internal network.
    pub gateway4: Option<IpAddr>,
    /// The same for IPv6.
    pub gateway6: Option<IpAddr>,
    /// The ports it publishes on the host.
    pub ports: Vec<PortBinding>,
    /// The ports it publishes by its own addresses.
    pub opened: Vec<OpenPort>,
}

impl Endpoint {
    pub(crate) fn new(engine: Arc<Engine>, id: EndpointId) -> Self {
        Self { engine, id }
    }

    /// Returns its id.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Returns its record: what was asked for and allocated.
    ///
    /// # Errors
    ///
    /// [`crate::EndpointError::NotFound`] if it is gone.
    pub fn record(&self) -> Result<Arc<EndpointRecord>, Error> {
        self.engine.endpoint(self.id)
    }

    /// Returns what it looks like now.
    ///
    /// # Errors
    ///
    /// [`crate::EndpointError::NotFound`] if it is gone.
    pub fn info(&self) -> Result<EndpointInfo, Error> {
        let record = self.record()?;
        let gateway = |v6| record.attached.as_ref()?.routing.gateway(v6);
        Ok(EndpointInfo {
            id: record.id,
            name: record.spec.name.clone(),
            network: record.network,
            sandbox: record.attached.as_ref().map(|attached| attached.sandbox),
            ifname: record.attached.as_ref().map(|attached| attached.ifname.clone()),
            automatic: record.automatic,
            mac: record.mac,
            addresses: record.addresses.clone(),
            gateway4: gateway(false),
            gateway6: gateway(true),
            ports: record.bindings.clone(),
            opened: record.opened.clone(),
        })
    }

    /// Attaches it to a sandbox.
    ///
    /// # Errors
    ///
    /// See [`Engine::join`].
    pub fn join(&self, sandbox: &Sandbox) -> Result<(), Error> {
        self.engine.join(self.id, sandbox.id())
    }

    /// Detaches it from a sandbox.
    ///
    /// # Errors
    ///
    /// See [`Engine::leave`].
    pub fn leave(&self, sandbox: &Sandbox) -> Result<(), Error> {
        self.engine.leave(self.id, sandbox.id())
    }

    /// Deletes it; `force` detaches it first.
    ///
    /// # Errors
    ///
    /// [`crate::EndpointError::ActiveContainer`] if it is attached and not forced.
    pub fn delete(&self, force: bool) -> Result<(), Error> {
        self.engine.delete_endpoint(self.id, force)
    }
}
