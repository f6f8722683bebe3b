//! Seeing to it that sandboxes are answered while somebody lives with one of them.

use std::ffi::OsString;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pontoon_core::model::SandboxId;

use super::helper::Helper;
use super::{read, version};

/// How long to wait after a helper could not be started, and how often it is looked whether there are names.
const PAUSE: Duration = Duration::from_secs(1);

/// A watch over the helper; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: bool,
    /// Its end is the helper's.
    connection: Option<UnixStream>,
}

/// Watches the helper of a run directory from now on, and starts another at once when it dies, as long as a sandbox has names.
/// `helper` is the command line that starts one, as for [`crate::Config::names`].
///
/// # Errors
///
/// If there can be no thread, or this network namespace cannot be opened.
pub fn watch(run_dir: &Path, helper: &[OsString], sandbox: SandboxId) -> io::Result<Watch> {
    let helper = Helper::new(run_dir, helper).map_err(io::Error::other)?;
    let run_dir = run_dir.to_owned();
    let shared = Arc::new(Mutex::new(Shared::default()));
    let theirs = shared.clone();
    thread::Builder::new().name("watch names".to_owned()).spawn(move || follow(&run_dir, &helper, sandbox, &theirs))?;
    Ok(Watch { shared })
}

fn follow(run_dir: &Path, helper: &Helper, sandbox: SandboxId, shared: &Mutex<Shared>) {
    let over = || shared.lock().unwrap_or_else(PoisonError::into_inner).over;
    // What was said is not said again every second.
    let mut warned = false;
    while !over() {
        let seen = version(run_dir);
        let kept = match read(run_dir) {
            Ok(names) if names.concern(sandbox) => keep(helper, shared),
            Ok(_) => {
                while !over() && version(run_dir) == seen {
                    thread::sleep(PAUSE);
                }
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &kept {
            if !warned {
                tracing::warn!(%error, "nobody answers the containers' questions for names");
            }
            thread::sleep(PAUSE);
        }
        warned = kept.is_err();
    }
}

/// Waits for the end of the helper that answers now, or of the watch.
fn keep(helper: &Helper, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut connection = helper.ask_or_start()?;
    connection.set_read_timeout(None)?;
    let mut held = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if held.over {
        return Ok(());
    }
    held.connection = Some(connection.try_clone()?);
    drop(held);
    // It says nothing more: what comes is its end.
    let _ = connection.read(&mut [0]);
    Ok(())
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.over = true;
        // The thread may be waiting for a helper, and ends when it has: nobody needs to wait for that.
        if let Some(connection) = shared.connection.take() {
            // It may be at its end already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
