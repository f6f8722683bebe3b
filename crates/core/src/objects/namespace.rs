//! Network namespaces of sandboxes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{NamespaceSource, SandboxId};

/// A sandbox's network namespace, held by a file `<run-dir>/netns/<first 12 of the sandbox id>`. A new one has `lo` up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// Whose it is.
    pub source: NamespaceSource,
}

impl Namespace {
    /// Returns whether it was made for the sandbox and is destroyed with it.
    pub fn is_made(&self) -> bool {
        self.source == NamespaceSource::New
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "namespace of sandbox {}", self.sandbox.short())?;
        match &self.source {
            NamespaceSource::New => Ok(()),
            NamespaceSource::Adopted(path) => write!(f, " adopted from {path}"),
            NamespaceSource::Host => write!(f, " is the host's"),
            NamespaceSource::Later => write!(f, " is still to come"),
        }
    }
}
