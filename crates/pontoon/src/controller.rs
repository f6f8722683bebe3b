//! The controller: the way in.

use std::sync::Arc;

use pontoon_core::drivers::ErasedDriver;
use pontoon_core::engine::{Attach, Engine, HostProfile, Quarantined, Repaired, Restored, Subscription};
use pontoon_core::objects::Objects;

use crate::session::Session;
use crate::{Builder, Config, Endpoint, Error, Holds, Network, NetworkSpec, Sandbox, SandboxSpec};

/// Manages networks, endpoints and sandboxes.
pub struct Controller {
    pub(crate) id: String,
    pub(crate) config: Config,
    pub(crate) engine: Arc<Engine>,
    pub(crate) session: Option<Session>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) restored: Restored,
    /// Whether one that may change things would have put things right when it was opened, and this one may not.
    pub(crate) recovery_due: bool,
}

impl Controller {
    /// Opens a controller with the built-in drivers on this host.
    ///
    /// # Errors
    ///
    /// See [`Builder::open`].
    pub fn open(config: Config) -> Result<Self, Error> {
        Self::builder(config).open()
    }

    /// Prepares a controller with drivers or effects of one's own.
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    /// Returns the controller's identity: 64 hexadecimal digits, new with every start.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the names of the network drivers, those from outside included.
    pub fn drivers(&self) -> Vec<String> {
        self.engine.registry().names()
    }

    /// Returns the names of the built-in network drivers.
    pub fn builtin_drivers(&self) -> Vec<String> {
        self.drivers().into_iter().filter(|name| ["bridge", "host", "null"].contains(&name.as_str())).collect()
    }

    /// Returns the names of the built-in address managers.
    pub fn builtin_ipam_drivers(&self) -> Vec<String> {
        vec!["default".to_owned(), "null".to_owned()]
    }

    /// Returns the driver of a name.
    pub fn driver(&self, name: &str) -> Option<Arc<dyn ErasedDriver>> {
        self.engine.registry().get(name).cloned()
    }

    /// Returns what the start found: stale sandboxes, and what was put right.
    pub fn restored(&self) -> &Restored {
        &self.restored
    }

