//! How many clients are served at the same time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Turns that are taken and given back; whoever asks for one while all are taken waits.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    ended: bool,
}

/// A turn; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    /// Makes `count` turns.
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { free: count, ended: false }), changed: Condvar::new() })
    }

    /// Takes a turn, as soon as one is free; none once they have ended.
    pub(super) fn take(self: &Arc<Self>) -> Option<Turn> {
        let waits = |state: &mut State| state.free == 0 && !state.ended;
        let mut state = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return None;
        }
        state.free -= 1;
        Some(Turn(Arc::clone(self)))
    }

    /// Lets nobody take a turn any more.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Returns whether they have ended.
    pub(super) fn ended(&self) -> bool {
        self.lock().ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.changed.notify_one();
    }
}
