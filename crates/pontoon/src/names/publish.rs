//! Writing the names down, and having them loaded.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pontoon_core::engine::HostError;
use pontoon_core::engine::names::{NameService, Names};

use super::document;
use super::helper::Helper;
use crate::run_dir::write_private;

/// Publishes the names of a run directory.
pub(crate) struct Publisher {
    run_dir: PathBuf,
    helper: Helper,
    wanted: AtomicU64,
    done: Mutex<Done>,
}

/// What was published last, and how many wishes that fulfilled.
#[derive(Default)]
struct Done {
    wishes: u64,
    names: Option<Names>,
}

impl Publisher {
    /// Makes a publisher for the calling thread's network namespace, whose helper is started by a command line.
    pub(crate) fn new(run_dir: &Path, helper: &[OsString]) -> Result<Self, HostError> {
        let helper = Helper::new(run_dir, helper).map_err(|error| HostError::Kernel {
            errno: error.errno().unwrap_or_default(),
            text: format!("finding this network namespace: {error}"),
        })?;
        Ok(Self { run_dir: run_dir.to_owned(), helper, wanted: AtomicU64::new(0), done: Mutex::default() })
    }

    fn write_and_tell(&self, done: &mut Done, names: Names) -> io::Result<()> {
        // Somebody may have removed what was written.
        let known = match done.names.take().filter(|_| document(&self.run_dir).exists()) {
            Some(known) => known,
            // What cannot be read is written anew.
            None => super::read(&self.run_dir).unwrap_or_default(),
        };
        let (nobody, changed) = (names.is_empty(), names != known);
        // What a helper finds when it starts it announces from the beginning. What is new was announced once already, so it has
        // to be there before.
        let reached = (changed && !nobody).then(|| self.helper.reach_or_start());
        if changed {
            write(&self.run_dir, &names)?;
        }
        done.names = Some(names);
        match reached {
            Some(stream) => self.helper.load_or_start(stream?).map(drop),
            None if !nobody => self.helper.ask_or_start().map(drop),
            // It lets go of the last sandbox; if it is not there, it has.
            None => {
                if changed {
                    self.helper.ask_if_there();
                }
                Ok(())
            }
        }
    }
}

impl NameService for Publisher {
    fn publish(&self, latest: &dyn Fn() -> Names) {
        let wish = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.wishes >= wish {
            // Somebody who came later was faster, and published what this one would.
            return;
        }
        done.wishes = self.wanted.load(Ordering::SeqCst);
        let names = latest();
        if let Err(error) = self.write_and_tell(&mut done, names) {
            done.names = None;
            tracing::warn!(%error, run_dir = %self.run_dir.display(), "containers may not find each other by name");
        }
    }
}

/// Writes the document in one step; without sandboxes there is none.
fn write(run_dir: &Path, names: &Names) -> io::Result<()> {
    let document = document(run_dir);
    if names.is_empty() {
        return fs::remove_file(document).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
    }
    let new = document.with_extension("json.new");
    write_private(&new, &serde_json::to_vec(names)?)?;
    fs::rename(new, document)
}
