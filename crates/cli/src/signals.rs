//! Signals: noticed while Pontoon works, passed on while the command runs.

use std::io::{self, stdin};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, getpgrp, pidfd_open, pidfd_send_signal};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::{Handle, Signals};

use crate::errors::OURS;

const PASSED_ON: [i32; 7] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];
/// Those that ask to end; noticed before the command runs, they undo what was done.
const ENDING: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];
/// Those that a terminal sends to all processes in its foreground.
const FROM_TERMINAL: [i32; 3] = [SIGINT, SIGQUIT, SIGWINCH];

/// Takes signals from now on, so that none of them ends this process.
pub(crate) struct Watch {
    shared: Arc<Mutex<Shared>>,
    handle: Handle,
}

#[derive(Default)]
struct Shared {
    command: Option<OwnedFd>,
    /// What came before there was a command, in order.
    early: Vec<i32>,
}

impl Watch {
    /// Begins.
    pub(crate) fn start() -> io::Result<Self> {
        let mut signals = Signals::new(PASSED_ON)?;
        let handle = signals.handle();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let theirs = shared.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                take(&theirs, signal);
            }
        })?;
        Ok(Self { shared, handle })
    }

    /// Returns the signal that asked to end before there was a command to pass it on to.
    pub(crate) fn ending(&self) -> Option<i32> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.early.iter().copied().find(|signal| ENDING.contains(signal))
    }

    /// Passes signals on to a command from now on, beginning with those that came too early.
    pub(crate) fn pass_on_to(&self, command: &Child) -> io::Result<()> {
        let pid = i32::try_from(command.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let command = pidfd_open(pid, PidfdFlags::empty())?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for signal in shared.early.drain(..).filter_map(Signal::from_named_raw) {
            pidfd_send_signal(&command, signal)?;
        }
        shared.command = Some(command);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// Returns the exit status of who ends because of a signal, as a shell says it.
pub(crate) fn status_of(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(OURS)
}

fn take(shared: &Mutex<Shared>, signal: i32) {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match (&shared.command, Signal::from_named_raw(signal)) {
        (Some(_), _) if FROM_TERMINAL.contains(&signal) && in_foreground() => {}
        (Some(command), Some(signal)) => {
            // The command may have ended a moment ago.
            let _ = pidfd_send_signal(command, signal);
        }
        (None, _) => shared.early.push(signal),
        (Some(_), None) => {}
    }
}

/// Returns whether the command, which is in our process group, hears from the terminal itself.
fn in_foreground() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}
