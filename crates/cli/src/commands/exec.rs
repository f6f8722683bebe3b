//! Running a command inside a namespace.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use rustix::thread::UnshareFlags;

use crate::enter::{Namespace, on_a_thread, separate};
use crate::errors::{Failure, NO_COMMAND, NOT_EXECUTABLE, OURS, Outcome};
use crate::signals::Watch;

/// Where a command runs.
pub(crate) struct Place<'a> {
    /// The network namespace; none means the present one.
    pub(crate) namespace: Option<&'a Namespace>,
    /// The host name to have.
    pub(crate) hostname: Option<&'a str>,
}

/// Runs a command, passes signals on to it, waits, and returns its status.
pub(crate) fn run(place: &Place<'_>, command: &[OsString], signals: &Watch) -> Outcome {
    let mut child = spawn(place, command)?;
    let passed = signals.pass_on_to(&child);
    let status = child.wait().map_err(|error| Failure::because("cannot wait for the command", error).exiting(OURS))?;
    if let Err(error) = passed {
        tracing::warn!(%error, "signals were not passed on");
    }
    Ok(code(status))
}

fn spawn(place: &Place<'_>, words: &[OsString]) -> Result<Child, Failure> {
    let [program, arguments @ ..] = words else {
        return Err(Failure::usage("name the command to run"));
    };
    let spawned = on_a_thread(|| {
        enter(place)?;
        // Which of the two failed makes a difference for the exit status.
        Ok(Command::new(program).args(arguments).spawn())
    });
    let entered = spawned.map_err(|error| Failure::because("cannot enter the sandbox", error).exiting(OURS))?;
    entered.map_err(|error| {
        let status = if error.kind() == io::ErrorKind::NotFound { NO_COMMAND } else { NOT_EXECUTABLE };
        Failure::because(format!("cannot run {}", program.display()), error).exiting(status)
    })
}

fn enter(place: &Place<'_>) -> io::Result<()> {
    if let Some(hostname) = place.hostname {
        separate(UnshareFlags::NEWUTS)?;
        rustix::system::sethostname(hostname.as_bytes())?;
    }
    place.namespace.map_or(Ok(()), Namespace::enter)
}

/// As a shell says it: the status, or 128 and the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(OURS)
}
