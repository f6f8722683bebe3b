//! Samples of durations, and what they say.

use std::time::Duration;

/// Durations of one thing done many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Returns the value below which the given share (0 to 100) of the sample lies, in microseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        match sorted.len() {
            0 => f64::NAN,
            n => sorted[(n - 1) * percent / 100].as_secs_f64() * 1e6,
        }
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// Returns the median with the quartiles around it, in microseconds.
    pub(crate) fn text(&self) -> String {
        format!("{:.0} ({:.0}-{:.0})", self.median(), self.percentile(25), self.percentile(75))
    }
}
