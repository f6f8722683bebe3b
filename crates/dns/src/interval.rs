//! Things that are said now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets something happen once in an interval.
pub(crate) struct Interval {
    length: Duration,
    last: Mutex<Option<Instant>>,
}

impl Interval {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, last: Mutex::new(None) }
    }

    /// Returns whether the interval has passed since this last returned true.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= self.length);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_passes_once() {
        let start = Instant::now();
        let interval = Interval::new(Duration::from_secs(2));
        let due =
            [0, 1, 1999, 2000, 2001, 3999, 4000].map(|after| interval.is_due(start + Duration::from_millis(after)));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
