//! Decides which of a commit and an apply that run at the same time comes first, and where the process dies.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::panic::panic_any;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{ThreadId, current};
use std::time::Duration;

use ipnet::IpNet;
use pontoon_core::engine::store::{Batch, Store, StoreError};
use pontoon_core::engine::{ApplyError, Counters, Host, HostError, HostProfile, Observe, Query};
use pontoon_core::files::Basis;
use pontoon_core::model::{NamespaceSource, SandboxId};
use pontoon_core::objects::{Objects, Op, Plan};

use crate::fake::Crash;

/// How long one side waits for the other to appear before it takes it that there is none.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long one side waits for the other to end.
const LONGEST: Duration = Duration::from_secs(30);

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
    /// Whether both sides come and go as they like.
    open: bool,
    commit: Side,
    apply: Side,
    /// The moment of death, counted over the moments before and after every commit.
    death: Option<usize>,
    moments: usize,
}

/// One of the two that go through.
#[derive(Default)]
struct Side {
    /// How many are on their way.
    running: usize,
    /// Which threads' have ended since the other side's last one did. An operation runs the two on two threads; what ran
    /// on one is no such pair.
    ended: Vec<ThreadId>,
}

impl Side {
    fn is_about(&self) -> bool {
        let here = current().id();
        self.running > 0 || self.ended.iter().any(|thread| *thread != here)
    }
}

impl Gate {
    /// Lets one side always go first.
    pub fn new(first: First) -> Self {
        Self { inner: Arc::default(), first }
    }

    /// Stands open, so that everything passes at once, or orders the two from now on.
    pub fn stand_open(&self, open: bool) {
        self.change(|state| {
            state.open = open;
            (state.commit.ended, state.apply.ended) = (Vec::new(), Vec::new());
        });
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

    /// Lets the other side go first, if it comes; dies if the process did.
    fn give_way(&self, other: impl Fn(&State) -> &Side) {
        self.wait(PATIENCE, |state| state.open || other(state).is_about());
        self.wait(LONGEST, |state| other(state).running == 0);
    }

    /// Waits until `done` says so; dies if the process did.
    fn wait(&self, patience: Duration, done: impl Fn(&State) -> bool) {
        let state = self.lock();
        let waited = self.inner.1.wait_timeout_while(state, patience, |state| !state.dead && !done(state));
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
            state.apply.running -= 1;
            state.apply.ended.push(current().id());
            state.commit.ended.clear();
        });
    }
}

impl Observe for GatedHost {
    fn observe(&self, query: &Query) -> Result<Objects, HostError> {
        self.host.observe(query)
    }

    fn counters(&self, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError> {
        self.host.counters(sandbox)
    }

    fn survey(&self) -> Result<HostProfile, HostError> {
        self.host.survey()
    }

    fn files_basis(&self, namespace: &NamespaceSource) -> Result<Basis, HostError> {
        self.host.files_basis(namespace)
    }

    fn check_namespace(&self, sandbox: SandboxId, path: &str) -> Result<(), HostError> {
        self.host.check_namespace(sandbox, path)
    }
}

impl Host for GatedHost {
    fn apply(&self, plan: &Plan) -> Result<(), ApplyError> {
        if plan.ops().iter().all(Op::is_final) {
            // What is final comes after the commit, whatever the order.
            return self.host.apply(plan);
        }
        if self.gate.first == First::Commit {
            self.gate.give_way(|state| &state.commit);
        }
        self.gate.change(|state| state.apply.running += 1);
        let _watch = Watch(&self.gate);
        self.host.apply(plan)
    }

    fn settle(&self) -> Result<(), HostError> {
        self.host.settle()
    }

    fn forget_strays(&self, subnets: &[IpNet], taken: &BTreeSet<IpAddr>) {
        self.host.forget_strays(subnets, taken);
    }
}

struct GatedStore {
    gate: Gate,
    store: Arc<dyn Store>,
}

/// Notes that a commit ended, even in a crash.
struct Leaving<'a>(&'a Gate);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.commit.running -= 1;
            state.commit.ended.push(current().id());
            state.apply.ended.clear();
        });
    }
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
            self.gate.give_way(|state| &state.apply);
        }
        self.gate.change(|state| state.commit.running += 1);
        let leaving = Leaving(&self.gate);
        self.gate.moment();
        let outcome = self.store.commit(batch);
        drop(leaving);
        self.gate.moment();
        outcome
    }
}
