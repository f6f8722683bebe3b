//! Handles on sandboxes.

use std::path::PathBuf;
use std::sync::Arc;

use pontoon_core::engine::gateway::{self, Gateways};
use pontoon_core::engine::{Counters, Engine, Environment};
use pontoon_core::objects::FileName;
use pontoon_host::environment::System;

use crate::{
    Config, Endpoint, EndpointId, EndpointSpec, Error, IfName, NamespaceSource, NetworkRecord, NetworkTarget, Owner,
    PortBinding, PortSpec, SandboxId, SandboxRecord,
};

/// Returns this process, as the owner of sandboxes that live as long as it does.
pub fn myself() -> Owner {
    System::myself()
}

/// Returns whether the process that an owner stands for still runs.
pub fn is_alive(owner: Owner) -> bool {
    System.is_alive(owner)
}

/// Where the files of a sandbox are, for whoever runs its container to mount.
///
/// They are written in place as endpoints join and leave, and go with the sandbox. The container may edit them: its edits
/// stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxFiles {
    /// What stands in for `/etc/hosts`.
    pub hosts: PathBuf,
    /// What stands in for `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}

/// What one interface of a sandbox has passed since it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatistics {
    /// Its name inside the sandbox.
    pub ifname: IfName,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// The name of its network.
    pub network: String,
    /// What it has passed, as the kernel counts it.
    pub counters: Counters,
}

/// A sandbox.
#[derive(Clone)]
pub struct Sandbox {
    engine: Arc<Engine>,
    id: SandboxId,
    path: PathBuf,
    files: SandboxFiles,
}

impl Sandbox {
    pub(crate) fn new(engine: Arc<Engine>, id: SandboxId, config: &Config) -> Self {
        let path = config.run_dir.join("netns").join(id.short());
        let directory = config.run_dir.join("files").join(id.short());
        let file = |name: FileName| directory.join(name.as_str());
        let files = SandboxFiles { hosts: file(FileName::Hosts), resolv_conf: file(FileName::ResolvConf) };
        Self { engine, id, path, files }
    }

    /// Returns its id.
    pub fn id(&self) -> SandboxId {
        self.id
    }

    /// Returns its key: the path of the file that holds its network namespace.
    pub fn key(&self) -> &PathBuf {
        &self.path
    }

    /// Returns where its files are.
    pub fn files(&self) -> &SandboxFiles {
        &self.files
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

    /// Returns what its interfaces have passed, in the order of its endpoints; none in the host's namespace, and none while it
    /// waits for one.
    ///
    /// # Errors
    ///
    /// [`crate::SandboxError::NotFound`] if it is gone, [`crate::HostError`] if its namespace cannot be read.
    pub fn statistics(&self) -> Result<Vec<InterfaceStatistics>, Error> {
        let interfaces: Vec<_> = gateway::ordered(&self.engine.snapshot(), self.id)
            .into_iter()
            .filter_map(|(endpoint, network)| Some((endpoint.attached.clone()?.ifname, endpoint.id, network)))
            .collect();
        let has_none = matches!(self.info()?.spec.namespace, NamespaceSource::Host | NamespaceSource::Later);
        if has_none || interfaces.is_empty() {
            return Ok(Vec::new());
        }
        let counters = self.engine.host().counters(self.id)?;
        let of = |(ifname, endpoint, network): (IfName, EndpointId, Arc<NetworkRecord>)| {
            let counters = *counters.get(ifname.as_str())?;
            Some(InterfaceStatistics { ifname, endpoint, network: network.spec.name.clone(), counters })
        };
        Ok(interfaces.into_iter().filter_map(of).collect())
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

    /// Publishes more of its ports while it runs, all or none, and returns their bindings: none while nothing leads out of it.
    ///
    /// # Errors
    ///
    /// See [`Engine::publish_ports`].
    pub fn publish(&self, ports: &[PortSpec]) -> Result<Vec<PortBinding>, Error> {
        self.engine.publish_ports(self.id, ports)
    }

    /// Takes published ports of its own back, all or none, each named as it was asked for, and returns the bindings they had.
    /// Those that an endpoint asked for ([`EndpointSpec::publish`]) go with the endpoint.
    ///
    /// # Errors
    ///
    /// See [`Engine::unpublish_ports`].
    pub fn unpublish(&self, ports: &[PortSpec]) -> Result<Vec<PortBinding>, Error> {
        self.engine.unpublish_ports(self.id, ports)
    }

    /// Gives it the network namespace at a path, such as `/proc/<pid>/ns/net`, and sets up there what was joined before.
    ///
    /// # Errors
    ///
    /// See [`Engine::set_key`].
    pub fn set_key(&self, path: &str) -> Result<(), Error> {
        self.engine.set_key(self.id, path)
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
