//! Questions that a person must answer with yes.

use std::io::{self, BufRead, Write};

use crate::args::Format;
use crate::errors::Failure;

/// Asks, and returns whether the answer was yes; silence means no. Programs are not asked.
pub(crate) fn confirm(format: Format, warning: &str) -> Result<bool, Failure> {
    if format == Format::Json {
        return Err(Failure::usage("nobody can be asked with --format json").hinted("give --force"));
    }
    let mut err = anstream::stderr();
    // A question that cannot be shown is answered with no below.
    let _ = write!(err, "{warning}\nAre you sure you want to continue? [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    Ok(io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
