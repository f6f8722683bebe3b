//! Handles on sandboxes.

use std::path::PathBuf;
use std::sync::Arc;

use pontoon_core::engine::gateway::{self, Gateways};
use pontoon_core::engine::{Engine, Environment};
use pontoon_host::environment::System;

use crate::{Config, Endpoint, EndpointSpec, Error, NetworkTarget, Owner, SandboxId, SandboxRecord};

/// Returns this process, as the owner of sandboxes that live as long as it does.
pub fn myself() -> Owner {
    System::myself()
}

/// Returns whether the process that an owner stands for still runs.
pub fn is_alive(owner: Owner) -> bool {
    System.is_alive(owner)
}

/// A sandbox.
#[derive(Clone)]
pub struct Sandbox {
    engine: Arc<Engine>,
    id: SandboxId,
    path: PathBuf,
}

impl Sandbox {
    pub(crate) fn new(engine: Arc<Engine>, id: SandboxId, config: &Config) -> Self {
        let path = config.run_dir.join("netns").join(id.short());
        Self { engine, id, path }
    }

    /// Returns its id.
    pub fn id(&self) -> SandboxId {
        self.id
    }

    /// Returns its key: the path of the file that holds its network namespace.
    pub fn key(&self) -> &PathBuf {
        &self.path
    }

    /// Returns its record.
    ///
    /// # Errors
    ///
    /// [`crate::SandboxError::NotFound`] if it is gone.
    pub fn info(&self) -> Result<Arc<SandboxRecord>, Error> {
        self.engine.sandbox(self.id)
    }

    /// Returns its endpoints, the best gateway first.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let ordered = gateway::ordered(&self.engine.snapshot(), self.id);
        ordered.into_iter().map(|(record, _)| Endpoint::new(self.engine.clone(), record.id)).collect()
    }

    /// Returns which of its endpoints lead out.
    pub fn gateways(&self) -> Gateways {
        gateway::of(&self.engine.snapshot(), self.id)
    }

    /// Connects it to a network by a new endpoint, and creates the network if the target says so and it is missing: one
    /// transaction.
    ///
    /// # Errors
    ///
    /// See [`Engine::connect`].
    pub fn connect(&self, network: impl Into<NetworkTarget>, spec: EndpointSpec) -> Result<Endpoint, Error> {
        let id = self.engine.connect(self.id, network, spec)?;
        Ok(Endpoint::new(self.engine.clone(), id))
    }

    /// Deletes it with its endpoints.
    ///
    /// # Errors
    ///
    /// See [`Engine::delete_sandbox`].
    pub fn delete(&self) -> Result<(), Error> {
        self.engine.delete_sandbox(self.id)
    }
}
