//! Making the host what it should be: after a start, and whenever asked.
//!
//! Three things are compared: what the records ask for, what exists with our mark, and what the ledger says of things that
//! carry none. An operation that was cut short needs nothing of its own: durable records are rolled forward, marked objects
//! without a record are removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use tracing::{info, info_span, warn};

use super::locks::{LockKey, Mode, Wanted};
use super::state::{RecordKey, State};
use super::store::Batch;
use super::transact::Changes;
use super::{Engine, Event, HostError, Query, codec, render};
use crate::error::Error;
use crate::model::Sandbox;
use crate::objects::{Key, Object, Objects, Op, Plan, Tenure};

/// One thing on the host that is not as it should be: the step that would put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step.
    pub step: Op,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The steps that were taken.
    pub done: Vec<Op>,
    /// The steps that failed, and why.
    pub failed: Vec<(Op, HostError)>,
}

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Names of sandboxes that were removed because their owner, or the boot they belonged to, is gone.
    pub stale: Vec<String>,
    /// What was put right on the host.
    pub repaired: Repaired,
}

impl Engine {
    /// Brings records and host together after a start. Ask [`Engine::check_host`] before.
    ///
    /// # Errors
    ///
    /// If the host cannot be read or the store cannot be written. Steps that fail are in the answer, not an error.
    pub fn restore(&self) -> Result<Restored, Error> {
        let _span = info_span!("restore").entered();
        self.may_change("restore")?;
        let _guard = self.everything("restore")?;
        let stale = self.remove_stale()?;
        let repaired = self.reconcile()?;
        self.forget_strays();
        Ok(Restored { stale, repaired })
    }

    /// Makes the host equal to what it should be.
    ///
    /// # Errors
    ///
    /// See [`Engine::restore`].
    pub fn repair(&self) -> Result<Repaired, Error> {
        let _span = info_span!("repair").entered();
        self.may_change("repair")?;
        let _guard = self.everything("repair")?;
        self.reconcile()
    }

    /// Makes what is ours in the firewall what it should be, and looks at nothing else, after a program of that name changed
    /// it. Says so by [`Event::FirewallRestored`] if there was something to do.
    ///
    /// # Errors
    ///
    /// See [`Engine::restore`].
    pub fn restore_firewall(&self, by: &str) -> Result<Repaired, Error> {
        let _span = info_span!("restore firewall", by).entered();
        self.may_change("restore the firewall")?;
        let _guard = self.everything("restore the firewall")?;
        let is_firewall = |object: &Object| matches!(object, Object::Ruleset(_) | Object::Element(_));
        let (mut observed, mut desired) = (self.host.observe(&Query::default())?, self.desired()?);
        observed.retain(is_firewall);
        desired.retain(is_firewall);
        let repaired = self.take(&Plan::of(self.careful(Plan::between(&observed, &desired).ops().to_vec())));
        if !repaired.done.is_empty() {
            self.events.tell(&Event::FirewallRestored { by: by.to_owned(), steps: repaired.done.len() });
        }
        Ok(repaired)
    }

    /// Names what differs between the host and what it should be, and changes nothing.
    ///
    /// # Errors
    ///
    /// If the host cannot be read.
    pub fn diagnose(&self) -> Result<Vec<Difference>, Error> {
        let _guard = self.everything("doctor")?;
        let mut steps = self.difference()?.ops().to_vec();
        steps.extend(self.orphans(&self.snapshot())?.into_iter().map(|(_, op)| op));
        Ok(steps.into_iter().map(|step| Difference { step }).collect())
    }

    /// Returns what a repair would leave if every record were removed first: the plan that undoes all of Pontoon.
    ///
    /// # Errors
    ///
    /// See [`Engine::restore`].
    pub fn purge(&self) -> Result<Repaired, Error> {
        let _span = info_span!("purge").entered();
        self.may_change("purge")?;
        let _guard = self.everything("purge")?;
        let state = self.snapshot();
        let records = state
            .sandboxes()
            .map(|r| RecordKey::Sandbox(r.id))
            .chain(state.endpoints().map(|r| RecordKey::Endpoint(r.id)))
            .chain(state.networks().map(|r| RecordKey::Network(r.id)))
            // What was ensured stays: others may have come to rely on it.
            .chain(
                state.ledger().filter(|(_, entry)| stays(&entry.object)).map(|(key, _)| RecordKey::Ledger(key.clone())),
            )
            .collect::<Vec<_>>();
        self.remove_records(&records, Batch::default())?;
        self.reconcile()
    }

