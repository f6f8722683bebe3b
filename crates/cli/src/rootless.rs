//! Ordinary users: every command works in a user, network and mount namespace that the user's commands share.
//!
//! ```text
//! command                                     holder (`pontoon hold`, one per run directory)
//!   shared lock on <run-dir>/holder.lock        unshares, becomes root inside, mounts a tmpfs over <run-dir>
//!   <run-dir>/holder.pid names a live one? --no--> started, says "ready" on its standard output
//!   setns(user, net, mnt), then as root         ends when no sandbox and no command has been there for a while
//! ```
//!
//! The lock is what makes ending safe: a holder goes only while it holds the lock alone, and takes its pid file with it.

mod holder;

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pontoon::{Owner, is_alive, myself};
use rustix::process::{Pid, PidfdFlags, Signal, getegid, geteuid, pidfd_open, pidfd_send_signal};
use rustix::thread::UnshareFlags;

pub(crate) use holder::hold;

use crate::enter;
use crate::errors::Failure;
use crate::settings::Settings;

/// What a holder prints when its namespaces can be joined.
const READY: &str = "ready";

/// Membership in the user's namespaces; while it lasts, they stay.
#[derive(Debug)]
pub(crate) struct Membership {
    _lock: File,
    holder: OwnedFd,
}

/// Moves this process, which must have one thread only, into the user's namespaces; starts a holder if there is none.
pub(crate) fn join(settings: &Settings) -> Result<Membership, Failure> {
    let run_dir = &settings.run_dir;
    let failed = |error: io::Error| Failure::because(format!("cannot use the directory {}", run_dir.display()), error);
    DirBuilder::new().recursive(true).mode(0o700).create(run_dir).map_err(failed)?;
    let lock = File::options().read(true).write(true).create(true).truncate(false).open(lock_path(run_dir));
    let lock = lock.map_err(failed)?;
    lock.lock_shared().map_err(failed)?;
    let holder = match running(run_dir) {
        Some(holder) => holder,
        None => start(run_dir)?,
    };
    enter::join(&holder).map_err(|error| Failure::because("cannot join your user namespace", error))?;
    Ok(Membership { _lock: lock, holder })
}

impl Membership {
    /// Asks the holder to end as soon as nobody needs it.
    pub(crate) fn release(&self) {
        // If it has gone already, so much the better.
        let _ = pidfd_send_signal(&self.holder, Signal::TERM);
    }
}

/// Moves this process, which must have one thread only, into new network and mount namespaces that end with it.
pub(crate) fn isolate(rootless: bool) -> Result<(), Failure> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let mut flags = UnshareFlags::NEWNET | UnshareFlags::NEWNS;
    if rootless {
        flags |= UnshareFlags::NEWUSER;
    }
    enter::separate(flags).map_err(forbidden)?;
    if rootless {
        // user_namespaces(7): an unprivileged process must give up setgroups(2) before it maps its group.
        let map = |file: &str, text: String| {
            fs::write(format!("/proc/self/{file}"), text)
                .map_err(|error| Failure::because(format!("cannot write /proc/self/{file}"), error))
        };
        map("setgroups", "deny".to_owned())?;
        map("uid_map", format!("0 {user} 1"))?;
        map("gid_map", format!("0 {group} 1"))?;
    }
    rustix::mount::mount_change(
        "/",
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
    )
    .map_err(|error| Failure::because("cannot make the mounts private", io::Error::from(error)))
}

fn forbidden(error: io::Error) -> Failure {
    Failure::because("cannot make namespaces of your own: this system does not let ordinary users do so", error).hinted(
        "run as root, or allow it: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and \
         kernel.apparmor_restrict_unprivileged_userns",
    )
}

fn lock_path(run_dir: &Path) -> PathBuf {
    run_dir.join("holder.lock")
}

fn pid_path(run_dir: &Path) -> PathBuf {
    run_dir.join("holder.pid")
}

/// Returns the live holder of a run directory. Its pid file is trusted only if the process is what the file says.
fn running(run_dir: &Path) -> Option<OwnedFd> {
    let text = fs::read_to_string(pid_path(run_dir)).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    let owner = Owner { pid: pid.parse().ok()?, started: started.parse().ok()?, ..myself() };
    let holder = pidfd_open(Pid::from_raw(owner.pid.try_into().ok()?)?, PidfdFlags::empty()).ok()?;
    is_alive(owner).then_some(holder)
}

/// Starts a holder and waits until its namespaces can be joined; only one of several commands does.
fn start(run_dir: &Path) -> Result<OwnedFd, Failure> {
    let failed = |error: io::Error| Failure::because("cannot start the holder of your user namespace", error);
    let starting =
        File::options().read(true).write(true).create(true).truncate(false).open(run_dir.join("holder.start"));
    let starting = starting.map_err(failed)?;
    starting.lock().map_err(failed)?;
    if let Some(holder) = running(run_dir) {
        return Ok(holder);
    }
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("--run-dir").arg(run_dir).arg("hold").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut holder = command.spawn().map_err(failed)?;
    let mut said = String::new();
    if let Some(output) = holder.stdout.take() {
        BufReader::new(output).read_line(&mut said).map_err(failed)?;
    }
    if said.trim() == READY
        && let Some(holder) = running(run_dir)
    {
        return Ok(holder);
    }
    let output = holder.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(text.trim().trim_start_matches("error: ").to_owned()))
}

/// Takes the lock alone, if nobody uses the namespaces now.
fn alone(lock: &File) -> bool {
    match lock.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "cannot lock");
            false
        }
    }
}
