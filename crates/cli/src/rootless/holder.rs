//! The process that keeps the namespaces between commands.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pontoon::{Owner, myself};
use rustix::mount::{MountFlags, mount};
use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdout};
use signal_hook::consts::signal::SIGTERM;

use super::{READY, alone, isolate, lock_path, pid_path};
use crate::errors::{Failure, Outcome};
use crate::settings::Settings;

/// How long the namespaces outlive the last sandbox and the last command.
const LINGER: Duration = Duration::from_secs(60);
/// How often the holder looks.
const PERIOD: Duration = Duration::from_millis(500);

/// Makes the namespaces, says so, and stays until nobody needs them.
pub(crate) fn hold(settings: &Settings) -> Outcome {
    let run_dir = &settings.run_dir;
    let failed = |error: io::Error| Failure::because(format!("cannot use the directory {}", run_dir.display()), error);
    isolate(true)?;
    pontoon::loopback_up()?;
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, asked.clone()).map_err(failed)?;
    // Opened before the directory is covered: the files below are those that the commands outside see.
    let lock = File::open(lock_path(run_dir)).map_err(failed)?;
    let outside = File::open(run_dir).map_err(failed)?;
    let Owner { pid, started, .. } = myself();
    fs::write(pid_path(run_dir), format!("{pid} {started}\n")).map_err(failed)?;
    // Mounts in here are not seen outside, so neither should be the files that they are mounted on.
    mount("tmpfs", run_dir, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=0700"))
        .map_err(|errno| failed(errno.into()))?;
    detach().map_err(failed)?;
    wait(run_dir, &lock, &asked);
    // The lock is held alone until the process ends: no command can have read the pid file meanwhile.
    rustix::fs::unlinkat(&outside, "holder.pid", rustix::fs::AtFlags::empty()).map_err(|errno| failed(errno.into()))?;
    Ok(0)
}

/// Says that it is ready and lets go of the command that started it, its terminal and its session.
fn detach() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    let null = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // It leads a group already only if it was started by hand.
    let _ = setsid();
    Ok(())
}

/// Waits until no sandbox has been there for a while, or, when asked to end, until there is none; then holds the lock alone.
fn wait(run_dir: &Path, lock: &File, asked: &AtomicBool) {
    let mut used = Instant::now();
    loop {
        sleep(PERIOD);
        let patience = if asked.load(Ordering::Relaxed) { Duration::ZERO } else { LINGER };
        let idle = is_empty(&run_dir.join("netns")) && alone(lock);
        if idle && used.elapsed() >= patience {
            return;
        }
        if idle {
            // An error would mean that it is not locked.
            let _ = lock.unlock();
        } else {
            used = Instant::now();
        }
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}
