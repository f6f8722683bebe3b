//! A thread that does work in batches, for others who need not wait.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_core::engine::HostError;

use crate::linux::error;

/// A thread and what it is asked for.
#[derive(Debug)]
pub(super) struct Worker<T> {
    desk: Arc<Desk<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Where work is left.
#[derive(Debug)]
pub(super) struct Desk<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: Vec<T>,
    /// How often work was asked for, and how many of these are done.
    asked: u64,
    done: u64,
    /// Whether somebody waits for the outcome.
    awaited: bool,
    failure: Option<HostError>,
    closed: bool,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts a thread that leaves work lying for `linger`, while nobody waits, so that more of it comes together.
    pub(super) fn start(
        name: &str,
        linger: Duration,
        mut job: impl FnMut(Vec<T>, &Desk<T>) -> Result<(), HostError> + Send + 'static,
    ) -> Result<Self, HostError> {
        let state = State { queue: Vec::new(), asked: 0, done: 0, awaited: false, failure: None, closed: false };
        let desk = Arc::new(Desk { state: Mutex::new(state), changed: Condvar::new() });
        let theirs = Arc::clone(&desk);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some((batch, asked)) = theirs.take(linger) {
                    // Whoever waits for work that panicked must not wait for ever.
                    let outcome = panic::catch_unwind(AssertUnwindSafe(|| job(batch, &theirs)));
                    let outcome = outcome.unwrap_or_else(|_| Err(error::of(libc::EIO, "a deletion panicked")));
                    theirs.finish(asked, outcome);
                }
            })
            .map_err(|e: io::Error| error::io("starting a thread", &e))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Leaves work to the thread.
    pub(super) fn ask(&self, work: impl IntoIterator<Item = T>) {
        self.desk.ask(work);
    }

    /// Returns where work can be left from another thread.
    pub(super) fn desk(&self) -> Arc<Desk<T>> {
        Arc::clone(&self.desk)
    }

    /// Waits until everything asked for so far is done, and returns a failure since the last time.
    pub(super) fn settle(&self, deadline: Instant) -> Result<(), HostError> {
        let mut state = self.desk.lock();
        let wanted = state.asked;
        while state.done < wanted {
            if !state.awaited {
                state.awaited = true;
                self.desk.changed.notify_all();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(error::of(libc::ETIMEDOUT, "the kernel has not finished deleting interfaces and flows"));
            }
            state = self.desk.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.failure.take().map_or(Ok(()), Err)
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic, and nobody could do anything about it.
            let _ = thread.join();
        }
    }
}

impl<T> Desk<T> {
    /// Leaves work here; none is no reason to wake anybody.
    pub(super) fn ask(&self, work: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        let before = state.queue.len();
        state.queue.extend(work);
        if state.queue.len() > before {
            state.asked += 1;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Sleeps in the middle of a job: shortly if somebody waits for its end.
    pub(super) fn pause(&self, awaited: Duration, otherwise: Duration) {
        let state = self.lock();
        let pause = if state.awaited || state.closed { awaited } else { otherwise };
        // Whatever ends the pause early, looking again is right.
        drop(self.changed.wait_timeout(state, pause));
    }

    /// Waits for work; none when the worker is closed and everything is done.
    fn take(&self, linger: Duration) -> Option<(Vec<T>, u64)> {
        let mut state = self.lock();
        while state.done == state.asked {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let patient = |state: &mut State<T>| !state.awaited && !state.closed;
        let lingering = self.changed.wait_timeout_while(state, linger, patient);
        let mut state = lingering.unwrap_or_else(PoisonError::into_inner).0;
        Some((mem::take(&mut state.queue), state.asked))
    }

    fn finish(&self, asked: u64, outcome: Result<(), HostError>) {
        let mut state = self.lock();
        state.done = asked;
        // Who waits for more than this says so again.
        state.awaited = false;
        if let Err(failure) = outcome {
            tracing::warn!(error = %failure, "deletions in the background failed");
            state.failure = Some(failure);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing that holds this lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn everything_asked_for_is_done_before_settling() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&seen);
        let worker = Worker::start("test", Duration::from_millis(1), move |batch: Vec<u32>, _| {
            theirs.lock().unwrap().extend(batch);
            Ok(())
        })
        .unwrap();
        (0..100).for_each(|number| worker.ask([number]));
        worker.settle(soon()).unwrap();
        assert_eq!(*seen.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_is_told_once() {
        let job = |_: Vec<()>, _: &Desk<()>| Err(error::of(libc::EPERM, "no"));
        let worker = Worker::start("test", Duration::ZERO, job).unwrap();
        worker.ask([()]);
        assert!(worker.settle(soon()).is_err());
        assert!(worker.settle(soon()).is_ok());
    }

    #[test]
    fn a_job_that_panics_is_a_failure() {
        let worker = Worker::start("test", Duration::ZERO, |_: Vec<()>, _: &Desk<()>| panic!("on purpose")).unwrap();
        worker.ask([()]);
        assert_eq!(worker.settle(soon()).unwrap_err().errno(), Some(libc::EIO));
    }

    #[test]
    fn what_is_left_is_done_before_the_end() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let job = move |batch: Vec<u32>, _: &Desk<u32>| {
            batch.into_iter().for_each(|number| sender.send(number).unwrap());
            Ok(())
        };
        let worker = Worker::start("test", Duration::from_secs(60), job).unwrap();
        worker.ask([7]);
        drop(worker);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [7]);
    }
}
