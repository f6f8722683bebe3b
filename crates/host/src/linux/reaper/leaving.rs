//! What is as good as deleted and looks as if it were not.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names of pairs, and short ids of the sandboxes whose namespaces it is.
#[derive(Debug, Default)]
pub(super) struct Leaving(Mutex<HashSet<String>>);

impl Leaving {
    pub(super) fn add(&self, name: &str) {
        self.lock().insert(name.to_owned());
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    pub(super) fn names(&self) -> HashSet<String> {
        self.lock().clone()
    }

    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
