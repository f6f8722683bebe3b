//! A host in memory that behaves as Linux does.
//!
//! It is a small model of namespaces, links, addresses, routes, kernel settings, one nftables table and bound ports. What
//! goes when something else goes is decided here, from that model, and never by asking [`Plan`]: so a test that compares
//! this host with a kernel, or an engine with this host, proves something.

mod faults;
mod files;
mod firewall;
mod foreign;
mod limits;
mod links;
mod observe;
mod redirect;
mod routing;
mod settings;
mod snapshot;
mod sockets;
mod step;
mod world;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use pontoon_core::engine::{ApplyError, Counters, Host, HostError, HostProfile, Observe, Query};
use pontoon_core::files::Basis;
use pontoon_core::model::{NamespaceSource, SandboxId};
use pontoon_core::objects::{Object, Objects, Op, Plan};

use faults::Faults;
use world::World;

pub use snapshot::Snapshot;

/// A host in memory; clones are handles of the same host, as two processes see one kernel.
#[derive(Clone)]
pub struct FakeHost(Arc<Mutex<Inner>>);

struct Inner {
    world: World,
    faults: Faults,
    plans: Vec<Plan>,
    surveys: usize,
}

/// What a panic carries that stands for the death of the process between two kernel steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash;

/// Runs `f`; a [`Crash`] in it becomes an error, any other panic goes on.
///
/// # Errors
///
/// [`Crash`] if that is how it ended.
pub fn crashes<T>(f: impl FnOnce() -> T) -> Result<T, Crash> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| match panic.downcast::<Crash>() {
        Ok(crash) => *crash,
        Err(other) => resume_unwind(other),
    })
}

impl FakeHost {
    /// Returns a host that has nothing but `lo` and the kernel's default settings.
    pub fn new() -> Self {
        let inner = Inner { world: World::new(), faults: Faults::default(), plans: Vec::new(), surveys: 0 };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Returns everything that exists, foreign things included.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.lock().world)
    }

    /// Returns every plan that was applied or attempted.
    pub fn plans(&self) -> Vec<Plan> {
        self.lock().plans.clone()
    }

    /// Returns how often the host was surveyed.
    pub fn surveys(&self) -> usize {
        self.lock().surveys
    }

    /// Makes step number `n` fail with EIO, counted from 0 and from now, over all plans; once.
    pub fn fail_step(&self, n: usize) {
        self.lock().faults.fail_step(n);
    }

    /// Makes steps fail: asked with the number of the plan since this host was made, the number of the step and the step.
    ///
    /// The function must not use this host.
    pub fn fail_when(&self, when: impl Fn(usize, usize, &Op) -> Option<HostError> + Send + 'static) {
        self.lock().faults.fail_when = Some(Box::new(when));
    }

    /// Makes undoing fail: asked with the step that would undo. Its object stays unless it goes with another.
    ///
    /// The function must not use this host.
    pub fn fail_undo(&self, when: impl Fn(&Op) -> Option<HostError> + Send + 'static) {
        self.lock().faults.fail_undo = Some(Box::new(when));
    }

    /// Panics with [`Crash`] at moment number `n`, counted from 0 and from now; once.
    ///
    /// A plan of two steps has three moments: before each step, and after the last. The process's sockets close.
    pub fn crash_at(&self, n: usize) {
        self.lock().faults.crash_at(n);
    }

    /// Panics with [`Crash`]: asked with the number of the plan and of the step that would be next, before every step and
    /// after the last. The process's sockets close.
    ///
    /// The function must not use this host.
    pub fn crash_when(&self, when: impl Fn(usize, usize) -> bool + Send + 'static) {
        self.lock().faults.crash_when = Some(Box::new(when));
    }

    /// Returns whether any fault or crash came true since faults were last set or cleared.
    pub fn fault_hit(&self) -> bool {
        self.lock().faults.hit
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.lock().faults = Faults::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A crash is meant to leave the model as it is at that moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes revertible steps, all or none.
    fn all_or_nothing(&mut self, call: usize, plan: &Plan) -> Result<(), ApplyError> {
        let before = self.world.clone();
        let mut start = 0;
        while start < plan.len() {
            let end = start + batch(&plan.ops()[start..]);
            if let Err((step, cause)) = self.batch(call, start..end, plan) {
                let left_behind = self.roll_back(before, &plan.ops()[..step]);
                return Err(ApplyError { step, op: Box::new(plan.ops()[step].clone()), cause, left_behind });
            }
            start = end;
        }
        self.crash_point(call, plan.len());
        Ok(())
    }

    /// Takes one step, or the steps of one transaction.
    fn batch(&mut self, call: usize, steps: Range<usize>, plan: &Plan) -> Result<(), (usize, HostError)> {
        let (start, ops) = (steps.start, &plan.ops()[steps.clone()]);
        for (step, op) in steps.zip(ops) {
            self.crash_point(call, step);
            self.faults.refuse(call, step, op).map_or(Ok(()), |error| Err((step, error)))?;
        }
        match ops {
            [op] => self.world.step(op).map_err(|error| (start, error)),
            ops => self.world.transaction(ops).map_err(|(at, error)| (start + at, error)),
        }
    }

    /// Takes final steps as far as they go.
    fn as_far_as_possible(&mut self, call: usize, plan: &Plan) -> Result<(), ApplyError> {
        let mut failed = Vec::new();
        for (step, op) in plan.ops().iter().enumerate() {
            self.crash_point(call, step);
            if let Err(cause) = self.step(call, step, op) {
                failed.push((step, op.clone(), cause));
            }
        }
        self.crash_point(call, plan.len());
        let Some((step, op, cause)) = failed.first().cloned() else { return Ok(()) };
        let left_behind = failed.into_iter().map(|(_, op, cause)| (op, cause)).collect();
        Err(ApplyError { step, op: Box::new(op), cause, left_behind })
    }

    fn step(&mut self, call: usize, step: usize, op: &Op) -> Result<(), HostError> {
        match self.faults.refuse(call, step, op) {
            Some(error) => Err(error),
            None => self.world.step(op),
        }
    }

    /// Returns to how it was, but for the steps whose undoing fails: those are taken again, and vanish if what they need
    /// was undone.
    fn roll_back(&mut self, before: World, done: &[Op]) -> Vec<(Op, HostError)> {
        let mut left_behind = Vec::new();
        let mut kept = Vec::new();
        for op in done.iter().rev() {
            let undo = op.inverse();
            if let Some(error) = self.faults.refuse_undo(&undo) {
                left_behind.push((undo, error));
                kept.push(op);
            }
        }
        self.world = before;
        for op in kept.into_iter().rev() {
            let _ = self.world.step(op);
        }
        left_behind
    }

    fn crash_point(&mut self, call: usize, step: usize) {
        if self.faults.crashes(call, step) {
            self.world.held.clear();
            panic_any(Crash);
        }
    }
}

