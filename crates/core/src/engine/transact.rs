//! The one function that does things.
//!
//! ```text
//! edit ──▶ locks ──▶ publish (creating, deleting) ──▶ plan ─┬▶ host: steps that can be undone ─┐
//!                                                           └▶ store: the final records ───────┴▶ host: final steps ──▶ publish
//! ```
//!
//! If the host fails, the records are put back; if the store fails, the steps are. What could be neither done nor undone
//! becomes a debt.

use std::sync::{Arc, PoisonError};

use tracing::{debug, info_span, warn};

use super::draft::{Draft, Learned};
use super::locks::{Guard, LockKey, Mode, Wanted, want};
use super::state::{Claim, Debt, LedgerEntry, Record, RecordKey, State};
use super::store::{Batch, StoreError};
use super::{ApplyError, Engine, Event, HostError, Query, codec, events, render};
use crate::error::{Error, Leftovers};
use crate::model::Phase;
use crate::objects::{Key, Object, Op, Plan, Sysctl, Tenure};
use crate::ports::PortRange;

/// How often an operation chooses again when the host refuses a port: each refusal tells of one busy port, and other programs
/// may hold many in a row. A refused choice costs a few milliseconds.
const ROUNDS: usize = 256;

/// Records to set or remove.
pub(super) type Changes = Vec<(RecordKey, Option<Record>)>;

/// A draft that is published and holds its locks.
struct Begun<'a> {
    label: &'a str,
    keys: Vec<RecordKey>,
    before: State,
    after: State,
    plan: Plan,
    _guard: Guard<'a>,
}

/// Why a round ended without success.
enum Failed {
    /// The host refused something that may be chosen differently.
    Refused(HostError, Box<Error>),
    /// There is nothing to choose.
    For(Error),
}

impl Learned {
    /// Says what an operation that succeeded had to do without.
    fn tell(&self) {
        for (sandbox, interface) in &self.no_ipv6 {
            let sandbox = sandbox.short();
            warn!(%interface, sandbox, "the setting that switches IPv6 on cannot be written: the interface has no IPv6");
        }
    }
}

