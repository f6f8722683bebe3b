//! Locks by key: an operation takes all that it needs at once, so operations never wait for each other in a circle.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{EndpointId, NetworkId, SandboxId};

/// What is locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockKey {
    /// Everything: restore and repair take it for themselves, all others share it.
    All,
    /// A sandbox with its endpoints.
    Sandbox(SandboxId),
    /// A network: endpoint operations share it.
    Network(NetworkId),
    /// An endpoint that is attached to nothing.
    Endpoint(EndpointId),
}

/// How it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

/// The locks an operation needs.
pub(super) type Wanted = BTreeMap<LockKey, Mode>;

/// All locks that are held.
#[derive(Default)]
pub(super) struct Locks {
    held: Mutex<BTreeMap<LockKey, Holders>>,
    released: Condvar,
}

#[derive(Default)]
struct Holders {
    shared: usize,
    exclusive: bool,
}

/// Held locks, given back when dropped.
pub(super) struct Guard<'a> {
    locks: &'a Locks,
    held: Wanted,
}

impl Locks {
    /// Takes all locks of `wanted`, or none if that takes longer than `deadline`.
    pub(super) fn acquire(&self, wanted: Wanted, deadline: Duration) -> Option<Guard<'_>> {
        let held = self.lock();
        let (mut held, timeout) = self
            .released
            .wait_timeout_while(held, deadline, |held| !wanted.iter().all(|(key, mode)| is_free(held, key, *mode)))
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        for (key, mode) in &wanted {
            let holders = held.entry(key.clone()).or_default();
            match mode {
                Mode::Shared => holders.shared += 1,
                Mode::Exclusive => holders.exclusive = true,
            }
        }
        Some(Guard { locks: self, held: wanted })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LockKey, Holders>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_free(held: &BTreeMap<LockKey, Holders>, key: &LockKey, mode: Mode) -> bool {
    held.get(key).is_none_or(|holders| match mode {
        Mode::Shared => !holders.exclusive,
        Mode::Exclusive => !holders.exclusive && holders.shared == 0,
    })
}

impl Guard<'_> {
    /// Returns whether the held locks are enough.
    pub(super) fn covers(&self, wanted: &Wanted) -> bool {
        wanted.iter().all(|(key, mode)| self.held.get(key).is_some_and(|held| held >= mode))
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.lock();
        for (key, mode) in &self.held {
            let Some(holders) = held.get_mut(key) else { continue };
            match mode {
                Mode::Shared => holders.shared -= 1,
                Mode::Exclusive => holders.exclusive = false,
            }
            if holders.shared == 0 && !holders.exclusive {
                held.remove(key);
            }
        }
        drop(held);
        self.locks.released.notify_all();
    }
}

/// Adds a lock to a set, the stronger mode winning.
pub(super) fn want(wanted: &mut Wanted, key: LockKey, mode: Mode) {
    let present = wanted.entry(key).or_insert(mode);
    *present = mode.max(*present);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(mode: Mode) -> Wanted {
        Wanted::from([(LockKey::All, mode)])
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let locks = Locks::default();
        let moment = Duration::from_millis(5);
        let one = locks.acquire(wanted(Mode::Shared), moment).unwrap();
        let two = locks.acquire(wanted(Mode::Shared), moment).unwrap();
        assert!(locks.acquire(wanted(Mode::Exclusive), moment).is_none());
        drop((one, two));
        let _writer = locks.acquire(wanted(Mode::Exclusive), moment).unwrap();
        assert!(locks.acquire(wanted(Mode::Shared), moment).is_none());
    }
}
