//! Running a command inside a namespace.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use pontoon::SandboxFiles;
use rustix::thread::UnshareFlags;

use crate::args::Format;
use crate::enter::{Namespace, cover, on_a_thread, separate};
use crate::errors::{Failure, NO_COMMAND, NOT_EXECUTABLE, OURS, Outcome};
use crate::settings::Settings;
use crate::signals::Watch;

/// The files that a sandbox has its own of.
const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where a command runs.
pub(crate) struct Place<'a> {
    /// The network namespace; none means the present one.
    pub(crate) namespace: Option<&'a Namespace>,
    /// The host name to have.
    pub(crate) hostname: Option<&'a str>,
    /// The files to see.
    pub(crate) files: &'a SandboxFiles,
    /// Who may be told something.
    pub(crate) settings: &'a Settings,
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
        let missing = enter(place)?;
        // Which of the two failed makes a difference for the exit status.
        Ok((missing, Command::new(program).args(arguments).spawn()))
    });
    let (missing, entered) =
        spawned.map_err(|error| Failure::because("cannot enter the sandbox", error).exiting(OURS))?;
    note_missing(place.settings, &missing);
    entered.map_err(|error| {
        let status = if error.kind() == io::ErrorKind::NotFound { NO_COMMAND } else { NOT_EXECUTABLE };
        Failure::because(format!("cannot run {}", program.display()), error).exiting(status)
    })
}

/// Moves the calling thread inside. Returns which files of the machine do not exist, so that the sandbox's are not seen.
fn enter(place: &Place<'_>) -> io::Result<Vec<&'static Path>> {
    if let Some(hostname) = place.hostname {
        separate(UnshareFlags::NEWUTS)?;
        rustix::system::sethostname(hostname.as_bytes())?;
    }
    place.namespace.map_or(Ok(()), Namespace::enter)?;
    let SandboxFiles { hosts, resolv_conf } = place.files;
    cover(&[(hosts, Path::new(HOSTS)), (resolv_conf, Path::new(RESOLV_CONF))])
}

/// Says what a command that runs will not find.
fn note_missing(settings: &Settings, missing: &[&Path]) {
    if !settings.quiet && settings.format == Format::Table {
        for file in missing {
            anstream::eprintln!("note: this machine has no {0}, so the sandbox's own is not seen", file.display());
        }
    }
}

/// As a shell says it: the status, or 128 and the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(OURS)
}