/// Returns how many of the steps are taken at once: those on the firewall that follow each other are one transaction.
fn batch(ops: &[Op]) -> usize {
    let of_firewall = |op: &&Op| matches!(op.object(), Object::Ruleset(_) | Object::Element(_));
    ops.iter().take_while(of_firewall).count().max(1)
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.snapshot())
    }
}

impl Observe for FakeHost {
    fn observe(&self, query: &Query) -> Result<Objects, HostError> {
        Ok(self.lock().world.observe(query))
    }

    fn counters(&self, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError> {
        self.lock().world.counters(sandbox)
    }

    fn survey(&self) -> Result<HostProfile, HostError> {
        let mut inner = self.lock();
        inner.surveys += 1;
        Ok(inner.world.survey())
    }

    fn files_basis(&self, namespace: &NamespaceSource) -> Result<Basis, HostError> {
        Ok(self.lock().world.files_basis(namespace))
    }

    fn check_namespace(&self, _: SandboxId, path: &str) -> Result<(), HostError> {
        match self.lock().world.netns.contains_key(&world::NetnsKey::At(path.to_owned())) {
            true => Ok(()),
            false => Err(HostError::Missing { what: format!("network namespace {path}") }),
        }
    }
}

impl Host for FakeHost {
    fn apply(&self, plan: &Plan) -> Result<(), ApplyError> {
        let mut inner = self.lock();
        let call = inner.plans.len();
        inner.plans.push(plan.clone());
        let is_final = !plan.is_empty() && plan.ops().iter().all(Op::is_final);
        if is_final { inner.as_far_as_possible(call, plan) } else { inner.all_or_nothing(call, plan) }
    }

    fn settle(&self) -> Result<(), HostError> {
        Ok(())
    }

    /// This model tracks no flows.
    fn forget_strays(&self, _subnets: &[IpNet], _taken: &BTreeSet<IpAddr>) {}
}
