//! The nftables half: the static ruleset, its elements, and one writer that knows what it has applied.
//!
//! ```text
//! threads ─▶ queue ─▶ leader ─▶ one transaction ─▶ kernel
//!                        └─▶ mirror: what the table holds, to make it again after a foreign flush
//! ```

mod elements;
mod flows;
mod inspect;
mod ruleset;
mod watch;
mod writer;

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use pontoon_core::engine::HostError;
use pontoon_core::objects::{Object, Op};
use pontoon_netlink::nft;
use pontoon_netlink::{Protocol, Socket};

pub(super) use flows::{forget_flows, stale_flows};
use watch::Watch;
use writer::Writer;

use super::error;

/// Steps that the kernel refused: which of them, and why.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) position: usize,
    pub(super) error: HostError,
}

impl Refused {
    fn whole(error: HostError) -> Self {
        Self { position: 0, error }
    }
}

type Outcome = Result<(), Refused>;

/// The table, for all threads.
#[derive(Debug, Default)]
pub(super) struct Firewall {
    queue: Mutex<Queue>,
    changed: Condvar,
    writer: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    led: bool,
    waiting: Vec<(u64, Vec<Op>)>,
    outcomes: HashMap<u64, Outcome>,
}

impl Firewall {
    /// Takes steps on the ruleset and its elements, all or none. Steps of other threads may share the transaction.
    pub(super) fn commit(&self, ops: Vec<Op>) -> Outcome {
        let mut queue = lock(&self.queue);
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push((ticket, ops));
        while queue.led {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            if let Some(outcome) = queue.outcomes.remove(&ticket) {
                return outcome;
            }
        }
        queue.led = true;
        let tickets = std::mem::take(&mut queue.waiting);
        drop(queue);
        let leading = Leading(self);
        let outcomes = serve(&mut lock(&self.writer), tickets);
        let mut queue = lock(&self.queue);
        queue.outcomes.extend(outcomes);
        let mine = queue.outcomes.remove(&ticket);
        drop(queue);
        drop(leading);
        mine.unwrap_or_else(|| Err(Refused::whole(error::of(libc::EIO, "the firewall's writer ended"))))
    }

    /// Returns the ruleset as it is, and the elements of its sets.
    pub(super) fn observe(&self) -> Result<Vec<Object>, HostError> {
        lock(&self.writer).observe()
    }

    /// Listens to others who change the table.
    pub(super) fn watch(&self) -> Result<Watch, HostError> {
        Watch::open(lock(&self.writer).port())
    }

    /// Returns whether the kernel has nf_tables; fails if it does not let us use it.
    pub(super) fn is_usable() -> Result<bool, HostError> {
        let listed = Socket::open(Protocol::Netfilter).and_then(|mut socket| nft::tables(&mut socket));
        match listed {
            Ok(_) => Ok(true),
            Err(e) if e.errno() == Some(libc::EPERM) => Err(error::because("using nftables", &e)),
            Err(_) => Ok(false),
        }
    }
}

/// Lets the next thread lead, even if this one panics.
struct Leading<'a>(&'a Firewall);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        lock(&self.0.queue).led = false;
        self.0.changed.notify_all();
    }
}

/// Tries all at once; if that fails, each alone, so that only the guilty fails.
fn serve(writer: &mut Writer, tickets: Vec<(u64, Vec<Op>)>) -> Vec<(u64, Outcome)> {
    let apart = tickets.len() == 1
        || tickets.iter().flat_map(|(_, ops)| ops).any(|op| matches!(op.object(), Object::Ruleset(_)));
    if !apart {
        let all: Vec<&Op> = tickets.iter().flat_map(|(_, ops)| ops).collect();
        if writer.write(&all).is_ok() {
            return tickets.into_iter().map(|(ticket, _)| (ticket, Ok(()))).collect();
        }
    }
    let each = tickets.into_iter();
    each.map(|(ticket, ops)| (ticket, writer.write(&ops.iter().collect::<Vec<_>>()))).collect()
}

/// Nothing that holds these locks leaves a change half made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