impl Engine {
    /// Runs an edit on a draft of the state, makes the host follow, and commits: all or nothing.
    ///
    /// The edit may run several times: to learn which locks it needs, and again when the host refuses what it chose.
    ///
    /// # Errors
    ///
    /// The edit's own error; [`Error::ReadOnly`] if nothing may be changed; [`Error::Busy`] if others keep what it needs; [`Error::Apply`] or [`Error::Store`] with
    /// everything put back; [`Error::LeftBehind`] if it is done but something could not be removed.
    pub fn transact<T>(&self, label: &str, edit: impl Fn(&mut Draft<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let _span = info_span!("transaction", label).entered();
        self.may_change(label)?;
        let mut learned = Learned::default();
        loop {
            let (begun, out) = self.begin(label, &learned, &edit)?;
            match self.carry_out(&begun) {
                Ok(()) => {
                    learned.tell();
                    return Ok(out);
                }
                Err(Failed::For(error)) => return Err(error),
                Err(Failed::Refused(last @ HostError::PortBusy { .. }, _)) if learned.busy.len() + 1 == ROUNDS => {
                    return Err(Error::Restless { label: label.to_owned(), rounds: ROUNDS, last: Box::new(last) });
                }
                Err(Failed::Refused(HostError::PortBusy { ip, port, proto }, _)) => {
                    debug!(%ip, port, %proto, "the host port is taken: choosing again");
                    learned.busy.push((ip, proto, port));
                }
                Err(Failed::Refused(HostError::NoIpv6(refused), error)) => {
                    debug!(%refused, "no IPv6: going on without");
                    // An interface that is to have IPv6 all the same was asked to.
                    if !learned.no_ipv6.insert((refused.sandbox, refused.interface)) {
                        return Err(*error);
                    }
                }
                Err(Failed::Refused(_, error)) => return Err(*error),
            }
        }
    }

    /// Runs the edit until it holds the locks it needs, and publishes its claims.
    fn begin<'a, T>(
        &'a self,
        label: &'a str,
        learned: &Learned,
        edit: &impl Fn(&mut Draft<'_>) -> Result<T, Error>,
    ) -> Result<(Begun<'a>, T), Error> {
        let mut wanted = Wanted::from([(LockKey::All, Mode::Shared)]);
        loop {
            let guard = self.locks.acquire(wanted.clone(), self.config.deadline);
            let mut guard =
                guard.ok_or_else(|| Error::Busy { label: label.to_owned(), waited: self.config.deadline })?;
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let mut draft = Draft::new(current.clone(), learned);
            let result = edit(&mut draft);
            // Nothing changes while the state is locked: if nobody is using what the edit turned out to need, it stands.
            if !guard.covers(draft.wanted()) && !guard.try_extend(draft.wanted()) {
                draft.wanted().iter().for_each(|(key, mode)| want(&mut wanted, key.clone(), *mode));
                continue;
            }
            let out = result?;
            let plan = render::plan(&draft, &self.registry)?;
            for key in draft.touched() {
                match (draft.base.get(key), draft.state().get(key)) {
                    (Some(old), None) => current.set(key, Some(old.in_phase(Phase::Deleting))),
                    (None, Some(new)) => current.set(key, Some(new.in_phase(Phase::Creating))),
                    (_, new) => current.set(key, new),
                }
            }
            self.snapshot.store(Arc::new(current.clone()));
            drop(current);
            let keys = draft.touched().iter().cloned().collect();
            let after = draft.state().clone();
            return Ok((Begun { label, keys, before: draft.base, after, plan, _guard: guard }, out));
        }
    }

    fn carry_out(&self, begun: &Begun<'_>) -> Result<(), Failed> {
        let result = self.apply_and_commit(begun);
        match result {
            Ok(finals) => {
                self.publish(|state| begun.keys.iter().for_each(|key| state.set(key, begun.after.get(key))));
                // Before the final steps: who answers a sandbox lets go of its namespace first.
                self.publish_names();
                let left = self.finish(begun, &finals);
                for key in &begun.keys {
                    events::between(&begun.before, &begun.after, key).iter().for_each(|event| self.events.tell(event));
                }
                match left.0.is_empty() {
                    true => Ok(()),
                    false => Err(Failed::For(Error::LeftBehind { label: begun.label.to_owned(), left })),
                }
            }
            Err(failed) => {
                self.publish(|state| begun.keys.iter().for_each(|key| state.set(key, begun.before.get(key))));
                self.publish_names();
                Err(failed)
            }
        }
    }

    /// Takes the steps that can be undone, and makes the records durable meanwhile. Returns the final steps.
    fn apply_and_commit(&self, begun: &Begun<'_>) -> Result<Plan, Failed> {
        let mut batch = Batch::default();
        for key in &begun.keys {
            codec::write(&mut batch, &begun.after, key, begun.after.get(key).as_ref());
        }
        let (plan, ledgered) = self.settle_ledger(begun.plan.clone(), &mut batch).map_err(Failed::For)?;
        let (plan, finals) = plan.split();
        let (applied, committed) = self.both(&plan, &batch);
        let failed = |source: Box<ApplyError>| {
            let cause = source.cause.clone();
            Failed::Refused(cause, Box::new(Error::Apply { label: begun.label.to_owned(), source }))
        };
        match (applied, committed) {
            (Ok(()), Ok(())) => {
                self.publish(|state| ledgered.iter().for_each(|(key, entry)| state.set(key, entry.clone())));
                Ok(finals)
            }
            (Err(error), committed) => {
                self.put_back(begun, &ledgered, committed.is_ok(), &error.left_behind);
                Err(failed(Box::new(error)))
            }
            (Ok(()), Err(error)) => {
                let left = self.undo(&plan);
                // A store that failed may still have taken the batch: the compensation must be the next thing it gets.
                self.put_back(begun, &ledgered, true, &left);
                Err(Failed::For(Error::Store(error)))
            }
        }
    }

    /// Applies and commits at the same time: neither needs the other's outcome.
    fn both(&self, plan: &Plan, batch: &Batch) -> (Result<(), ApplyError>, Result<(), StoreError>) {
        let apply = || self.host.apply(plan).inspect(|()| debug!(steps = plan.len(), "applied"));
        match (plan.is_empty(), batch.is_empty()) {
            (true, true) => (Ok(()), Ok(())),
            (true, false) => (Ok(()), self.commit(batch)),
            (false, true) => (apply(), Ok(())),
            (false, false) => std::thread::scope(|scope| {
                let commit = scope.spawn(|| self.commit(batch));
                let applied = apply();
                let committed = commit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                (applied, committed)
            }),
        }
    }

    /// Undoes a plan that was applied; returns what could not be undone.
    fn undo(&self, plan: &Plan) -> Vec<(Op, HostError)> {
        let (revertible, finals) = plan.inverse().split();
        let mut left = Vec::new();
        for part in [revertible, finals].into_iter().filter(|part| !part.is_empty()) {
            if let Err(error) = self.host.apply(&part) {
                left.extend(unfinished(&part, error));
            }
        }
        left
    }

    /// Commits a batch, after whatever had to be undone and was not.
    pub(super) fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        if unsettled.is_empty() {
            drop(unsettled);
            return self.store.commit(batch);
        }
        let mut all = unsettled.clone();
        all.changes.extend(batch.changes.iter().cloned());
        self.store.commit(&all)?;
        *unsettled = Batch::default();
        // It is committed: committing it again would do no harm.
        self.store.defer(&unsettled).or(Ok(()))
    }

