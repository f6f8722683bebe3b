//! Whether the last process ended in order.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pontoon_core::engine::{Host, StoreError};

use crate::builder::io;

/// A mark in the state directory that is there while a process uses it. It need not be durable: after a crash of the machine
/// the boot is another one, which is noticed anyway.
pub(crate) struct Session {
    mark: PathBuf,
    followed_order: bool,
}

impl Session {
    /// Leaves the mark. The store's lock must be held.
    pub(crate) fn begin(root: &Path) -> Result<Self, StoreError> {
        let mark = root.join("in-use");
        let followed_order = !mark.exists();
        fs::write(&mark, format!("{}\n", std::process::id())).map_err(|error| io(&mark, "write", error))?;
        Ok(Self { mark, followed_order })
    }

    /// Returns whether the process before this one took its mark away.
    pub(crate) fn follows_order(&self) -> bool {
        self.followed_order
    }

    /// Takes the mark away: everything that was begun is finished.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        fs::remove_file(&self.mark).map_err(|error| io(&self.mark, "remove", error))
    }
}

/// Host ports that stay held after the controller was closed, until this is dropped.
pub struct Holds {
    pub(crate) host: Arc<dyn Host>,
}
