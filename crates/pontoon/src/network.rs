//! Handles on networks.

use std::sync::Arc;

use ipnet::IpNet;
use pontoon_core::engine::Engine;
use pontoon_core::ipam::PoolStatus;

use crate::{Endpoint, EndpointSpec, Error, NetworkError, NetworkId, NetworkRecord, NetworkTarget};

/// A network.
#[derive(Clone)]
pub struct Network {
    engine: Arc<Engine>,
    id: NetworkId,
    /// For speaking of it when it is gone.
    name: Arc<str>,
}

impl From<&Network> for NetworkTarget {
    fn from(network: &Network) -> Self {
        Self::Existing(network.id)
    }
}

impl Network {
    pub(crate) fn new(engine: Arc<Engine>, id: NetworkId) -> Self {
        let name =
            engine.snapshot().network(id).map_or_else(|| id.short().into(), |record| record.spec.name.as_str().into());
        Self { engine, id, name }
    }

    /// Returns its id.
    pub fn id(&self) -> NetworkId {
        self.id
    }

    /// Returns its record: what was asked for, parsed and allocated.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotFound`] if it is gone.
    pub fn info(&self) -> Result<Arc<NetworkRecord>, Error> {
        let found = self.engine.snapshot().network(self.id).cloned();
        found.ok_or_else(|| NetworkError::NotFound { name: self.id.to_string() }.into())
    }

    /// Creates an endpoint.
    ///
    /// # Errors
    ///
    /// See [`Engine::create_endpoint`].
    pub fn create_endpoint(&self, spec: EndpointSpec) -> Result<Endpoint, Error> {
        let id = self.engine.create_endpoint(self.id, spec)?;
        Ok(Endpoint::new(self.engine.clone(), id))
    }

    /// Returns its endpoints, by name.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.engine.endpoints_of(self.id).iter().map(|record| Endpoint::new(self.engine.clone(), record.id)).collect()
    }

    /// Shows every endpoint to `visit` until it returns true.
    pub fn walk_endpoints(&self, mut visit: impl FnMut(&Endpoint) -> bool) {
        let _stopped = self.endpoints().iter().any(&mut visit);
    }

    /// Returns the endpoint of a name.
    ///
    /// # Errors
    ///
    /// [`crate::EndpointError::NotFound`].
    pub fn endpoint_by_name(&self, name: &str) -> Result<Endpoint, Error> {
        self.engine.endpoint_by_name(self.id, name).map(|record| Endpoint::new(self.engine.clone(), record.id))
    }

    /// Returns how full its pools are.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotFound`] if it is gone.
    pub fn pool_status(&self) -> Result<Vec<(IpNet, PoolStatus)>, Error> {
        self.engine.pool_status(self.id)
    }

    /// Deletes the network.
    ///
    /// # Errors
    ///
    /// [`NetworkError::ActiveEndpoints`] if it has endpoints.
    pub fn delete(&self) -> Result<(), Error> {
        self.engine.delete_network(self.id).map_err(|error| match error {
            Error::Network(NetworkError::Unknown { id, .. }) => {
                NetworkError::Unknown { name: self.name.to_string(), id }.into()
            }
            other => other,
        })
    }
}
