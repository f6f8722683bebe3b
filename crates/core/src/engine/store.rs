//! The store: what survives the process.
//!
//! Records are bytes under text keys; one commit is one batch, durable when it returns. The trait lives here so that the
//! engine can be tested on a double; `pontoon-host` has the implementation on disk.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One durable change: every key gets its new value, or is removed (`None`).
///
/// Later entries of the same key win. An empty batch is legal and does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Key and new value, in the order they were put.
    pub changes: Vec<(String, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<String>, value: Vec<u8>) {
        self.changes.push((key.into(), Some(value)));
    }

    /// Removes `key`; removing an absent key is not an error.
    pub fn remove(&mut self, key: impl Into<String>) {
        self.changes.push((key.into(), None));
    }

    /// Returns whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Keeps records across processes.
pub trait Store: Send + Sync {
    /// Returns the value of `key`, if any.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Returns all keys that start with `prefix` with their values, in key order.
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
    /// Makes `batch` durable, all or nothing. Concurrent callers may share one flush.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
    /// Keeps a batch that could not be committed, beside the records: whoever opens the store next commits it before
    /// anything else. An empty batch takes back what was kept. A store that dies with its process need not do anything.
    fn defer(&self, _batch: &Batch) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Why the store could not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds the store.
    #[error("the store {path} is held by {holder}")]
    Held {
        /// The store's file.
        path: String,
        /// Who holds it, as far as is known: a pid and a command, or "another process".
        holder: String,
    },
    /// The file is not a store, or is damaged.
    #[error("the store {path} cannot be read: {reason}")]
    Damaged {
        /// The store's file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused: permissions, a full disk, an I/O error.
    #[error("the store {path} failed to {action}")]
    Io {
        /// The store's file.
        path: String,
        /// What was attempted: "open", "commit", ...
        action: &'static str,
        /// The system's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.changes {
            match value {
                Some(bytes) => writeln!(f, "put {key} ({} bytes)", bytes.len())?,
                None => writeln!(f, "remove {key}")?,
            }
        }
        Ok(())
    }
}
