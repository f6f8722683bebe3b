//! The use of a state directory: from its lock to its release.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use pontoon_core::engine::Host;
use pontoon_core::engine::store::{Batch, Store, StoreError};

use crate::builder::io;
use crate::{Config, Error, run_dir};

/// A mark in the state directory that is there while a process uses it to change something. It need not be durable: after a
/// crash of the machine the boot is another one, which is noticed anyway.
pub(crate) struct Session {
    mark: PathBuf,
    /// Whether the mark is this process's own.
    marked: bool,
    followed_order: bool,
    /// The run directory that was made this state's.
    claimed: Option<PathBuf>,
    store: Arc<Closable>,
}

impl Session {
    /// Looks for the mark of an earlier process. The store's lock is held.
    pub(crate) fn open(root: &Path, store: impl Store + 'static) -> Self {
        let mark = root.join("in-use");
        let followed_order = !mark.exists();
        let store = Arc::new(Closable::new(root, Box::new(store)));
        Self { mark, marked: false, followed_order, claimed: None, store }
    }

    /// Makes the run directory this state's, unless it is that of another one.
    pub(crate) fn claim(&mut self, config: &Config) -> Result<(), Error> {
        run_dir::claim(&config.run_dir, &config.root, config.take_over)?;
        self.claimed = Some(config.run_dir.clone());
        Ok(())
    }

    /// Lets another state have the run directory, for nothing of this one is there any more.
    pub(crate) fn release(&self) -> Result<(), StoreError> {
        self.claimed.as_deref().map_or(Ok(()), run_dir::release)
    }

    /// Leaves the mark: from here on something may be left unfinished.
    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        let written = fs::write(&self.mark, format!("{}\n", std::process::id()));
        self.marked = true;
        written.map_err(|error| io(&self.mark, "write", error))
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
        let removed = if self.marked { fs::remove_file(&self.mark) } else { Ok(()) };
        self.store.close();
        removed.map_err(|error| io(&self.mark, "remove", error))
    }
}

/// A store that can be closed while handles on it are still about.
pub(crate) struct Closable {
    path: String,
    store: RwLock<Option<Box<dyn Store>>>,
}

impl Closable {
    pub(crate) fn new(root: &Path, store: Box<dyn Store>) -> Self {
        Self { path: root.display().to_string(), store: RwLock::new(Some(store)) }
    }

    /// Closes the store and gives up its lock.
    pub(crate) fn close(&self) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Some(store) => work(&**store),
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
