//! The store on disk: one redb file under a lock of our own.
//!
//! ```text
//! <root>/              0700
//!   lock               who holds the store
//!   pontoon.redb       0600; table "records": key → value, table "format": what this file is
//!   deferred.json      changes that a failed commit could not make; made by whoever opens the store next
//!   pontoon.redb.new   a new file until it is complete; a leftover of a crash, never read
//! ```

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pontoon_core::engine::store::{Batch, Store, StoreError};
use redb::{Database, Durability, ReadableDatabase};

use super::file::{self, RECORDS, database_error, ensure_space, guard};
use super::group::Group;
use super::lock::StoreLock;
use super::{Point, Probe};

/// What must stay free on the filesystem, in bytes: redb may be unable to open a file whose disk filled up.
const RESERVE: u64 = 16 << 20;

/// Keeps records in one file, held by one process at a time.
///
/// Commits of concurrent threads share flushes. After an I/O error in a commit the store refuses further ones until it is
/// opened again, because nobody can tell what the disk kept.
pub struct DiskStore {
    // Fields drop in this order: the file must be closed before the lock lets somebody else open it.
    database: Database,
    _lock: StoreLock,
    path: PathBuf,
    group: Group,
    probe: Option<Probe>,
    flushes: AtomicU64,
    reserve: u64,
}

impl DiskStore {
    /// Opens the store in the directory `root`, creating both if absent, and waits up to `wait` for its present holder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Held`] names the holder; [`StoreError::Damaged`] is a file that is no store of ours or of a newer
    /// format; [`StoreError::Io`] is what the system refused.
    pub fn open(root: &Path, wait: Duration) -> Result<Self, StoreError> {
        file::create_directory(root)?;
        let lock = StoreLock::acquire(&root.join("lock"), wait)?;
        let path = root.join("pontoon.redb");
        if file::is_new(&path)? {
            ensure_space(&path, "create", RESERVE)?;
            file::create(root, &path)?;
        }
        let database = file::open(&path)?;
        let store = Self {
            database,
            _lock: lock,
            group: Group::new(path.display().to_string()),
            path,
            probe: None,
            flushes: AtomicU64::new(0),
            reserve: RESERVE,
        };
        store.make_up()?;
        Ok(store)
    }

    /// Commits what an earlier process could not.
    fn make_up(&self) -> Result<(), StoreError> {
        let Some(batch) = file::read_deferred(&self.path)? else { return Ok(()) };
        self.commit(&batch)?;
        self.defer(&Batch::default())
    }

    /// Calls `probe` before and after every durable commit, for tests that fail or die there.
    #[must_use]
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Returns how many flushes the commits since opening took; grouped commits share one.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    fn flush(&self, batches: &[&Batch]) -> Result<(), StoreError> {
        let needed = self.reserve.saturating_add(size(batches));
        ensure_space(&self.path, "commit", needed)?;
        self.reach(Point::Before)?;
        guard(|| self.write(batches)).map_err(|error| self.failed("commit", error))?;
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.reach(Point::After)
    }

    fn reach(&self, point: Point) -> Result<(), StoreError> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe(point))
    }

    fn write(&self, batches: &[&Batch]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for (key, value) in batches.iter().flat_map(|batch| &batch.changes) {
                match value {
                    Some(value) => records.insert(key.as_str(), value.as_slice())?,
                    None => records.remove(key.as_str())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    fn failed(&self, action: &'static str, error: redb::Error) -> StoreError {
        database_error(&self.path, action, error)
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        let records = self.database.begin_read()?.open_table(RECORDS)?;
        let found = records.get(key)?;
        Ok(found.map(|value| value.value().to_vec()))
    }
}

impl Store for DiskStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        guard(|| self.read(key)).map_err(|error| self.failed("read", error))
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        guard(|| file::scan(&self.database, prefix)).map_err(|error| self.failed("read", error))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.group.commit(batch, |batches| self.flush(batches))
    }

    fn defer(&self, batch: &Batch) -> Result<(), StoreError> {
        file::write_deferred(&self.path, batch)
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("DiskStore");
        text.field("path", &self.path).finish_non_exhaustive()
    }
}

/// Returns the bytes that the changes of `batches` hold.
fn size(batches: &[&Batch]) -> u64 {
    let changes = batches.iter().flat_map(|batch| &batch.changes);
    let bytes = changes.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
    bytes.map(|count| count as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        batch.put("network/1", b"{}".to_vec());
        batch
    }

    #[test]
    fn a_commit_leaves_room_on_the_disk() {
        let root = tempfile::tempdir().expect("a directory");
        let mut store = DiskStore::open(root.path(), Duration::ZERO).expect("a store");
        store.reserve = u64::MAX;
        let error = store.commit(&batch()).expect_err("never that much");
        let source = std::error::Error::source(&error).expect("a cause");
        assert!(source.to_string().starts_with("no space left"), "{source}");
        assert_eq!(store.scan("").expect("readable"), []);
        store.reserve = RESERVE;
        store.commit(&batch()).expect("there is room again");
    }
}
