//! A plan on its way to the kernel: steps of one kind that follow each other become one batch; a failure undoes all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pontoon_core::engine::{ApplyError, HostError};
use pontoon_core::model::SandboxId;
use pontoon_core::objects::{Address, Object, Op, Place, Plan, Sysctl, Tenure};
use pontoon_netlink::Request;
use pontoon_netlink::route::{LinkChange, look};

use super::namespaces::{self, Open};
use super::pool::Loan;
use super::reaper::Pair;
use super::{LinuxHost, Point, error, files, firewall, sysctls};

/// Applies a plan; see [`Host::apply`](pontoon_core::engine::Host::apply).
///
/// A plan with final steps cannot be undone: it goes as far as it can.
pub(super) fn apply(host: &LinuxHost, plan: &Plan) -> Result<(), ApplyError> {
    let ops = plan.ops();
    let Some(first) = ops.first() else { return Ok(()) };
    let mut run = Run::new(host).map_err(|cause| ApplyError {
        step: 0,
        op: Box::new(first.clone()),
        cause,
        left_behind: Vec::new(),
    })?;
    let mode = if ops.iter().any(Op::is_final) { Mode::Onward } else { Mode::AllOrNothing };
    let taken = run.take(ops, mode, host.probe.is_some());
    let Some((&step, cause)) = taken.failed.first_key_value() else {
        run.announce(ops);
        return Ok(());
    };
    let cause = cause.clone();
    let left_behind = match mode {
        Mode::Onward => taken.failed.into_iter().map(|(step, error)| (ops[step].clone(), error)).collect(),
        Mode::AllOrNothing => run.undo(ops, &taken.done),
    };
    Err(ApplyError { step, op: Box::new(ops[step].clone()), cause, left_behind })
}

/// What happens after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// No further step is taken.
    AllOrNothing,
    /// The other steps are taken all the same.
    Onward,
}

/// Steps of one kind, with their positions in the plan.
pub(super) type Steps<'a> = [(usize, &'a Op)];

/// Which steps were taken, and which failed.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) done: BTreeSet<usize>,
    pub(super) failed: BTreeMap<usize, HostError>,
}

impl Taken {
    pub(super) fn note(&mut self, step: usize, op: &Op, result: Result<(), HostError>) {
        match result {
            Ok(()) => {
                tracing::debug!(step, %op, "taken");
                self.done.insert(step);
            }
            Err(error) => {
                tracing::debug!(step, %op, %error, "refused");
                self.failed.insert(step, error);
            }
        }
    }

    /// Whether no further step may be taken.
    pub(super) fn stops(&self, mode: Mode) -> bool {
        mode == Mode::AllOrNothing && !self.failed.is_empty()
    }
}

/// What carries out a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Executor {
    Sysctl,
    Firewall,
    Namespace,
    File,
    Link,
    /// Settings of interfaces of a sandbox.
    Setting(SandboxId),
    Limit,
    Redirect,
    Layer3(Place),
    Held,
    /// Objects that are lowered before they reach a host.
    None,
}

impl Executor {
    fn of(op: &Op) -> Self {
        match op.object() {
            Object::Sysctl(Sysctl { place: Place::Sandbox(id), tenure: Tenure::Own, .. }) => Self::Setting(*id),
            Object::Sysctl(_) => Self::Sysctl,
            Object::Ruleset(_) | Object::Element(_) => Self::Firewall,
            Object::Namespace(_) => Self::Namespace,
            Object::File(_) => Self::File,
            Object::Bridge(_) | Object::Veth(_) => Self::Link,
            Object::Address(o) => Self::Layer3(o.place),
            Object::Route(o) => Self::Layer3(o.place),
            Object::Limit(_) => Self::Limit,
            Object::Redirect(_) => Self::Redirect,
            Object::Held(_) => Self::Held,
            Object::FirewallBridge(_) | Object::Published(_) | Object::Opened(_) => Self::None,
        }
    }
}

/// A sandbox's namespace, for the time of a plan: a socket that stayed there would keep it alive.
pub(super) struct Inside {
    pub(super) open: Open,
    /// Whether this plan made it, so that nothing of others can be there.
    pub(super) is_new: bool,
    pub(super) indices: HashMap<String, u32>,
    /// Indices of interfaces that are still to be set up, and the steps that made them.
    pub(super) pending: Vec<(usize, u32)>,
}

