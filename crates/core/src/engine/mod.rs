//! The engine: edits a draft of the state, has the host apply the difference, and commits.
//!
//! [`Engine::transact`] is the one function that does things; [`Engine::restore`] is the other caller of the host, and
//! does the same with the difference between what should be and what is.

mod codec;
mod draft;
mod events;
pub mod files;
pub mod gateway;
mod host;
mod interface;
mod locks;
pub mod names;
mod ops;
mod render;
mod restore;
mod state;
pub mod store;
mod subscription;
mod transact;
mod whose;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use codec::Quarantined;
pub use draft::Draft;
pub use events::Event;
pub use host::{ApplyError, Counters, FirewallWatch, Host, HostError, HostProfile, Interrupt, NoIpv6, Observe, Query};
pub use ops::{Attach, Attached, GATEWAY_NETWORK, NetworkTarget};
pub use restore::{Difference, Repaired, Restored};
pub use state::{Claim, Debt, LedgerEntry, Record, RecordKey, State};
pub use store::{Batch, Store, StoreError};
pub use subscription::{EVENT_CAPACITY, Subscription};
pub use whose::{MountNamespace, Occupants, check_place};

use crate::drivers::Registry;
use crate::error::Error;
use crate::ipam::DefaultPools;
use crate::model::Owner;
use crate::objects::{Objects, Op};

/// What the engine takes from outside besides host and store.
pub trait Environment: Send + Sync {
    /// Fills `bytes` with random values.
    fn random(&self, bytes: &mut [u8]);
    /// Returns the nanoseconds since 1970.
    fn now(&self) -> u128;
    /// Returns whether a process is still running; true where it cannot be told, for what is dead is removed.
    fn is_alive(&self, owner: Owner) -> bool;
    /// Returns what tells one boot from another: after a new one the kernel's half of the state is gone.
    fn boot(&self) -> String;
    /// Returns what tells this network namespace from all others of the boot.
    fn namespace(&self) -> String;
    /// Returns the mount namespace, if the system says which it is.
    fn mounts(&self) -> Option<MountNamespace>;
    /// Returns who is in a mount namespace.
    fn occupants(&self, mounts: MountNamespace) -> Occupants;
}

/// How an engine behaves.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How long an operation waits for others on the same things.
    pub deadline: Duration,
    /// Where subnets come from that nobody names.
    pub pools: DefaultPools,
    /// Whether this process stays and holds host ports for all sandboxes. One that leaves at once holds them only while it
    /// publishes, and does not count their absence as a difference.
    pub resident: bool,
    /// Whether a new state takes what an older one left on the host for its own, and so removes it.
    pub take_over: bool,
    /// Whether a state that belongs to another network namespace of this boot is one whose namespace is gone, and not one
    /// that somebody opens from the wrong place.
    pub renewed_namespace: bool,
    /// Where the host keeps what does not outlive a boot: a state belongs to one such directory. Compared as it is.
    pub run_dir: PathBuf,
    /// Whether everything that would change the store or the host is refused.
    pub read_only: bool,
    /// Whether somebody answers for names: otherwise sandboxes get a resolver only if they ask for one.
    pub names: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            pools: DefaultPools::local(None),
            resident: true,
            take_over: false,
            renewed_namespace: false,
            run_dir: PathBuf::new(),
            read_only: false,
            names: false,
        }
    }
}

/// Holds the state and changes it, one transaction an operation.
pub struct Engine {
    current: Mutex<State>,
    snapshot: ArcSwap<State>,
    locks: locks::Locks,
    registry: Registry,
    host: Arc<dyn Host>,
    store: Arc<dyn Store>,
    environment: Arc<dyn Environment>,
    config: EngineConfig,
    names: Option<Arc<dyn names::NameService>>,
    events: subscription::Bus,
    ephemeral: ops::Ephemeral,
    /// Whether there are records that could not be read: what they ask for is not known, so nothing is removed by comparison.
    incomplete: bool,
    /// Changes that must reach the store before any other: the undoing of a commit that could not be undone at once.
    unsettled: Mutex<Batch>,
}

impl Engine {
    /// Reads the records of a state that [`check_place`] let pass. Call [`Engine::restore`] next, unless the store was closed
    /// in order by a process that ended in order.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store cannot be read.
    pub fn open(
        registry: Registry,
        host: Arc<dyn Host>,
        store: Arc<dyn Store>,
        environment: Arc<dyn Environment>,
        config: EngineConfig,
    ) -> Result<(Self, Vec<Quarantined>), Error> {
        let (state, quarantined) = codec::load(&*store)?;
        let mut engine = Self::with(state, registry, host, store, environment, config);
        engine.incomplete = !quarantined.is_empty();
        Ok((engine, quarantined))
    }

    fn with(
        state: State,
        registry: Registry,
        host: Arc<dyn Host>,
        store: Arc<dyn Store>,
        environment: Arc<dyn Environment>,
        config: EngineConfig,
    ) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(state.clone()),
            current: Mutex::new(state),
            locks: locks::Locks::default(),
            registry,
            host,
            store,
            environment,
            config,
            names: None,
            events: subscription::Bus::default(),
            ephemeral: ops::Ephemeral::default(),
            unsettled: Mutex::new(Batch::default()),
            incomplete: false,
        }
    }

    /// Tells a service of names after every change from now on.
    #[must_use]
    pub fn with_names(mut self, service: Arc<dyn names::NameService>) -> Self {
        self.names = Some(service);
        self
    }

    /// Returns an engine with the same state on another host and store, which it may change: what it does there does not
    /// happen here.
    #[must_use]
    pub fn fork(&self, host: Arc<dyn Host>, store: Arc<dyn Store>) -> Self {
        let state = State::clone(&self.snapshot());
        let config = EngineConfig { read_only: false, ..self.config.clone() };
        let mut fork = Self::with(state, self.registry.clone(), host, store, self.environment.clone(), config);
        fork.incomplete = self.incomplete;
        fork
    }

    /// Returns the state as it is now, without waiting for anybody.
    pub fn snapshot(&self) -> Arc<State> {
        self.snapshot.load_full()
    }

    /// Returns everything that the state asks of the host.
    ///
    /// # Errors
    ///
    /// If a network's driver is not there.
    pub fn desired(&self) -> Result<Objects, Error> {
        render::all(&self.snapshot(), &self.registry)
    }

    /// Returns the stream of events from now on.
    pub fn events(&self) -> Subscription {
        self.events.subscribe()
    }

    /// Returns the records that steps make or change something for, each as its kind and name.
    ///
    /// # Errors
    ///
    /// If a network's driver is not there.
    pub fn records_of(&self, steps: &[Op]) -> Result<Vec<String>, Error> {
        render::asking(&self.snapshot(), &self.registry, steps)
    }

    /// Returns the drivers.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the host.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn may_change(&self, label: &str) -> Result<(), Error> {
        match self.config.read_only {
            true => Err(Error::ReadOnly { label: label.to_owned() }),
            false => Ok(()),
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        self.environment.random(bytes);
    }

    /// Tells the service of names, if there is one, what names stand for now.
    pub fn publish_names(&self) {
        if let Some(service) = &self.names {
            service.publish(&|| names::Names::of(&self.snapshot()));
        }
    }

    /// Changes the shared state and publishes it.
    fn publish(&self, change: impl FnOnce(&mut State)) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut current);
        self.snapshot.store(Arc::new(current.clone()));
    }
}
