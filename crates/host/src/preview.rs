//! What would be done: a host that takes plans and does nothing, over one that is only looked at.

use std::sync::{Arc, Mutex, PoisonError};

use pontoon_core::engine::store::{Batch, Store, StoreError};
use pontoon_core::engine::{ApplyError, Facts, Host, HostError, HostProfile, Observe, Query};
use pontoon_core::objects::{Objects, Plan};

/// Records plans instead of applying them.
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
        self.real.observe(query)
    }

    fn survey(&self) -> Result<HostProfile, HostError> {
        self.real.survey()
    }
}

impl Host for PreviewHost {
    fn apply(&self, plan: &Plan) -> Result<Facts, ApplyError> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan.clone());
        Ok(Facts::default())
    }

    fn settle(&self) -> Result<(), HostError> {
        Ok(())
    }
}

/// Takes every commit and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullStore;

impl Store for NullStore {
    fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn scan(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    fn commit(&self, _: &Batch) -> Result<(), StoreError> {
        Ok(())
    }
}
