//! The use of a state directory: from its lock to its release.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use pontoon_core::engine::Host;
use pontoon_core::engine::store::{Batch, Store, StoreError};
use pontoon_host::store::DiskStore;

use crate::builder::io;

/// A mark in the state directory that is there while a process uses it. It need not be durable: after a crash of the machine
/// the boot is another one, which is noticed anyway.
pub(crate) struct Session {
    mark: PathBuf,
    followed_order: bool,
    store: Arc<Closable>,
}

impl Session {
    /// Leaves the mark. The store's lock is held.
    pub(crate) fn begin(root: &Path, store: DiskStore) -> Result<Self, StoreError> {
        let mark = root.join("in-use");
        let followed_order = !mark.exists();
        fs::write(&mark, format!("{}\n", std::process::id())).map_err(|error| io(&mark, "write", error))?;
        Ok(Self { mark, followed_order, store: Arc::new(Closable::new(root, store)) })
    }

    /// Returns whether the process before this one took its mark away.
    pub(crate) fn follows_order(&self) -> bool {
        self.followed_order
    }

    /// Returns the store.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Takes the mark away, for everything that was begun is finished, and closes the store.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        let removed = fs::remove_file(&self.mark).map_err(|error| io(&self.mark, "remove", error));
        self.store.close();
        removed
    }
}

/// A store that can be closed while handles on it are still about.
pub(crate) struct Closable {
    path: String,
    store: RwLock<Option<DiskStore>>,
}

impl Closable {
    pub(crate) fn new(root: &Path, store: DiskStore) -> Self {
        Self { path: root.display().to_string(), store: RwLock::new(Some(store)) }
    }

    /// Closes the store and gives up its lock.
    pub(crate) fn close(&self) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, work: impl FnOnce(&DiskStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Some(store) => work(store),
            None => Err(StoreError::Io {
                path: self.path.clone(),
                action: "serve",
                source: "its controller was stopped: open another".into(),
            }),
        }
    }
}

impl Store for Closable {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|store| store.get(key))
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.with(|store| store.scan(prefix))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.with(|store| store.commit(batch))
    }

    fn defer(&self, batch: &Batch) -> Result<(), StoreError> {
        self.with(|store| store.defer(batch))
    }
}

/// Host ports that stay held after the controller was closed, until this is dropped.
pub struct Holds {
    pub(crate) host: Arc<dyn Host>,
}
