//! Seeing to it that sandboxes are answered while somebody lives with one of them.

use std::ffi::OsString;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pontoon_core::model::SandboxId;

use super::helper::Helper;
use super::read;

/// How long to wait after a helper could not be started.
const PAUSE: Duration = Duration::from_secs(1);

/// A watch over the helper; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
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
    let wanted = move || read(&run_dir).is_ok_and(|names| names.concern(sandbox));
    let thread = thread::Builder::new()
        .name("watch names".to_owned())
        .spawn(move || while wanted() && keep(&helper, &theirs) {})?;
    Ok(Watch { shared, thread: Some(thread) })
}

/// Waits for the end of the helper that answers now, or of the watch; returns whether the watch goes on.
fn keep(helper: &Helper, shared: &Mutex<Shared>) -> bool {
    let over = || shared.lock().unwrap_or_else(PoisonError::into_inner).over;
    let connection = helper.ask_or_start().and_then(|connection| {
        connection.set_read_timeout(None)?;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.connection = Some(connection.try_clone()?);
        Ok(connection)
    });
    match connection {
        Ok(mut connection) if !over() => {
            // It says nothing more: what comes is its end.
            let _ = connection.read(&mut [0]);
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, "nobody answers the containers' questions for names");
            thread::sleep(PAUSE);
        }
    }
    !over()
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.over = true;
        if let Some(connection) = shared.connection.take() {
            // It may be at its end already.
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(shared);
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}
