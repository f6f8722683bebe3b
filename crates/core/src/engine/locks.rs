//! Locks by key: an operation takes all that it needs at once, so operations never wait for each other in a circle; and
//! nobody overtakes one that came earlier and wants the same, so nobody waits for ever.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{EndpointId, NetworkId, SandboxId};

/// What is locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockKey {
    /// Everything: restore and repair take it for themselves, all others share it.
    All,
    /// Objects that several networks ask for: whoever creates or deletes a network decides alone whether they are needed.
    Shared,
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

/// All locks that are held, and who waits.
#[derive(Default)]
pub(super) struct Locks {
    table: Mutex<Table>,
    released: Condvar,
}

#[derive(Default)]
struct Table {
    held: BTreeMap<LockKey, Holders>,
    waiting: BTreeMap<u64, Wanted>,
    next_ticket: u64,
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
        let mut table = self.lock();
        let ticket = table.next_ticket;
        table.next_ticket += 1;
        table.waiting.insert(ticket, wanted);
        let waited = self.released.wait_timeout_while(table, deadline, |table| !table.is_turn_of(ticket));
        let (mut table, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let wanted = table.waiting.remove(&ticket).unwrap_or_default();
        if timeout.timed_out() {
            drop(table);
            // Whoever waited behind this one may go on.
            self.released.notify_all();
            return None;
        }
        table.take(&wanted);
        drop(table);
        // Those behind may share what was just taken.
        self.released.notify_all();
        Some(Guard { locks: self, held: wanted })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn take(&mut self, wanted: &Wanted) {
        for (key, mode) in wanted {
            let holders = self.held.entry(key.clone()).or_default();
            match mode {
                Mode::Shared => holders.shared += 1,
                Mode::Exclusive => holders.exclusive = true,
            }
        }
    }

    /// Returns whether all that a waiter wants is free, and nobody before it wants any of that otherwise.
    fn is_turn_of(&self, ticket: u64) -> bool {
        let Some(wanted) = self.waiting.get(&ticket) else { return true };
        wanted.iter().all(|(key, mode)| self.is_free(key, *mode))
            && self.waiting.range(..ticket).all(|(_, earlier)| !collide(earlier, wanted))
    }

    fn is_free(&self, key: &LockKey, mode: Mode) -> bool {
        self.held.get(key).is_none_or(|holders| match mode {
            Mode::Shared => !holders.exclusive,
            Mode::Exclusive => !holders.exclusive && holders.shared == 0,
        })
    }
}

fn collide(one: &Wanted, other: &Wanted) -> bool {
    let exclusive = |a: Mode, b: Mode| a == Mode::Exclusive || b == Mode::Exclusive;
    one.iter().any(|(key, mode)| other.get(key).is_some_and(|theirs| exclusive(*mode, *theirs)))
}

impl Guard<'_> {
    /// Takes more locks if all of them are free and nobody waits for them; takes none otherwise, and never waits.
    pub(super) fn try_extend(&mut self, wanted: &Wanted) -> bool {
        let more: Wanted = wanted
            .iter()
            .filter(|(key, mode)| self.held.get(key).is_none_or(|held| held < mode))
            .map(|(key, mode)| (key.clone(), *mode))
            .collect();
        let mut table = self.locks.lock();
        // A shared lock that is held cannot become exclusive without letting others in between.
        let fresh = more.keys().all(|key| !self.held.contains_key(key));
        let free = more.iter().all(|(key, mode)| table.is_free(key, *mode));
        if !fresh || !free || table.waiting.values().any(|waiting| collide(waiting, &more)) {
            return false;
        }
        table.take(&more);
        self.held.extend(more);
        true
    }

    /// Returns whether the held locks are enough.
    pub(super) fn covers(&self, wanted: &Wanted) -> bool {
        wanted.iter().all(|(key, mode)| self.held.get(key).is_some_and(|held| held >= mode))
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut table = self.locks.lock();
        for (key, mode) in &self.held {
            let Some(holders) = table.held.get_mut(key) else { continue };
            match mode {
                Mode::Shared => holders.shared -= 1,
                Mode::Exclusive => holders.exclusive = false,
            }
            if holders.shared == 0 && !holders.exclusive {
                table.held.remove(key);
            }
        }
        drop(table);
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

    #[test]
    fn a_writer_is_not_overtaken_for_ever() {
        let locks = Locks::default();
        let long = Duration::from_secs(30);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let reader = locks.acquire(wanted(Mode::Shared), long).unwrap();
                        std::thread::yield_now();
                        drop(reader);
                    }
                });
            }
            for _ in 0..100 {
                assert!(locks.acquire(wanted(Mode::Exclusive), long).is_some());
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn what_is_free_is_taken_at_once_and_what_is_not_is_left() {
        let locks = Locks::default();
        let moment = Duration::from_millis(5);
        let shared = || Wanted::from([(LockKey::Shared, Mode::Exclusive)]);
        let mut one = locks.acquire(wanted(Mode::Shared), moment).unwrap();
        assert!(one.try_extend(&shared()));
        assert!(one.covers(&shared()));
        let mut two = locks.acquire(wanted(Mode::Shared), moment).unwrap();
        assert!(!two.try_extend(&shared()));
        drop(one);
        assert!(two.try_extend(&shared()));
        assert!(!two.try_extend(&wanted(Mode::Exclusive)), "a shared lock does not become exclusive");
    }

    #[test]
    fn who_gives_up_is_in_nobodys_way() {
        let locks = Locks::default();
        let reader = locks.acquire(wanted(Mode::Shared), Duration::from_secs(30)).unwrap();
        assert!(locks.acquire(wanted(Mode::Exclusive), Duration::from_millis(5)).is_none());
        assert!(locks.acquire(wanted(Mode::Shared), Duration::from_secs(30)).is_some());
        drop(reader);
    }
}
