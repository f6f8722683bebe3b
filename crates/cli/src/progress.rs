//! A sign of life while something takes long, on a terminal only.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::ProgressBar;

/// A spinner; it disappears when dropped.
pub(crate) struct Spinner(Option<ProgressBar>);

impl Spinner {
    /// Shows a spinner, if somebody is watching.
    pub(crate) fn start(message: &str, quiet: bool) -> Self {
        if quiet || !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner().with_message(message.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
