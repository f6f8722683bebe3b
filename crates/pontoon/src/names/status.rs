//! How it stands with answering for names: what the helper says of itself, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::helper::{connect, exchange, peer};
use super::{Names, STATUS, document, socket};
use crate::Controller;

/// What the helper says when it is asked for its status. Sandboxes are named by the beginning of their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Status {
    /// Those that are answered.
    pub(super) answered: BTreeSet<String>,
    /// Those that are not, and why not.
    pub(super) refused: BTreeMap<String, String>,
}

/// Why containers may not find each other by name.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file from which the process that answers learns the names.
    #[error("{} {reason}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no process that answers.
    #[error("nobody answers at {}: {source}", socket.display())]
    Nobody {
        /// Where it is asked.
        socket: PathBuf,
        /// What came of asking.
        source: io::Error,
    },
    /// There is one, and it says nothing.
    #[error("process {pid} is asked, and does not answer")]
    Silent {
        /// Which one.
        pid: i32,
    },
    /// One sandbox has no resolver.
    #[error("nobody answers in sandbox {sandbox}: {reason}")]
    Sandbox {
        /// The name of its container.
        sandbox: String,
        /// Why not, in the words of the process that should.
        reason: String,
    },
}

impl Controller {
    /// Returns why containers may not find each other by name, as far as that can be seen from outside; nothing if no sandbox
    /// needs [`super::serve`], or this controller tells nobody names. It waits five seconds for a process that is silent.
    pub fn name_faults(&self) -> Vec<Fault> {
        let state = self.engine.snapshot();
        let wanted = Names::of(&state);
        if self.config.names.is_none() || wanted.is_empty() {
            return Vec::new();
        }
        let run_dir = &self.config.run_dir;
        let mut faults: Vec<Fault> = written(run_dir, &wanted).into_iter().collect();
        let status = match ask(run_dir) {
            Ok(status) => status,
            Err(fault) => {
                faults.push(fault);
                return faults;
            }
        };
        for id in wanted.sandboxes.keys().filter(|id| !status.answered.contains(&id.short())) {
            let name = state.sandbox(*id).map_or_else(|| id.short(), |sandbox| sandbox.spec.name.clone());
            let reason = status.refused.get(&id.short()).cloned();
            let reason = reason.unwrap_or_else(|| "the process that answers does not know it".to_owned());
            faults.push(Fault::Sandbox { sandbox: name, reason });
        }
        faults
    }
}

/// Returns what is wrong with the names that are written down.
fn written(run_dir: &Path, wanted: &Names) -> Option<Fault> {
    let path = document(run_dir);
    let reason = match fs::read(&path).map(|text| serde_json::from_slice::<Names>(&text)) {
        Ok(Ok(names)) if names == *wanted => return None,
        Ok(Ok(_)) => "is not up to date".to_owned(),
        Ok(Err(error)) => format!("is damaged: {error}"),
        Err(error) if error.kind() == ErrorKind::NotFound => "is missing".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    Some(Fault::Document { path, reason })
}

fn ask(run_dir: &Path) -> Result<Status, Fault> {
    let nobody = |source| Fault::Nobody { socket: socket(run_dir), source };
    let stream = connect(run_dir).map_err(nobody)?;
    let pid = peer(&stream).map_err(nobody)?;
    match exchange(&stream, STATUS) {
        Ok(answer) => serde_json::from_str(&answer).map_err(|error| nobody(error.into())),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(Fault::Silent { pid: pid.as_raw_pid() }),
        Err(error) => Err(nobody(error)),
    }
}
