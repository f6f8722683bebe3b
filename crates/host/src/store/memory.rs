//! The store that keeps nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pontoon_core::engine::store::{Batch, Store, StoreError};

use super::Point;

/// Keeps records in memory, for embedders that want no persistence and for tests.
///
/// Clones share the records, so that a second engine opened on a clone sees what a "killed" first one committed.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    records: BTreeMap<String, Vec<u8>>,
    /// Commits that were attempted.
    commits: u64,
    /// Commits that are to fail, by their number, and where.
    faults: BTreeMap<u64, Point>,
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `nth` commit from now fail, once; 1 is the next one.
    ///
    /// With [`Point::Before`] nothing is applied; with [`Point::After`] everything is, and only the answer is lost. Empty
    /// batches do not count.
    pub fn fail_commit(&self, nth: u64, point: Point) {
        let mut content = self.content();
        let number = content.commits.saturating_add(nth);
        content.faults.insert(number, point);
    }

    /// Returns how many commits were attempted, failed ones included.
    pub fn commits(&self) -> u64 {
        self.content().commits
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Nothing panics while holding the lock halfway through a change.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.content().records.get(key).cloned())
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let content = self.content();
        let from_prefix = content.records.range(prefix.to_owned()..);
        Ok(from_prefix
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut content = self.content();
        content.commits += 1;
        let number = content.commits;
        let fault = content.faults.remove(&number);
        if fault != Some(Point::Before) {
            content.apply(batch);
        }
        fault.map_or(Ok(()), |point| Err(injected(number, point)))
    }
}

impl Content {
    fn apply(&mut self, batch: &Batch) {
        for (key, value) in &batch.changes {
            match value {
                Some(value) => self.records.insert(key.clone(), value.clone()),
                None => self.records.remove(key),
            };
        }
    }
}

fn injected(number: u64, point: Point) -> StoreError {
    let when = match point {
        Point::Before => "before",
        Point::After => "after",
    };
    StoreError::Io {
        path: "in memory".to_owned(),
        action: "commit",
        source: format!("fault injected {when} commit {number}").into(),
    }
}
