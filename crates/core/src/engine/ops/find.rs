//! Look-ups on the snapshot: by name, by id, by the beginning of an id. None takes a lock.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::{EndpointError, Error, NetworkError, SandboxError};
use crate::model::{Endpoint, EndpointId, NameError, Network, NetworkId, Phase, Sandbox, SandboxId};

impl Engine {
    /// Returns all networks, by id.
    pub fn networks(&self) -> Vec<Arc<Network>> {
        self.snapshot().networks().filter(|network| network.phase == Phase::Ready).cloned().collect()
    }

    /// Returns all endpoints of a network, by name.
    pub fn endpoints_of(&self, network: NetworkId) -> Vec<Arc<Endpoint>> {
        self.snapshot().endpoints_of(network).filter(|endpoint| endpoint.phase == Phase::Ready).cloned().collect()
    }

    /// Returns all endpoints, by id.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.snapshot().endpoints().filter(|endpoint| endpoint.phase == Phase::Ready).cloned().collect()
    }

    /// Returns all sandboxes, by id.
    pub fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.snapshot().sandboxes().filter(|sandbox| sandbox.phase == Phase::Ready).cloned().collect()
    }

    /// Returns the network of a name.
    ///
    /// # Errors
    ///
    /// [`NameError::Empty`], [`NetworkError::NotFound`].
    pub fn network_by_name(&self, name: &str) -> Result<Arc<Network>, Error> {
        let state = self.snapshot();
        let found = state.network_named(not_empty(name)?).filter(|network| network.phase == Phase::Ready);
        found.cloned().ok_or_else(|| NetworkError::NotFound { name: name.to_owned() }.into())
    }

    /// Returns the network of an id.
    ///
    /// # Errors
    ///
    /// [`NameError::Empty`], [`NetworkError::NotFound`]; a text that is no id is not found either.
    pub fn network_by_id(&self, id: &str) -> Result<Arc<Network>, Error> {
        let state = self.snapshot();
        let parsed = not_empty(id)?.parse::<NetworkId>().ok();
        let found = parsed.and_then(|id| state.network(id)).filter(|network| network.phase == Phase::Ready);
        found.cloned().ok_or_else(|| NetworkError::NotFound { name: id.to_owned() }.into())
    }

    /// Returns the network that a text means: its id, its name, or the beginning of its id.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotFound`], [`NetworkError::Ambiguous`].
    pub fn find_network(&self, text: &str) -> Result<Arc<Network>, Error> {
        if let Ok(network) = self.network_by_id(text) {
            return Ok(network);
        }
        match self.network_by_name(text) {
            Err(Error::Network(NetworkError::NotFound { .. })) => {}
            other => return other,
        }
        let mut found = self.networks();
        found.retain(|network| network.id.to_string().starts_with(text));
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(NetworkError::NotFound { name: text.to_owned() }.into()),
            several => Err(NetworkError::Ambiguous { prefix: text.to_owned(), count: several.len() }.into()),
        }
    }

    /// Returns a network's endpoint of a name.
    ///
    /// # Errors
    ///
    /// [`NameError::Empty`], [`EndpointError::NotFound`].
    pub fn endpoint_by_name(&self, network: NetworkId, name: &str) -> Result<Arc<Endpoint>, Error> {
        let state = self.snapshot();
        let found = state.endpoint_named(network, not_empty(name)?).filter(|endpoint| endpoint.phase == Phase::Ready);
        found.cloned().ok_or_else(|| EndpointError::NotFound { name: name.to_owned() }.into())
    }

    /// Returns the endpoint of an id.
    ///
    /// # Errors
    ///
    /// [`EndpointError::NotFound`].
    pub fn endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>, Error> {
        let found = self.snapshot().endpoint(id).cloned();
        found.ok_or_else(|| EndpointError::NotFound { name: id.to_string() }.into())
    }

    /// Returns the sandbox of a container.
    ///
    /// # Errors
    ///
    /// [`NameError::Empty`], [`SandboxError::ContainerNotFound`].
    pub fn sandbox_of(&self, container: &str) -> Result<Arc<Sandbox>, Error> {
        let state = self.snapshot();
        let found = state.sandbox_named(not_empty(container)?).filter(|sandbox| sandbox.phase == Phase::Ready);
        found.cloned().ok_or_else(|| SandboxError::ContainerNotFound { name: container.to_owned() }.into())
    }

    /// Returns the sandbox of an id.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotFound`].
    pub fn sandbox(&self, id: SandboxId) -> Result<Arc<Sandbox>, Error> {
        self.snapshot().sandbox(id).cloned().ok_or_else(|| SandboxError::NotFound { name: id.to_string() }.into())
    }

    /// Returns the sandbox that a text means: its id, its container's name, or the beginning of its id.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotFound`], also if several ids begin so.
    pub fn find_sandbox(&self, text: &str) -> Result<Arc<Sandbox>, Error> {
        not_empty(text)?;
        if let Ok(sandbox) = self.sandbox_of(text) {
            return Ok(sandbox);
        }
        let mut found = self.sandboxes();
        found.retain(|sandbox| sandbox.id.to_string().starts_with(text));
        match found.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(SandboxError::NotFound { name: text.to_owned() }.into()),
        }
    }
}

fn not_empty(text: &str) -> Result<&str, NameError> {
    if text.is_empty() { Err(NameError::Empty) } else { Ok(text) }
}

impl Engine {
    /// Returns the sandbox of an id given as text.
    ///
    /// # Errors
    ///
    /// [`NameError::Empty`], [`SandboxError::NotFound`].
    pub fn sandbox_by_id(&self, id: &str) -> Result<Arc<Sandbox>, Error> {
        let parsed = not_empty(id)?.parse::<SandboxId>();
        parsed.map_err(|_| SandboxError::NotFound { name: id.to_owned() }.into()).and_then(|id| self.sandbox(id))
    }
}
