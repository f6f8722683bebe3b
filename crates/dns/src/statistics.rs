//! Counting what becomes of queries.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a sandbox's queries since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages that came.
    pub queries: u64,
    /// Those that were answered without asking others, errors of the client included.
    pub answered: u64,
    /// Those that were ignored, because they were no queries.
    pub dropped: u64,
    /// Those for which other servers were asked.
    pub forwarded: u64,
    /// Those that were refused, because too many waited.
    pub refused: u64,
    /// Those that failed: no server gave an answer, or something broke here.
    pub failed: u64,
}

/// The counters of a sandbox. Each is exact; together they may be of different moments.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) queries: Counter,
    pub(crate) answered: Counter,
    pub(crate) dropped: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn read(&self) -> Statistics {
        Statistics {
            queries: self.queries.get(),
            answered: self.answered.get(),
            dropped: self.dropped.get(),
            forwarded: self.forwarded.get(),
            refused: self.refused.get(),
            failed: self.failed.get(),
        }
    }
}
