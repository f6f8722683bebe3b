//! Putting a controller together: drivers, host, store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pontoon_core::drivers::{ErasedDriver, Registry};
use pontoon_core::engine::{
    Engine, EngineConfig, Environment, Host, HostError, Query, Restored, Store, StoreError, check_place,
};
use pontoon_core::ipam::{DefaultPools, derive_ula};
use pontoon_core::model::SandboxId;
use pontoon_host::environment::System;
use pontoon_host::linux::{LinuxConfig, LinuxHost};
use pontoon_host::store::{DiskStore, ReadOnlyStore};

use crate::names::Publisher;
use crate::session::Session;
use crate::{Config, Controller, Error, Holds, NameError, run_dir};

/// Adds one driver to the registry.
type Registration = Box<dyn FnOnce(&mut Registry) -> Result<(), crate::OptionError>>;

/// Opens a controller with drivers or effects of one's own.
pub struct Builder {
    config: Config,
    drivers: Vec<Registration>,
    host: Option<Arc<dyn Host>>,
    /// Whether the host was open before: what it remembers of others' doings is old.
    reopened: bool,
    store: Option<Arc<dyn Store>>,
    environment: Option<Arc<dyn Environment>>,
}

impl Builder {
    /// Starts from a configuration.
    pub fn new(config: Config) -> Self {
        Self { config, drivers: Vec::new(), host: None, reopened: false, store: None, environment: None }
    }

    /// Adds a driver; networks name it by its [`crate::Driver::NAME`].
    #[must_use]
    pub fn driver(mut self, driver: impl ErasedDriver + 'static) -> Self {
        self.drivers.push(Box::new(|registry| registry.register(driver)));
        self
    }

    /// Uses another host: a double, or one that is open already.
    #[must_use]
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// Goes on with the host ports that an earlier controller of this process holds.
    #[must_use]
    pub fn holds(mut self, holds: &Holds) -> Self {
        self.host = Some(holds.host.clone());
        self.reopened = true;
        self
    }

    /// Uses another store.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Uses another source of randomness, time and identity.
    #[must_use]
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Opens the store, reads the records, and finishes or reverses what was cut short; [`Config::read_only`] only reads.
    ///
    /// # Errors
    ///
    /// A store that is held or damaged or belongs elsewhere, missing privileges, a driver's configuration that makes no
    /// sense.
    pub fn open(self) -> Result<Controller, Error> {
        let config = Config { run_dir: run_dir::complete(&self.config.run_dir), ..self.config };
        if config.root.as_os_str().is_empty() && self.store.is_none() {
            return Err(NameError::EmptyDir.into());
        }
        let mut registry = Registry::builtin(&config.drivers)?;
        for register in self.drivers {
            register(&mut registry)?;
        }
        let environment = self.environment.unwrap_or_else(|| Arc::new(System));
        // The store comes first: who holds it may use the host.
        let (store, mut session) = match self.store {
            Some(store) => (store, None),
            None => {
                let session = open_session(&config)?;
                (session.store(), Some(session))
            }
        };
        let engine_config = engine_config(&config);
        check_place(&*store, &*environment, &engine_config)?;
        // A host of another kind has no run directory.
        let uses_run_dir = self.host.is_none() || self.reopened;
        let host = match self.host {
            Some(host) => host,
            None => open_host(&config)?,
        };
        if self.reopened {
            // Reading brings its picture of the firewall up to date.
            host.observe(&Query::default())?;
        }
        let (mut engine, quarantined) = Engine::open(registry, host, store, environment.clone(), engine_config)?;
        if let Some(helper) = config.names.as_ref().filter(|_| !config.read_only) {
            engine = engine.with_names(Arc::new(Publisher::new(&config.run_dir, helper)?));
        }
        let in_order = session.as_ref().is_some_and(Session::follows_order);
        let recovery_due = config.resident || !in_order || engine.is_stale()?;
        let mut restored = Restored::default();
        if !config.read_only {
            engine.check_host()?;
            if let Some(session) = &mut session {
                if uses_run_dir {
                    session.claim(&config)?;
                }
                session.begin()?;
            }
            if recovery_due {
                restored = engine.restore()?;
            }
            engine.publish_names();
        }
        Ok(Controller {
            id: SandboxId::draw(|bytes| environment.random(bytes)).to_string(),
            recovery_due: recovery_due && config.read_only,
            config,
            engine: Arc::new(engine),
            session,
            quarantined,
            restored,
        })
    }
}

fn open_session(config: &Config) -> Result<Session, StoreError> {
    let (root, wait) = (&config.root, config.deadline);
    Ok(match config.read_only {
        true => Session::open(root, ReadOnlyStore::open(root, wait)?),
        false => Session::open(root, DiskStore::open(root, wait)?),
    })
}

fn open_host(config: &Config) -> Result<Arc<dyn Host>, HostError> {
    // Who answers for names lives longer than a command, and announces too.
    let linux = LinuxConfig { announces_once: config.names.is_some(), ..LinuxConfig::new(config.run_dir.clone()) };
    Ok(Arc::new(if config.read_only { LinuxHost::open_read_only(linux) } else { LinuxHost::open(linux) }?))
}

fn engine_config(config: &Config) -> EngineConfig {
    EngineConfig {
        deadline: config.deadline,
        pools: config.pools.clone().unwrap_or_else(|| DefaultPools::local(host_ula())),
        resident: config.resident,
        take_over: config.take_over,
        renewed_namespace: config.renewed_namespace,
        run_dir: config.run_dir.clone(),
        read_only: config.read_only,
        names: config.names.is_some(),
    }
}

/// Returns the IPv6 block that belongs to this host, from its machine id.
fn host_ula() -> Option<ipnet::Ipv6Net> {
    let id = std::fs::read_to_string(PathBuf::from("/etc/machine-id")).ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| derive_ula(id))
}

impl From<&Path> for Config {
    fn from(root: &Path) -> Self {
        Self::new(root)
    }
}

pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> StoreError {
    StoreError::Io { path: path.display().to_string(), action, source: Box::new(source) }
}
