//! The store on disk as it is at one moment, for those that only look.
//!
//! redb repairs a file whose writer was killed before it reads it. Here that happens to a copy in memory, so neither the
//! directory nor the file system need to be writable.

use std::io;
use std::path::Path;
use std::time::Duration;

use pontoon_core::engine::store::{Batch, Store, StoreError};

use super::MemoryStore;
use super::file::{self, io_error};
use super::lock::ReadLock;

/// What a [`super::DiskStore`] of the same directory would hold when it is opened. It refuses to change.
///
/// While it exists nobody can change the directory; others may look too.
#[derive(Debug)]
pub struct ReadOnlyStore {
    records: MemoryStore,
    path: String,
    _lock: Option<ReadLock>,
}

impl ReadOnlyStore {
    /// Reads the store in the directory `root`, and waits up to `wait` for a holder to end. Where there is none, it is
    /// empty. Nothing is created.
    ///
    /// # Errors
    ///
    /// Those of [`super::DiskStore::open`].
    pub fn open(root: &Path, wait: Duration) -> Result<Self, StoreError> {
        let lock_path = root.join("lock");
        let path = root.join("pontoon.redb");
        loop {
            let lock = ReadLock::acquire(&lock_path, wait)?;
            let records = read(&path)?;
            // Without a lock file nobody used the directory so far; who began meanwhile may be in the middle of a commit.
            if lock.is_some() || !lock_path.exists() {
                return Ok(Self { records, path: path.display().to_string(), _lock: lock });
            }
        }
    }
}

/// Reads the records, and makes up for what a commit could not do.
fn read(path: &Path) -> Result<MemoryStore, StoreError> {
    let records = if file::is_new(path)? { Vec::new() } else { file::read_copy(path)? };
    let mut all = Batch::default();
    records.into_iter().for_each(|(key, value)| all.put(key, value));
    all.changes.extend(file::read_deferred(path)?.unwrap_or_default().changes);
    let store = MemoryStore::new();
    store.commit(&all)?;
    Ok(store)
}

impl Store for ReadOnlyStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.records.get(key)
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.records.scan(prefix)
    }

    fn commit(&self, _: &Batch) -> Result<(), StoreError> {
        let refused = io::Error::new(io::ErrorKind::PermissionDenied, "it was opened for reading only");
        Err(io_error(Path::new(&self.path), "commit", refused))
    }
}
