//! What would be done: a host and a store that take changes and do nothing, over others that are only looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use pontoon_core::engine::store::{Batch, Store, StoreError};
use pontoon_core::engine::{ApplyError, Counters, Host, HostError, HostProfile, Observe, Query};
use pontoon_core::files::Basis;
use pontoon_core::model::{NamespaceSource, SandboxId};
use pontoon_core::objects::{Object, Objects, Plan};

/// Records plans instead of applying them, and looks from then on as if they had been.
pub struct PreviewHost {
    real: Arc<dyn Host>,
    plans: Mutex<Vec<Plan>>,
}

impl PreviewHost {
    /// Looks at `real`, and leaves it alone.
    pub fn over(real: Arc<dyn Host>) -> Self {
        Self { real, plans: Mutex::new(Vec::new()) }
    }

    /// Returns the plans that would have been applied, in order.
    pub fn plans(&self) -> Vec<Plan> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observe for PreviewHost {
    fn observe(&self, query: &Query) -> Result<Objects, HostError> {
        let plans = self.plans();
        let mut objects = plans.iter().fold(self.real.observe(query)?, |objects, plan| plan.applied_to(&objects));
        if !plans.is_empty() {
            // What a plan made where nobody looks.
            objects.retain(|object| match object {
                Object::Address(address) => query.covers(address.place),
                Object::Route(route) => query.covers(route.place),
                Object::Sysctl(_) => query.unmarked.contains(&object.key()),
                _ => true,
            });
        }
        Ok(objects)
    }

    fn counters(&self, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError> {
        self.real.counters(sandbox)
    }

    fn survey(&self) -> Result<HostProfile, HostError> {
        self.real.survey()
    }

    fn files_basis(&self, namespace: &NamespaceSource) -> Result<Basis, HostError> {
        self.real.files_basis(namespace)
    }

    fn check_namespace(&self, sandbox: SandboxId, path: &str) -> Result<(), HostError> {
        self.real.check_namespace(sandbox, path)
    }
}

impl Host for PreviewHost {
    fn apply(&self, plan: &Plan) -> Result<(), ApplyError> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan.clone());
        Ok(())
    }

    fn settle(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn forget_strays(&self, _subnets: &[IpNet], _taken: &BTreeSet<IpAddr>) {}
}

/// Keeps what is committed to itself, over the records of another store.
pub struct PreviewStore {
    real: Arc<dyn Store>,
    changed: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
}

impl PreviewStore {
    /// Reads `real`, and leaves it alone.
    pub fn over(real: Arc<dyn Store>) -> Self {
        Self { real, changed: Mutex::default() }
    }

    fn changed(&self) -> MutexGuard<'_, BTreeMap<String, Option<Vec<u8>>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for PreviewStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changed().get(key) {
            Some(value) => Ok(value.clone()),
            None => self.real.get(key),
        }
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut records: BTreeMap<_, _> = self.real.scan(prefix)?.into_iter().collect();
        for (key, value) in self.changed().iter().filter(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => drop(records.insert(key.clone(), value.clone())),
                None => drop(records.remove(key)),
            }
        }
        Ok(records.into_iter().collect())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.changed().extend(batch.changes.iter().cloned());
        Ok(())
    }
}
