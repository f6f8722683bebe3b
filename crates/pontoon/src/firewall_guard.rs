//! Keeping the firewall as it should be while others change it.
//!
//! ```text
//! kernel: "a transaction" ─▶ watch: foreign, and in our table? ─▶ engine: what is missing, in one transaction ─▶ event
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_core::engine::{Engine, FirewallWatch, Host, Interrupt, Repaired};
use tracing::{info, warn};

use crate::{Config, Controller, Error, Holds, HostError};

/// The pause after a second change in a row; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause: what others remove again and again is missing no longer than that.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so long without a change the next one is the first again.
const CALM: Duration = Duration::from_secs(10);

/// Puts our nftables table back while it lives, when another program removes or changes it.
///
/// The first change is answered at once. From the second in a row on there are pauses that double up to five seconds, so
/// that a program which does so again and again costs little; after ten quiet seconds the next is answered at once again.
pub struct FirewallGuard {
    over: Arc<AtomicBool>,
    interrupt: Interrupt,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    /// Guards the firewall from now on, as long as the answer and this controller live. What was put back is told as
    /// [`crate::Event::FirewallRestored`].
    ///
    /// # Errors
    ///
    /// [`HostError::Unsupported`] on a host that does not tell of changes, and if it cannot be listened to.
    pub fn guard_firewall(&self) -> Result<FirewallGuard, Error> {
        let engine: Weak<Engine> = Arc::downgrade(&self.engine);
        let restore = move |by: &str| engine.upgrade().map_or(Ok(Repaired::default()), |one| one.restore_firewall(by));
        FirewallGuard::start(&**self.engine.host(), restore)
    }
}

impl Holds {
    /// Guards the firewall after the controller was stopped: the state is opened when something must be put back, and
    /// closed again.
    ///
    /// # Errors
    ///
    /// See [`Controller::guard_firewall`].
    pub fn guard_firewall(&self, config: Config) -> Result<FirewallGuard, Error> {
        let host = self.host.clone();
        let restore = move |by: &str| {
            let holds = Holds { host: host.clone() };
            let controller = Controller::builder(config.clone()).holds(&holds).open()?;
            let restored = controller.engine.restore_firewall(by);
            drop(controller.stop()?);
            restored
        };
        FirewallGuard::start(&*self.host, restore)
    }
}

impl FirewallGuard {
    fn start(
        host: &dyn Host,
        restore: impl Fn(&str) -> Result<Repaired, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let watch = host.watch_firewall()?;
        let interrupt = watch.interrupter()?;
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread = thread::Builder::new()
            .name("firewall guard".to_owned())
            .spawn(move || guard(watch, &restore, &theirs))
            .map_err(|e| HostError::Missing { what: format!("a thread to guard the firewall ({e})") })?;
        Ok(Self { over, interrupt, thread: Some(thread) })
    }
}

impl Drop for FirewallGuard {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        (self.interrupt)();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It does not panic.
            let _ = thread.join();
        }
    }
}

/// Puts things back until it is told to end.
fn guard(mut watch: Box<dyn FirewallWatch>, restore: &dyn Fn(&str) -> Result<Repaired, Error>, over: &AtomicBool) {
    let mut pace = Pace::default();
    loop {
        let by = match watch.changed() {
            Ok(Some(by)) => by,
            Ok(None) => return,
            Err(error) => return warn!(%error, "the firewall is not watched any more"),
        };
        let pause = pace.before(Instant::now());
        if !pause.is_zero() {
            if pause == FIRST_PAUSE {
                warn!(by, "the firewall is changed again and again: putting it back less and less often");
            }
            sleep(pause, over);
        }
        if over.load(Ordering::Acquire) {
            return;
        }
        match restore(&by) {
            Ok(Repaired { done, failed }) if !failed.is_empty() => {
                warn!(by, done = done.len(), failed = failed.len(), "the firewall could be put back in part only");
            }
            Ok(Repaired { done, .. }) if !done.is_empty() => info!(by, steps = done.len(), "the firewall is back"),
            Ok(_) => {}
            Err(error) => warn!(by, %error, "the firewall could not be put back: the next change or `repair` does so"),
        }
    }
}

/// Sleeps that long, or until it is over.
fn sleep(pause: Duration, over: &AtomicBool) {
    let end = Instant::now() + pause;
    while !over.load(Ordering::Acquire) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// How often a change is answered.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    pause: Duration,
}

impl Pace {
    /// Returns how long to wait before a change that was noticed now is answered.
    fn before(&mut self, now: Instant) -> Duration {
        let calm = self.last.is_none_or(|last| now.saturating_duration_since(last) >= CALM);
        self.pause = match self.pause {
            _ if calm => Duration::ZERO,
            Duration::ZERO => FIRST_PAUSE,
            pause => (pause * 2).min(LONGEST_PAUSE),
        };
        self.last = Some(now);
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_answered_less_and_less_often_and_the_next_one_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let pauses: Vec<u128> = (0..9).map(|nth| pace.before(start + FIRST_PAUSE * nth).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1600, 3200, 5000]);
        assert_eq!(pace.before(start + FIRST_PAUSE * 8 + CALM), Duration::ZERO);
        assert_eq!(pace.before(start + FIRST_PAUSE * 9 + CALM), FIRST_PAUSE);
    }
}