    /// Puts the records back, with a debt for every step that could not be undone.
    fn put_back(&self, begun: &Begun<'_>, ledgered: &Changes, committed: bool, left: &[(Op, HostError)]) {
        let mut batch = Batch::default();
        if committed {
            for key in &begun.keys {
                codec::write(&mut batch, &begun.before, key, begun.before.get(key).as_ref());
            }
        }
        // An original that is not back yet stays written down: a start or a repair sees to it.
        let owed = |record: &Record| match record {
            Record::Ledger(entry) => left.iter().any(|(op, _)| op.object().key() == entry.object.key()),
            _ => false,
        };
        let snapshot = self.snapshot();
        let (kept, undone): (Vec<_>, Vec<_>) =
            ledgered.iter().cloned().partition(|(_, record)| record.as_ref().is_some_and(owed));
        for (key, _) in undone {
            codec::write(&mut batch, &snapshot, &key, snapshot.get(&key).as_ref());
        }
        let debts = self.owe(begun, left, &mut batch);
        self.compensate(batch);
        self.publish(|state| {
            kept.into_iter().for_each(|(key, record)| state.set(&key, record));
            debts.into_iter().for_each(|(key, debt)| state.set(&key, Some(debt)));
        });
    }

    /// Commits what undoes an earlier commit: now, or before anything else is stored.
    fn compensate(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.commit(&batch) {
            warn!(%error, "the records could not be put back: they will be before anything else is stored");
            let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
            unsettled.changes.extend(batch.changes);
            if let Err(error) = self.store.defer(&unsettled) {
                warn!(%error, "nor could they be kept aside: a crash before the next commit would finish the operation");
            }
        }
    }

    /// Takes the final steps. What fails becomes a debt.
    fn finish(&self, begun: &Begun<'_>, finals: &Plan) -> Leftovers {
        if finals.is_empty() {
            return Leftovers::default();
        }
        let left = match self.host.apply(finals) {
            Ok(()) => return Leftovers::default(),
            Err(error) => unfinished(finals, error),
        };
        let mut batch = Batch::default();
        let debts = self.owe(begun, &left, &mut batch);
        if let Err(error) = self.commit(&batch) {
            warn!(%error, "what was left behind could not be stored: a restart finds it by its mark");
        }
        self.publish(|state| debts.into_iter().for_each(|(key, debt)| state.set(&key, Some(debt))));
        Leftovers(left)
    }

    /// Writes debts to a batch; their claims are those of the records that the operation touched.
    fn owe(&self, begun: &Begun<'_>, left: &[(Op, HostError)], batch: &mut Batch) -> Vec<(RecordKey, Record)> {
        let mut debts = Vec::new();
        for (op, error) in left {
            let key = RecordKey::Debt(debt_key(&op.object().key()));
            let debt = Debt { op: op.clone(), reason: error.to_string(), holds: holds(begun) };
            let record = Record::Debt(Arc::new(debt));
            codec::write(batch, &begun.after, &key, Some(&record));
            self.events.tell(&Event::LeftBehind { object: op.object().to_string(), reason: error.to_string() });
            debts.push((key, record));
        }
        debts
    }