    /// Returns records that could not be read at the start; they are left in the store.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.quarantined
    }

    /// Creates a network.
    ///
    /// # Errors
    ///
    /// See [`Engine::create_network`].
    pub fn create_network(&self, spec: NetworkSpec) -> Result<Network, Error> {
        let id = self.engine.create_network(spec)?;
        Ok(Network::new(self.engine.clone(), id))
    }

    /// Returns all networks.
    pub fn networks(&self) -> Vec<Network> {
        self.engine.networks().iter().map(|record| Network::new(self.engine.clone(), record.id)).collect()
    }

    /// Shows every network to `visit` until it returns true.
    pub fn walk_networks(&self, mut visit: impl FnMut(&Network) -> bool) {
        let _stopped = self.networks().iter().any(&mut visit);
    }

    /// Returns the network of a name.
    ///
    /// # Errors
    ///
    /// [`crate::NetworkError::NotFound`].
    pub fn network_by_name(&self, name: &str) -> Result<Network, Error> {
        self.engine.network_by_name(name).map(|record| Network::new(self.engine.clone(), record.id))
    }

    /// Returns the network of an id.
    ///
    /// # Errors
    ///
    /// [`crate::NetworkError::NotFound`].
    pub fn network_by_id(&self, id: &str) -> Result<Network, Error> {
        self.engine.network_by_id(id).map(|record| Network::new(self.engine.clone(), record.id))
    }

    /// Returns the network that a person means: by id, by name, or by the beginning of its id.
    ///
    /// # Errors
    ///
    /// [`crate::NetworkError::NotFound`], [`crate::NetworkError::Ambiguous`].
    pub fn find_network(&self, text: &str) -> Result<Network, Error> {
        self.engine.find_network(text).map(|record| Network::new(self.engine.clone(), record.id))
    }

    /// Creates a sandbox.
    ///
    /// # Errors
    ///
    /// See [`Engine::create_sandbox`].
    pub fn create_sandbox(&self, spec: SandboxSpec) -> Result<Sandbox, Error> {
        let id = self.engine.create_sandbox(spec)?;
        Ok(Sandbox::new(self.engine.clone(), id, &self.config))
    }

    /// Creates a sandbox with its endpoints, and the networks of theirs that are missing, and joins them: one transaction.
    ///
    /// # Errors
    ///
    /// See [`Engine::attach`].
    pub fn attach(&self, attach: Attach) -> Result<Sandbox, Error> {
        let attached = self.engine.attach(attach)?;
        Ok(Sandbox::new(self.engine.clone(), attached.sandbox, &self.config))
    }

    /// Returns all sandboxes.
    pub fn sandboxes(&self) -> Vec<Sandbox> {
        self.engine
            .sandboxes()
            .iter()
            .map(|record| Sandbox::new(self.engine.clone(), record.id, &self.config))
            .collect()
    }

    /// Returns the sandbox of a container.
    ///
    /// # Errors
    ///
    /// [`crate::SandboxError::ContainerNotFound`].
    pub fn sandbox_of(&self, container: &str) -> Result<Sandbox, Error> {
        self.engine.sandbox_of(container).map(|record| Sandbox::new(self.engine.clone(), record.id, &self.config))
    }

    /// Returns the sandbox of an id.
    ///
    /// # Errors
    ///
    /// [`crate::SandboxError::NotFound`].
    pub fn sandbox_by_id(&self, id: &str) -> Result<Sandbox, Error> {
        self.engine.sandbox_by_id(id).map(|record| Sandbox::new(self.engine.clone(), record.id, &self.config))
    }

    /// Returns the sandbox that a person means: by container, by id, or by the beginning of its id.
    ///
    /// # Errors
    ///
    /// [`crate::SandboxError::NotFound`].
    pub fn find_sandbox(&self, text: &str) -> Result<Sandbox, Error> {
        self.engine.find_sandbox(text).map(|record| Sandbox::new(self.engine.clone(), record.id, &self.config))
    }

    /// Deletes the sandbox of a container, if there is one.
    ///
    /// # Errors
    ///
    /// See [`Engine::delete_sandbox`].
    pub fn destroy_sandbox(&self, container: &str) -> Result<(), Error> {
        match self.sandbox_of(container) {
            Ok(sandbox) => sandbox.delete(),
            Err(error) if error.kind() == crate::Kind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns all endpoints.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.engine.endpoints().iter().map(|record| Endpoint::new(self.engine.clone(), record.id)).collect()
    }

    /// Returns the stream of events from now on. It holds at most [`crate::EVENT_CAPACITY`] that were not read.
    pub fn events(&self) -> Subscription {
        self.engine.events()
    }

    /// Makes the host what it should be, and pays debts.
    ///
    /// # Errors
    ///
    /// If the host cannot be read or the store cannot be written.
    pub fn repair(&self) -> Result<Repaired, Error> {
        self.engine.repair()
    }

    /// Removes every network, endpoint and sandbox, and everything on the host that carries our mark. Another state may have
    /// the run directory then.
    ///
    /// # Errors
    ///
    /// If the host cannot be read or the store cannot be written.
    pub fn purge(&self) -> Result<Repaired, Error> {
        let repaired = self.engine.purge()?;
        if let Some(session) = self.session.as_ref().filter(|_| repaired.failed.is_empty()) {
            session.release()?;
        }
        Ok(repaired)
    }

    /// Looks at what edits and drivers need to know of the host.
    ///
    /// # Errors
    ///
    /// If the host cannot be read.
    pub fn survey(&self) -> Result<HostProfile, Error> {
        Ok(self.engine.host().survey()?)
    }

    /// Returns everything that should be on the host.
    ///
    /// # Errors
    ///
    /// If a network's driver is not there.
    pub fn desired(&self) -> Result<Objects, Error> {
        self.engine.desired()
    }

    /// Returns what could not be removed so far, each with the reason.
    pub fn debts(&self) -> Vec<(String, String)> {
        self.engine.snapshot().debts().map(|(_, debt)| (debt.op.object().to_string(), debt.reason.clone())).collect()
    }

    /// Waits until deletions that go on in the background have ended.
    ///
    /// # Errors
    ///
    /// If the host cannot be read.
    pub fn settle(&self) -> Result<(), Error> {
        Ok(self.engine.host().settle()?)
    }

    /// Closes the store in order. Sandboxes stay as they are; dropping the answer releases the host ports this process holds.
    ///
    /// # Errors
    ///
    /// If the mark in the state directory cannot be removed; the next start then looks at everything.
    pub fn stop(mut self) -> Result<Holds, Error> {
        let holds = Holds { host: self.engine.host().clone() };
        if let Some(session) = self.session.take() {
            session.end()?;
        }
        Ok(holds)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // The worst that follows is that the next start looks at everything.
            let _ended = session.end();
        }
    }
}
