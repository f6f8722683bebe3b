//! Decides which of a commit and an apply that run at the same time comes first, and where the process dies.

use std::panic::panic_any;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pontoon_core::engine::store::{Batch, Store, StoreError};
use pontoon_core::engine::{ApplyError, Facts, Host, HostError, HostProfile, Observe, Query};
use pontoon_core::objects::{Objects, Plan};

use crate::fake::Crash;

/// How long one side waits for the other before it takes it that there is none.
const PATIENCE: Duration = Duration::from_millis(20);

/// Which comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The commit: the host is changed only when the records are durable.
    Commit,
    /// The apply: the records become durable only when the host is changed.
    Apply,
}

/// Stands between an engine and its host and store; clones are handles of the same gate.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<(Mutex<State>, Condvar)>,
    first: First,
}

#[derive(Default)]
struct State {
    dead: bool,
    commits: usize,
    applies: usize,
    /// The moment of death, counted over the moments before and after every commit.
    death: Option<usize>,
    moments: usize,
}

impl Gate {
    /// Lets one side always go first.
    pub fn new(first: First) -> Self {
        Self { inner: Arc::default(), first }
    }

    /// Dies at moment number `n` from now: every commit has one before and one after it.
    pub fn crash_at_commit(&self, n: usize) {
        let mut state = self.lock();
        state.death = Some(state.moments + n);
    }

    /// Returns whether the process died.
    pub fn died(&self) -> bool {
        self.lock().dead
    }

    /// Returns how many moments there were.
    pub fn moments(&self) -> usize {
        self.lock().moments
    }

    /// Returns the host behind this gate.
    pub fn host(&self, host: Arc<dyn Host>) -> Arc<dyn Host> {
        Arc::new(GatedHost { gate: self.clone(), host })
    }

    /// Returns the store behind this gate.
    pub fn store(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(GatedStore { gate: self.clone(), store })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done` says so, or for as long as patience lasts; dies if the process did.
    fn wait(&self, done: impl Fn(&State) -> bool) {
        let state = self.lock();
        let waited = self.inner.1.wait_timeout_while(state, PATIENCE, |state| !state.dead && !done(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let dead = state.dead;
        drop(state);
        if dead {
            panic_any(Crash);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.inner.1.notify_all();
    }

    /// Passes one moment of a commit.
    fn moment(&self) {
        let mut dead = false;
        self.change(|state| {
            dead = state.dead || state.death == Some(state.moments);
            state.dead = dead;
            state.moments += 1;
        });
        if dead {
            panic_any(Crash);
        }
    }
}

struct GatedHost {
    gate: Gate,
    host: Arc<dyn Host>,
}

/// Marks the process dead when an apply ends in a panic.
struct Watch<'a>(&'a Gate);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let died = std::thread::panicking();
        self.0.change(|state| {
            state.dead |= died;
            state.applies += 1;
        });
    }
}

impl Observe for GatedHost {
    fn observe(&self, query: &Query) -> Result<Objects, HostError> {
        self.host.observe(query)
    }

    fn survey(&self) -> Result<HostProfile, HostError> {
        self.host.survey()
    }
}

impl Host for GatedHost {
    fn apply(&self, plan: &Plan) -> Result<Facts, ApplyError> {
        if self.gate.first == First::Commit {
            let before = self.gate.lock().applies;
            self.gate.wait(|state| state.commits > before);
        }
        let _watch = Watch(&self.gate);
        self.host.apply(plan)
    }

    fn settle(&self) -> Result<(), HostError> {
        self.host.settle()
    }
}

struct GatedStore {
    gate: Gate,
    store: Arc<dyn Store>,
}

impl Store for GatedStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.store.scan(prefix)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.gate.first == First::Apply {
            let before = self.gate.lock().commits;
            self.gate.wait(|state| state.applies > before);
        }
        self.gate.moment();
        let outcome = self.store.commit(batch);
        self.gate.change(|state| state.commits += 1);
        self.gate.moment();
        outcome
    }
}