    /// Turns steps on unmarked objects into changes from and to known values, writing the originals down first.
    ///
    /// Returns the plan and what becomes of the ledger when it succeeds.
    pub(super) fn settle_ledger(&self, plan: Plan, batch: &mut Batch) -> Result<(Plan, Changes), Error> {
        if !plan.ops().iter().any(|op| op.object().is_ledgered()) {
            return Ok((plan, Vec::new()));
        }
        let snapshot = self.snapshot();
        let keys = plan.ops().iter().map(Op::object).filter(|object| object.is_ledgered()).map(Object::key);
        let present = self.host.observe(&Query::of([], keys))?;
        let mut intents = Batch::default();
        let mut ledgered = Vec::new();
        let mut ops = Vec::new();
        for op in plan.ops() {
            let Some(wanted) = ledgered_sysctl(op) else {
                ops.push(op.clone());
                continue;
            };
            let key = RecordKey::Ledger(debt_key(&op.object().key()));
            let entry = snapshot.get(&key);
            let value = |value: &str| {
                let mut sysctl = wanted.clone();
                value.clone_into(&mut sysctl.value);
                Object::Sysctl(sysctl)
            };
            match (op, present.get(&op.object().key())) {
                (Op::Remove(ours), _) => {
                    if let (Tenure::Borrow, Some(Record::Ledger(entry))) = (wanted.tenure, &entry) {
                        ops.push(Op::Change { from: ours.clone(), to: value(&entry.original) });
                    }
                    batch.remove(codec::key(&key));
                    ledgered.push((key, None));
                }
                (_, Some(Object::Sysctl(now))) if now.value == wanted.value => {}
                (_, Some(Object::Sysctl(now))) => {
                    ops.push(Op::Change { from: value(&now.value), to: value(&wanted.value) });
                    // What was written down first is the original; somebody changing it since does not make it another.
                    if entry.is_none() {
                        let entry = LedgerEntry { object: value(&wanted.value), original: now.value.clone() };
                        let record = Record::Ledger(Arc::new(entry));
                        codec::write(&mut intents, &snapshot, &key, Some(&record));
                        ledgered.push((key, Some(record)));
                    }
                }
                (_, _) => return Err(HostError::Missing { what: format!("sysctl {}", wanted.name) }.into()),
            }
        }
        if let Err(error) = if intents.is_empty() { Ok(()) } else { self.commit(&intents) } {
            // The store may have taken them and only failed to say so.
            let mut undo = Batch::default();
            intents.changes.into_iter().for_each(|(key, _)| undo.remove(key));
            self.compensate(undo);
            return Err(error.into());
        }
        Ok((Plan::of(ops), ledgered))
    }
}

fn ledgered_sysctl(op: &Op) -> Option<&Sysctl> {
    match op.object() {
        Object::Sysctl(sysctl) if op.object().is_ledgered() => Some(sysctl),
        _ => None,
    }
}

/// Returns the steps of a plan that did not happen.
fn unfinished(plan: &Plan, error: ApplyError) -> Vec<(Op, HostError)> {
    match error.left_behind.is_empty() {
        false => error.left_behind,
        // A plan that was rolled back as a whole left everything it should have removed.
        true => plan.ops().iter().map(|op| (op.clone(), error.cause.clone())).collect(),
    }
}

/// Returns the text under which the debt or ledger entry of an object is stored.
pub(super) fn debt_key(key: &Key) -> String {
    serde_json::to_string(key).expect("keys are plain data")
}

/// Returns what the records of an operation claim, so that nobody gets it while something of theirs is still there.
fn holds(begun: &Begun<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for key in &begun.keys {
        // The records that remain keep their claims themselves.
        let (gone, state) = match (begun.before.get(key), begun.after.get(key)) {
            (Some(record), None) => (record, &begun.before),
            (None, Some(record)) => (record, &begun.after),
            _ => continue,
        };
        match gone {
            Record::Endpoint(endpoint) if state.network(endpoint.network).is_some() => {
                claims.extend(endpoint.addresses.iter().map(|address| Claim::Address(*address)));
                claims.extend(endpoint.bindings.iter().filter_map(|binding| {
                    let range = PortRange::new(binding.host_port, binding.last_host_port()).ok()?;
                    Some(Claim::Ports(binding.host_ip, binding.proto, range))
                }));
            }
            Record::Network(network) => claims.extend(network.pools.iter().map(|pool| Claim::Subnet(pool.prefix))),
            _ => {}
        }
    }
    claims
}
