//! Samples of measured values, and what they say.

use std::time::Duration;

/// Values of one thing measured many times, in one unit: microseconds for durations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Adds a duration, in microseconds.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Returns the value below which the given share (0 to 100) of the sample lies.
    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n => sorted[(n - 1) * percent / 100],
        }
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// Returns the median with the quartiles around it, in whole units.
    pub(crate) fn text(&self) -> String {
        self.text_to(0)
    }

    /// Returns the same with so many decimals.
    pub(crate) fn text_to(&self, decimals: usize) -> String {
        let [median, low, high] = [50, 25, 75].map(|percent| self.percentile(percent));
        format!("{median:.decimals$} ({low:.decimals$}-{high:.decimals$})")
    }
}

/// Values that are no durations: rates, ratios.
impl FromIterator<f64> for Sample {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}
