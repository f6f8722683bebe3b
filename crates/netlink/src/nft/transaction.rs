//! Applying changes, all or none.

use std::fmt;

use crate::{Error, Refusal, Rejection, Socket};

use super::change::{Change, Encoder, Origin};
use super::numbers::{BATCH_BEGIN, BATCH_END};
use super::table::Family;

/// Applies the changes to the table in order, in one transaction: if one of
/// them is refused, nothing is changed and the error says which were refused.
pub fn apply(socket: &mut Socket, family: Family, table: &str, changes: &[Change]) -> Result<(), TransactionError> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut encoder = Encoder::new(family, table);
    encoder.bracket(BATCH_BEGIN);
    for (index, change) in changes.iter().enumerate() {
        encoder.change(index, change);
    }
    encoder.bracket(BATCH_END);
    let messages = encoder.finish();
    if !messages.too_long.is_empty() {
        let failures = messages.too_long.into_iter().map(too_long).collect();
        return Err(TransactionError::Refused { failures });
    }
    match socket.transaction(&messages.requests) {
        Ok(_) => Ok(()),
        Err(Error::Rejected(rejections)) => Err(explain(rejections, &messages.origins)),
        Err(other) => Err(TransactionError::Socket(other)),
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The kernel refused some of the changes, or no message can hold them.
    #[error("the kernel refused {}", list(.failures))]
    Refused {
        /// What was refused, in the order of the changes; at least one.
        failures: Vec<Failure>,
    },
    /// The kernel refused the transaction as a whole.
    #[error("the kernel refused the transaction: {0}")]
    Whole(Refusal),
    /// The changes could not be sent, or the answer not be read.
    #[error(transparent)]
    Socket(Error),
}

impl TransactionError {
    /// Returns the first error number that the kernel gave.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { failures } => failures.first().map(|first| first.refusal.errno),
            Self::Whole(refusal) => Some(refusal.errno),
            Self::Socket(error) => error.errno(),
        }
    }
}

/// A change that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Position of the change.
    pub change: usize,
    /// Position of the element among those of the change, if one was refused.
    pub element: Option<usize>,
    /// Why.
    pub refusal: Refusal,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change {}", self.change)?;
        if let Some(element) = self.element {
            write!(f, ", element {element}")?;
        }
        write!(f, ": {}", self.refusal)
    }
}

/// What the kernel would say if it could be asked.
fn too_long(change: usize) -> Failure {
    let message = "it exceeds the 64 KiB of an attribute; split it".to_owned();
    let refusal = Refusal { errno: libc::EMSGSIZE, message: Some(message), ..Refusal::default() };
    Failure { change, element: None, refusal }
}

fn list(failures: &[Failure]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = failures.iter().take(SHOWN).map(Failure::to_string).collect();
    match failures.len().saturating_sub(SHOWN) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

/// Finds the changes behind refused messages. A refusal of the brackets
/// concerns the whole, but matters only if no change was refused.
fn explain(rejections: Vec<Rejection>, origins: &[Origin]) -> TransactionError {
    let mut whole = Refusal::default();
    let mut failures: Vec<Failure> = Vec::new();
    for Rejection { index, refusal } in rejections {
        let Some(origin) = origins.get(index) else {
            continue;
        };
        match origin.change {
            Some(change) => {
                failures.push(Failure { change, element: refusal.offset.and_then(|at| origin.element_at(at)), refusal })
            }
            None => whole = refusal,
        }
    }
    if failures.is_empty() { TransactionError::Whole(whole) } else { TransactionError::Refused { failures } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(index: usize) -> Rejection {
        Rejection { index, refusal: Refusal { errno: libc::EPERM, ..Refusal::default() } }
    }

    #[test]
    fn refused_brackets_concern_the_whole() {
        let change = Origin { change: Some(0), ..Origin::default() };
        let origins = [Origin::default(), change, Origin::default()];
        let whole = explain(vec![rejection(0)], &origins);
        assert!(matches!(whole, TransactionError::Whole(_)));
        assert_eq!(whole.errno(), Some(libc::EPERM));
        let one = explain(vec![rejection(0), rejection(1)], &origins);
        assert_eq!(one.to_string(), "the kernel refused change 0: Operation not permitted (EPERM)");
    }
}