    fn everything(&self, label: &str) -> Result<super::locks::Guard<'_>, Error> {
        self.locks
            .acquire(Wanted::from([(LockKey::All, Mode::Exclusive)]), self.config.deadline)
            .ok_or_else(|| Error::Busy { label: label.to_owned(), waited: self.config.deadline })
    }

    /// Removes sandboxes that cannot exist any more, with their endpoints. Their objects go with the next reconciliation.
    fn remove_stale(&self) -> Result<Vec<String>, Error> {
        let outdated = self.is_outdated()?;
        let state = self.snapshot();
        let is_stale = |sandbox: &&Arc<Sandbox>| {
            outdated || sandbox.spec.owner.is_some_and(|owner| !self.environment.is_alive(owner))
        };
        let stale: Vec<_> = state.sandboxes().filter(is_stale).collect();
        let mut records = Vec::new();
        for sandbox in &stale {
            records.extend(state.attached_to(sandbox.id).map(|endpoint| RecordKey::Endpoint(endpoint.id)));
            records.push(RecordKey::Sandbox(sandbox.id));
        }
        if outdated {
            // The kernel's half is gone: there is nothing left to undo.
            records.extend(state.debts().map(|(key, _)| RecordKey::Debt(key.clone())));
            records.extend(state.ledger().map(|(key, _)| RecordKey::Ledger(key.clone())));
        }
        // In one commit: a state that belongs here has no sandboxes of elsewhere.
        self.remove_records(&records, self.placing()?)?;
        Ok(stale.iter().map(|sandbox| sandbox.spec.name.clone()).collect())
    }

    fn remove_records(&self, keys: &[RecordKey], mut batch: Batch) -> Result<(), Error> {
        keys.iter().for_each(|key| batch.remove(codec::key(key)));
        if !batch.is_empty() {
            self.commit(&batch)?;
        }
        let before = self.snapshot();
        self.publish(|state| keys.iter().for_each(|key| state.set(key, None)));
        let after = self.snapshot();
        // Who answers a sandbox lets go of its namespace before it is removed.
        self.publish_names();
        for key in keys {
            super::events::between(&before, &after, key).iter().for_each(|event| self.events.tell(event));
        }
        Ok(())
    }

    fn reconcile(&self) -> Result<Repaired, Error> {
        self.host.settle()?;
        let plan = self.difference()?;
        let mut batch = Batch::default();
        let (plan, ledgered) = self.settle_ledger(plan, &mut batch)?;
        let mut steps = plan.ops().to_vec();
        steps.extend(self.orphans(&self.snapshot())?.into_iter().map(|(_, op)| op));
        let mut repaired = self.take(&Plan::of(self.careful(steps)));
        self.pay(&mut repaired);
        let failed: BTreeSet<Key> = repaired.failed.iter().map(|(op, _)| op.object().key()).collect();
        self.settle_debts(&failed, batch, ledgered)?;
        for op in &repaired.done {
            info!(step = %op, "put right");
            self.events.tell(&Event::DriftRepaired { step: op.to_string() });
        }
        self.host.settle()?;
        Ok(repaired)
    }

    /// Leaves out removals if some records could not be read: those may ask for what nobody else does.
    fn careful(&self, mut steps: Vec<Op>) -> Vec<Op> {
        steps.retain(|step| !(self.incomplete && matches!(step, Op::Remove(_))));
        steps
    }

    /// Forgets the flows that a process which died left of addresses that nobody has now. Of a network whose removal it did not
    /// survive, the subnets are not known any more: flows of those stay until they time out.
    fn forget_strays(&self) {
        let state = self.snapshot();
        let pools = || state.networks().filter(|network| !network.spec.config_only).flat_map(|network| &network.pools);
        let subnets: Vec<IpNet> = pools().map(|pool| pool.prefix).collect();
        // Records that could not be read may have addresses that nobody else has.
        if subnets.is_empty() || self.incomplete {
            return;
        }
        let given = state.endpoints().filter(|endpoint| endpoint.attached.is_some()).flat_map(|one| &one.addresses);
        let taken = given
            .map(IpNet::addr)
            .chain(pools().flat_map(|pool| pool.gateway.iter().chain(pool.aux.values()).copied()));
        self.host.forget_strays(&subnets, &taken.collect());
    }

    /// Takes a plan as a whole; if that fails, step by step, as far as it goes.
    fn take(&self, plan: &Plan) -> Repaired {
        let mut repaired = Repaired::default();
        let (revertible, finals) = plan.clone().split();
        for part in [revertible, finals].into_iter().filter(|part| !part.is_empty()) {
            if self.host.apply(&part).is_ok() {
                repaired.done.extend(part.ops().iter().cloned());
                continue;
            }
            for op in part.ops() {
                match self.host.apply(&Plan::of(vec![op.clone()])) {
                    Ok(()) => repaired.done.push(op.clone()),
                    Err(error) => {
                        warn!(step = %op, error = %error.cause, "could not be put right");
                        repaired.failed.push((op.clone(), error.cause));
                    }
                }
            }
        }
        repaired
    }

    /// Takes the steps that are owed: what was half removed may be too little to be observed.
    fn pay(&self, repaired: &mut Repaired) {
        for (_, debt) in self.snapshot().debts().filter(|(_, debt)| matches!(debt.op, Op::Remove(_))) {
            let key = debt.op.object().key();
            let needed = self.desired().is_ok_and(|desired| desired.get(&key).is_some());
            let tried = repaired.done.iter().any(|op| op.object().key() == key);
            if needed || tried || repaired.failed.iter().any(|(op, _)| op.object().key() == key) {
                continue;
            }
            match self.host.apply(&Plan::of(vec![debt.op.clone()])) {
                Ok(()) => repaired.done.push(debt.op.clone()),
                Err(error) => repaired.failed.push((debt.op.clone(), error.cause)),
            }
        }
    }

    /// Forgets debts that are paid and ledger entries that are settled.
    fn settle_debts(&self, failed: &BTreeSet<Key>, mut batch: Batch, ledgered: Changes) -> Result<(), Error> {
        let state = self.snapshot();
        let paid: Vec<RecordKey> = state
            .debts()
            .filter(|(_, debt)| !failed.contains(&debt.op.object().key()))
            .map(|(key, _)| RecordKey::Debt(key.clone()))
            .collect();
        let orphans = self.orphans(&state)?;
        let settled = orphans.iter().filter(|(_, op)| !failed.contains(&op.object().key()));
        let settled: Vec<RecordKey> = settled.map(|(key, _)| key.clone()).collect();
        paid.iter().chain(&settled).for_each(|key| batch.remove(codec::key(key)));
        if !batch.is_empty() {
            self.commit(&batch)?;
        }
        self.publish(|state| {
            paid.iter().chain(&settled).for_each(|key| state.set(key, None));
            ledgered.into_iter().for_each(|(key, record)| state.set(&key, record));
        });
        Ok(())
    }

    /// Returns the steps from what exists to what should.
    fn difference(&self) -> Result<Plan, Error> {
        let state = self.snapshot();
        let mut desired = render::all(&state, &self.registry)?;
        let unmarked: Vec<Key> = desired.iter().filter(|object| object.is_unmarked()).map(Object::key).collect();
        let query = Query::of(state.sandboxes().map(|sandbox| sandbox.id), unmarked);
        let mut observed = self.host.observe(&query)?;
        if !self.config.resident {
            let lasting = |object: &Object| !object.is_volatile();
            desired.retain(lasting);
            observed.retain(lasting);
        }
        align_tenure(&desired, &mut observed);
        Ok(Plan::between(&observed, &desired))
    }

    /// Returns, for every ledger entry that nobody needs any more, the step that restores the original. Such entries are
    /// what an operation leaves that was cut short.
    fn orphans(&self, state: &State) -> Result<Vec<(RecordKey, Op)>, Error> {
        if state.ledger().next().is_none() {
            return Ok(Vec::new());
        }
        let desired = render::all(state, &self.registry)?;
        Ok(state
            .ledger()
            .filter(|(_, entry)| desired.get(&entry.object.key()).is_none())
            .map(|(key, entry)| {
                let mut original = entry.object.clone();
                if let Object::Sysctl(sysctl) = &mut original {
                    entry.original.clone_into(&mut sysctl.value);
                }
                (RecordKey::Ledger(key.clone()), Op::Change { from: entry.object.clone(), to: original })
            })
            .collect())
    }
}

fn stays(object: &Object) -> bool {
    matches!(object, Object::Sysctl(sysctl) if sysctl.tenure == Tenure::Ensure)
}

/// What a kernel setting is to become later cannot be read off the kernel: it is ours to say.
fn align_tenure(desired: &Objects, observed: &mut Objects) {
    for object in desired.iter() {
        if let (Object::Sysctl(wanted), Some(Object::Sysctl(present))) = (object, observed.get(&object.key())) {
            let mut present = present.clone();
            present.tenure = wanted.tenure;
            observed.set(present);
        }
    }
}