pub(super) struct Run<'h> {
    pub(super) host: &'h LinuxHost,
    pub(super) route: Loan<'h>,
    /// Indices of the host's interfaces.
    pub(super) indices: HashMap<String, u32>,
    pub(super) inside: HashMap<SandboxId, Inside>,
    /// What kernel settings were, by step.
    pub(super) originals: BTreeMap<usize, String>,
    /// Our addresses that went with a bridge, by step.
    pub(super) graves: BTreeMap<usize, Vec<Address>>,
    /// Whether there is something in the reap group that nobody else deletes.
    pub(super) reap: bool,
    /// Whether steps are taken back.
    pub(super) undoing: bool,
    /// Interfaces that got their carrier from this plan.
    pub(super) woken: BTreeSet<u32>,
    /// Sandboxes whose namespaces the steps let go.
    pub(super) ending: BTreeSet<SandboxId>,
    /// Namespaces that were let go, and pairs that go with them if nobody holds them.
    pub(super) leaving: (Vec<SandboxId>, Vec<Pair>),
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // A namespace can go only when the socket inside is closed.
        self.inside.clear();
        let (sandboxes, pairs) = std::mem::take(&mut self.leaving);
        self.host.reaper.let_go(sandboxes, pairs);
        if self.reap {
            self.host.reaper.reap();
        }
    }
}

impl<'h> Run<'h> {
    fn new(host: &'h LinuxHost) -> Result<Self, HostError> {
        Ok(Self {
            host,
            route: host.routes.lend()?,
            indices: HashMap::new(),
            inside: HashMap::new(),
            originals: BTreeMap::new(),
            graves: BTreeMap::new(),
            reap: false,
            ending: BTreeSet::new(),
            leaving: (Vec::new(), Vec::new()),
            undoing: false,
            woken: BTreeSet::new(),
        })
    }

    fn take(&mut self, ops: &[Op], mode: Mode, probed: bool) -> Taken {
        let mut taken = Taken::default();
        self.ending = ops.iter().filter_map(let_go).collect();
        let mut start = 0;
        while start < ops.len() && !taken.stops(mode) {
            let executor = Executor::of(&ops[start]);
            let same = |op: &&Op| Executor::of(op) == executor;
            let end = start + ops[start..].iter().take_while(same).count();
            self.settle_pending(Some(executor), ops, &mut taken);
            if taken.stops(mode) {
                break;
            }
            let steps: Vec<(usize, &Op)> = (start..end).map(|step| (step, &ops[step])).collect();
            match executor {
                Executor::Firewall | Executor::Setting(_) | Executor::Layer3(_) => {
                    let steps = if probed { self.probe(steps, mode, &mut taken) } else { steps };
                    self.batch(executor, &steps, mode, &mut taken);
                }
                _ => self.one_by_one(executor, steps, mode, probed, &mut taken),
            }
            start = end;
        }
        self.settle_pending(None, ops, &mut taken);
        self.await_carriers();
        taken
    }

    /// Sees to it that new ports pass their first packet: a carrier's arrival is worked off by another thread of the kernel,
    /// and until then the interface drops what it is to send. Asking for the interface does that work at once, since Linux 6.8;
    /// before, the wait is the kernel's.
    fn await_carriers(&mut self) {
        let looks: Vec<Request> = std::mem::take(&mut self.woken).into_iter().map(look).collect();
        if let Err(error) = self.route.batch(&looks) {
            tracing::debug!(%error, "whether the interfaces have their carriers is not known");
        }
    }

