//! Group commit: callers that come while a flush runs share the next one.
//!
//! ```text
//! commit ── nobody leads ──▶ lead: take all that is queued, flush once, wake the followers, pass leadership on
//!        └─ somebody leads ─▶ queue and sleep ──▶ woken with the result, or as the next leader
//! ```
//!
//! A leader serves one flush only, so its own latency is bounded; no thread and no timer is involved, and a lone caller
//! pays for nothing but an uncontended lock.

use std::error::Error;
use std::fmt;
use std::iter;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use pontoon_core::engine::store::{Batch, StoreError};

/// The callers of one store's `commit`.
#[derive(Debug)]
pub(super) struct Group {
    /// The store's file, for errors.
    path: String,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    led: bool,
    followers: Vec<Arc<Follower>>,
}

#[derive(Debug)]
struct Follower {
    batch: Batch,
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Debug)]
enum Turn {
    Wait,
    Lead,
    Done(Outcome),
}

/// The result of one flush, for everybody who took part.
type Outcome = Result<(), Arc<StoreError>>;

impl Group {
    /// Returns a group without callers.
    pub(super) fn new(path: String) -> Self {
        Self { path, queue: Mutex::default() }
    }

    /// Returns when `batch` has been part of a successful `flush`, by this or another caller.
    ///
    /// All callers must pass the same `flush`. Its error goes to everyone whose batch was in it.
    pub(super) fn commit(
        &self,
        batch: &Batch,
        flush: impl Fn(&[&Batch]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let outcome = match self.enter(batch) {
            None => self.lead(batch, flush),
            Some(follower) => match follower.wait() {
                Some(outcome) => outcome,
                None => self.lead(&follower.batch, flush),
            },
        };
        outcome.map_err(|error| self.share(error))
    }

    /// Returns the caller's place in the queue, or `None` if it leads.
    fn enter(&self, batch: &Batch) -> Option<Arc<Follower>> {
        let mut queue = lock(&self.queue);
        if !queue.led {
            queue.led = true;
            return None;
        }
        let follower =
            Arc::new(Follower { batch: batch.clone(), turn: Mutex::new(Turn::Wait), changed: Condvar::new() });
        queue.followers.push(Arc::clone(&follower));
        Some(follower)
    }

    fn lead(&self, own: &Batch, flush: impl Fn(&[&Batch]) -> Result<(), StoreError>) -> Outcome {
        let followers = mem::take(&mut lock(&self.queue).followers);
        let mut leadership = Leadership { group: self, outcome: Err(Arc::new(self.abandoned())), followers };
        let batches: Vec<&Batch> =
            iter::once(own).chain(leadership.followers.iter().map(|follower| &follower.batch)).collect();
        let outcome = flush(&batches).map_err(Arc::new);
        leadership.outcome = outcome.clone();
        outcome
    }

    fn abandoned(&self) -> StoreError {
        StoreError::Io {
            path: self.path.clone(),
            action: "commit",
            source: "the thread that flushed for this one panicked".into(),
        }
    }

    /// Returns an error of the caller's own out of the one it shares.
    fn share(&self, error: Arc<StoreError>) -> StoreError {
        match Arc::try_unwrap(error) {
            Ok(error) => error,
            Err(shared) => match &*shared {
                StoreError::Held { path, holder } => StoreError::Held { path: path.clone(), holder: holder.clone() },
                StoreError::Damaged { path, reason } => {
                    StoreError::Damaged { path: path.clone(), reason: reason.clone() }
                }
                StoreError::Io { path, action, .. } => {
                    StoreError::Io { path: path.clone(), action, source: Box::new(SharedCause(shared)) }
                }
                _ => StoreError::Io { path: self.path.clone(), action: "commit", source: Box::new(shared) },
            },
        }
    }
}

impl Follower {
    /// Sleeps until the batch is flushed; `None` means that this caller is to lead.
    fn wait(&self) -> Option<Outcome> {
        let mut turn = lock(&self.turn);
        loop {
            match &*turn {
                Turn::Wait => {}
                Turn::Lead => return None,
                Turn::Done(outcome) => return Some(outcome.clone()),
            }
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wake(&self, turn: Turn) {
        *lock(&self.turn) = turn;
        self.changed.notify_one();
    }
}

/// Ends in any case, a panicking flush included: nobody sleeps for ever.
struct Leadership<'a> {
    group: &'a Group,
    followers: Vec<Arc<Follower>>,
    outcome: Outcome,
}

impl Drop for Leadership<'_> {
    fn drop(&mut self) {
        for follower in &self.followers {
            follower.wake(Turn::Done(self.outcome.clone()));
        }
        let mut queue = lock(&self.group.queue);
        if queue.followers.is_empty() {
            queue.led = false;
        } else {
            let next = queue.followers.remove(0);
            drop(queue);
            next.wake(Turn::Lead);
        }
    }
}

/// The cause of an I/O error that several callers received.
#[derive(Debug)]
struct SharedCause(Arc<StoreError>);

impl SharedCause {
    fn cause(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for SharedCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().and_then(Error::source)
    }
}

/// Locks, also after a panic: the data behind these locks is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// Holds the first flush until `count` more callers are queued, then ends each flush with `end`.
    fn check(count: usize, end: fn(usize) -> Result<(), StoreError>) -> (Vec<usize>, Vec<String>) {
        let group = Group::new("here".to_owned());
        let (flushes, sizes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let started = Barrier::new(2);
        let flush = |batches: &[&Batch]| {
            lock(&sizes).push(batches.len());
            let turn = flushes.fetch_add(1, Ordering::SeqCst);
            if turn == 0 {
                started.wait();
                while lock(&group.queue).followers.len() < count {
                    thread::yield_now();
                }
            }
            end(turn)
        };
        let commit = || match catch_unwind(AssertUnwindSafe(|| group.commit(&Batch::default(), flush))) {
            Ok(Ok(())) => "done".to_owned(),
            Ok(Err(error)) => format!("{error}: {}", error.source().expect("a source")),
            Err(_) => "panicked".to_owned(),
        };
        let results = thread::scope(|scope| {
            let first = scope.spawn(commit);
            started.wait();
            let rest: Vec<_> = (0..count).map(|_| scope.spawn(commit)).collect();
            iter::once(first).chain(rest).map(|caller| caller.join().expect("caught")).collect()
        });
        assert!(!lock(&group.queue).led, "leadership was given up");
        (sizes.into_inner().expect("not poisoned"), results)
    }

    #[test]
    fn those_who_wait_share_one_flush() {
        let (sizes, results) = check(5, |_| Ok(()));
        assert_eq!(sizes, [1, 5]);
        assert!(results.iter().all(|result| result == "done"));
    }

    #[test]
    fn all_of_a_failed_group_get_the_error() {
        let (_, results) = check(3, |turn| match turn {
            0 => Ok(()),
            _ => Err(StoreError::Io { path: "here".to_owned(), action: "commit", source: "no space left".into() }),
        });
        assert_eq!(results[0], "done");
        let text = "the store here failed to commit: no space left";
        assert_eq!(results[1..], [text, text, text]);
    }

    #[test]
    fn a_panicking_leader_leaves_nobody_asleep() {
        let (sizes, results) = check(3, |turn| match turn {
            0 => Ok(()),
            _ => panic!("as asked"),
        });
        assert_eq!(sizes, [1, 3]);
        let count = |text: &str| results.iter().filter(|r| r.contains(text)).count();
        assert_eq!((count("done"), count("panicked")), (1, 3));
        assert_eq!(count("flushed for this one"), 2);
    }
}
