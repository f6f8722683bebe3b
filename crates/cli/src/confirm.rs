//! Questions that a person must answer with yes.

use std::io::{self, BufRead, Write};

/// Asks, and returns whether the answer was yes; silence means no.
pub(crate) fn confirm(warning: &str) -> bool {
    let mut err = anstream::stderr();
    // A question that cannot be shown is answered with no below.
    let _ = write!(err, "{warning}\nAre you sure you want to continue? [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}