    /// Lets a test fail steps, and returns those that are to be taken.
    fn probe<'a>(&self, steps: Vec<(usize, &'a Op)>, mode: Mode, taken: &mut Taken) -> Vec<(usize, &'a Op)> {
        let Some(probe) = &self.host.probe else { return steps };
        let mut kept = Vec::with_capacity(steps.len());
        for (at, (step, op)) in steps.into_iter().enumerate() {
            let batch = if at == 0 { probe(Point::Batch { step }) } else { Ok(()) };
            match batch.and_then(|()| probe(Point::Step { step, op })) {
                Ok(()) => kept.push((step, op)),
                Err(error) => taken.note(step, op, Err(error)),
            }
            if taken.stops(mode) {
                break;
            }
        }
        kept
    }

    fn batch(&mut self, executor: Executor, steps: &Steps<'_>, mode: Mode, taken: &mut Taken) {
        match executor {
            _ if steps.is_empty() => {}
            Executor::Layer3(place) => self.layer3(place, steps, mode, taken),
            Executor::Setting(sandbox) => self.settings(sandbox, steps, mode, taken),
            _ => self.firewall(steps, mode, taken),
        }
    }

    fn one_by_one(
        &mut self,
        executor: Executor,
        steps: Vec<(usize, &Op)>,
        mode: Mode,
        probed: bool,
        taken: &mut Taken,
    ) {
        for (step, op) in steps {
            let wanted = !probed || !self.probe(vec![(step, op)], mode, taken).is_empty();
            if wanted {
                let result = self.single(executor, step, op);
                taken.note(step, op, result);
            }
            if taken.stops(mode) {
                return;
            }
        }
    }

    fn single(&mut self, executor: Executor, step: usize, op: &Op) -> Result<(), HostError> {
        match (executor, op) {
            (Executor::Sysctl, _) => self.sysctl(step, op),
            (Executor::Namespace, _) => self.namespace(op),
            (Executor::File, _) => files::step(&self.host.files, op),
            (Executor::Held, _) => self.held(op),
            (Executor::Redirect, _) => self.redirect(op),
            (Executor::Limit, _) => self.limit(op),
            (_, Op::Change { from: Object::Bridge(_), to: Object::Bridge(bridge) }) => self.change_bridge(bridge),
            (_, Op::Change { from: Object::Veth(_), to: Object::Veth(veth) }) => self.change_veth(step, veth),
            (Executor::Link, Op::Change { from, to }) => {
                self.single(executor, step, &Op::Remove(from.clone()))?;
                self.single(executor, step, &Op::Add(to.clone()))
            }
            (_, Op::Add(Object::Bridge(bridge))) => self.add_bridge(bridge),
            (_, Op::Remove(Object::Bridge(bridge))) => self.remove_bridge(step, bridge),
            (_, Op::Add(Object::Veth(veth))) => self.add_veth(step, veth),
            (_, Op::Remove(Object::Veth(veth))) => self.remove_veth(veth),
            (_, other) => Err(HostError::Unsupported { what: format!("a way to take the step {other}") }),
        }
    }

    fn sysctl(&mut self, step: usize, op: &Op) -> Result<(), HostError> {
        let (files, visitor) = (&self.host.files, &self.host.visitor);
        match op {
            Op::Add(Object::Sysctl(sysctl)) => {
                let original = sysctls::set(files, visitor, sysctl)?;
                self.originals.insert(step, original);
                Ok(())
            }
            Op::Change { from: Object::Sysctl(from), to: Object::Sysctl(to) } => {
                sysctls::change(files, visitor, from, to)
            }
            // What came before it is not known here: the engine asks for a change instead.
            _ => Ok(()),
        }
    }

    fn namespace(&mut self, op: &Op) -> Result<(), HostError> {
        let (files, visitor) = (&self.host.files, &self.host.visitor);
        match op {
            Op::Add(Object::Namespace(namespace)) => {
                if self.host.reaper.is_leaving(&namespace.sandbox.short()) {
                    self.host.reaper.settle(None)?;
                }
                if let Some(open) = namespaces::add(files, visitor, namespace)? {
                    let is_new = namespace.is_made();
                    self.inside.insert(namespace.sandbox, Inside { is_new, ..Inside::new(open) });
                }
                Ok(())
            }
            Op::Remove(Object::Namespace(namespace)) => {
                self.inside.remove(&namespace.sandbox);
                if self.ending.contains(&namespace.sandbox) {
                    self.leaving.0.push(namespace.sandbox);
                    return Ok(());
                }
                namespaces::release(files, visitor, namespace.sandbox)
            }
            _ => Err(HostError::Unsupported { what: "a way to replace the namespace of a sandbox in use".to_owned() }),
        }
    }

    fn held(&mut self, op: &Op) -> Result<(), HostError> {
        match op {
            Op::Add(Object::Held(held)) => self.host.held.hold(held),
            Op::Remove(Object::Held(held)) => {
                self.host.held.release(held);
                Ok(())
            }
            Op::Change { from: Object::Held(from), to: Object::Held(to) } => {
                self.host.held.release(from);
                self.host.held.hold(to).inspect_err(|_| {
                    // The first error is what matters; the ports were free a moment ago.
                    let _ = self.host.held.hold(from);
                })
            }
            other => Err(HostError::Unsupported { what: format!("a way to take the step {other}") }),
        }
    }

    fn firewall(&mut self, steps: &Steps<'_>, mode: Mode, taken: &mut Taken) {
        let ops: Vec<Op> = steps.iter().map(|(_, op)| (*op).clone()).collect();
        let flows = firewall::stale_flows(&ops);
        match self.host.firewall.commit(ops) {
            Ok(()) => steps.iter().for_each(|(step, op)| taken.note(*step, op, Ok(()))),
            Err(refused) if mode == Mode::AllOrNothing || steps.len() == 1 => {
                let (step, op) = steps[refused.position.min(steps.len() - 1)];
                taken.note(step, op, Err(refused.error));
            }
            Err(_) => {
                for (step, op) in steps {
                    let result = self.host.firewall.commit(vec![(*op).clone()]);
                    taken.note(*step, op, result.map_err(|refused| refused.error));
                }
            }
        }
        // Who was published just now expects the next packet; who was withdrawn has no expectations.
        firewall::forget_flows(&flows.at_once);
        self.host.reaper.forget(flows.later);
    }

    /// Opens a sandbox's namespace, unless it is open.
    pub(super) fn inside(&mut self, sandbox: SandboxId) -> Result<&mut Inside, HostError> {
        if !self.inside.contains_key(&sandbox) {
            let open = namespaces::open(&self.host.files, &self.host.visitor, sandbox)?;
            self.inside.insert(sandbox, Inside::new(open));
        }
        self.inside.get_mut(&sandbox).ok_or_else(|| error::of(libc::ENOENT, "the namespace is not open"))
    }

    /// Sets up what steps before left to the next batch in the same sandbox, where no such batch follows.
    fn settle_pending(&mut self, next: Option<Executor>, ops: &[Op], taken: &mut Taken) {
        for (sandbox, inside) in &mut self.inside {
            let same = [Executor::Setting(*sandbox), Executor::Layer3(Place::Sandbox(*sandbox))];
            if inside.pending.is_empty() || next.is_some_and(|next| same.contains(&next)) {
                continue;
            }
            let pending = std::mem::take(&mut inside.pending);
            let requests: Vec<Request> = pending.iter().map(|(_, index)| set_up(*index)).collect();
            let answers = inside.open.socket.batch(&requests);
            let answers = answers.unwrap_or_else(|e| vec![Err(lost(&e)); pending.len()]);
            for ((step, _), answer) in pending.into_iter().zip(answers) {
                if let Err(refusal) = answer {
                    taken.note(step, &ops[step], Err(error::refused(&refusal)));
                }
            }
        }
    }

    /// Undoes steps, the last first, and returns what could not be undone.
    fn undo(&mut self, ops: &[Op], done: &BTreeSet<usize>) -> Vec<(Op, HostError)> {
        let mut inverse: Vec<Op> = Vec::new();
        for &step in done.iter().rev() {
            inverse.push(self.inverse(step, &ops[step]));
            let addresses = self.graves.remove(&step).unwrap_or_default();
            inverse.extend(addresses.into_iter().map(|address| Op::Add(address.into())));
        }
        let containers: Vec<Object> =
            inverse.iter().filter_map(removed).filter(|o| o.is_container()).cloned().collect();
        inverse.retain(|op| !undone(op).is_some_and(|object| containers.iter().any(|c| object.goes_with(c))));
        self.undoing = true;
        let taken = self.take(&inverse, Mode::Onward, false);
        taken.failed.into_iter().map(|(step, error)| (inverse[step].clone(), error)).collect()
    }

    fn inverse(&self, step: usize, op: &Op) -> Op {
        match (op, self.originals.get(&step)) {
            (Op::Add(Object::Sysctl(ours)), Some(original)) => {
                let to = Sysctl { value: original.clone(), ..ours.clone() };
                Op::Change { from: ours.clone().into(), to: to.into() }
            }
            _ => op.inverse(),
        }
    }
}

impl Inside {
    fn new(open: Open) -> Self {
        Self { open, is_new: false, indices: HashMap::new(), pending: Vec::new() }
    }
}

/// The request that sets an interface up.
pub(super) fn set_up(index: u32) -> Request {
    LinkChange { up: Some(true), ..LinkChange::new(index) }.set()
}

/// Returns the sandbox whose namespace a step gives up for good.
fn let_go(op: &Op) -> Option<SandboxId> {
    match removed(op) {
        Some(Object::Namespace(namespace)) if namespace.is_made() => Some(namespace.sandbox),
        _ => None,
    }
}

fn removed(op: &Op) -> Option<&Object> {
    match op {
        Op::Remove(object) => Some(object),
        _ => None,
    }
}

/// Returns the object that a step removes or puts back to what it was.
fn undone(op: &Op) -> Option<&Object> {
    match op {
        Op::Remove(object) | Op::Change { to: object, .. } => Some(object),
        Op::Add(_) => None,
    }
}

/// The answer to each request of a batch that failed as a whole.
pub(super) fn lost(error: &pontoon_netlink::Error) -> pontoon_netlink::Refusal {
    pontoon_netlink::Refusal {
        errno: error.errno().unwrap_or(libc::EIO),
        message: Some(error.to_string()),
        ..pontoon_netlink::Refusal::default()
    }
}
