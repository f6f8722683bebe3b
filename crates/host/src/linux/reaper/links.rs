//! Links that are deleted in the background.
//!
//! Deleting a link waits tens of milliseconds for the kernel's readers, with the lock of all links held; all links of a group
//! share one such wait, and setting one down waits too. The kernel itself deletes what is in a namespace that nobody holds
//! any more, many at a time and with fewer waits, so pairs are left to it for a while. It is never relied upon: others may
//! hold the namespace.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pontoon_core::engine::HostError;
use pontoon_netlink::route::{LinkChange, delete_group, index_of, link};
use pontoon_netlink::{Error, Socket};

use super::Leaving;
use super::flows::Flows;
use super::worker::Desk;
use crate::linux::{LINK_GROUP, REAP_GROUP, error};

/// How long the kernel may take to delete a pair with its namespace, before the pair is set down.
const GRACE: Duration = Duration::from_millis(20);
/// How long it may take before the pair is deleted from this side.
const PATIENCE: Duration = Duration::from_millis(60);
/// How often it is looked whether it has, while somebody waits for it and while nobody does.
const LOOK_OFTEN: Duration = Duration::from_micros(500);
const LOOK_SELDOM: Duration = Duration::from_millis(5);

/// What is asked for.
#[derive(Debug)]
pub(super) enum Task {
    /// Delete all links of the reap group.
    Group,
    /// See a pair go with its namespace.
    Pair(Pair),
}

/// A pair whose namespace is let go.
#[derive(Debug)]
pub(in crate::linux) struct Pair {
    /// The name of the host's end.
    pub(in crate::linux) name: String,
    /// Its index: another pair may get the name.
    pub(in crate::linux) index: u32,
    /// The addresses of the other end.
    pub(in crate::linux) addresses: Vec<IpAddr>,
}

/// Sees pairs go, and deletes what does not go by itself.
pub(super) fn job(
    mut socket: Socket,
    leaving: Arc<Leaving>,
    flows: Arc<Desk<Flows>>,
) -> impl FnMut(Vec<Task>, &Desk<Task>) -> Result<(), HostError> {
    move |batch, desk| {
        let mut reap = false;
        let mut pairs = Vec::new();
        for task in batch {
            match task {
                Task::Group => reap = true,
                Task::Pair(pair) => pairs.push(pair),
            }
        }
        let mut outcome = Ok(());
        let mut harmless = |pair: &Pair| {
            leaving.remove(&pair.name);
            flows.ask((!pair.addresses.is_empty()).then(|| Flows::Of(pair.addresses.clone())));
        };
        let begun = Instant::now();
        watch(&socket, desk, &mut pairs, begun + GRACE, &mut harmless);
        for pair in &pairs {
            match put_aside(&mut socket, pair.index) {
                Ok(()) => harmless(pair),
                Err(error) => {
                    // It is seen again, as one that should not be there; its addresses stay with it.
                    leaving.remove(&pair.name);
                    outcome = Err(error);
                }
            }
        }
        watch(&socket, desk, &mut pairs, begun + PATIENCE, &mut |_| ());
        if reap || !pairs.is_empty() {
            outcome = outcome.and(delete_all(&mut socket));
        }
        outcome
    }
}

/// Watches pairs go until a deadline, tells of each that went, and keeps those that did not.
fn watch(socket: &Socket, desk: &Desk<Task>, pairs: &mut Vec<Pair>, deadline: Instant, tell: &mut dyn FnMut(&Pair)) {
    loop {
        pairs.retain(|pair| {
            // One that cannot be looked at is one that is left.
            let left = index_of(socket, &pair.name).map_or(true, |index| index == Some(pair.index));
            if !left {
                tell(pair);
            }
            left
        });
        if pairs.is_empty() || Instant::now() >= deadline {
            return;
        }
        desk.pause(LOOK_OFTEN, LOOK_SELDOM);
    }
}

/// Makes a link of ours harmless, and marks it as one that is to be deleted.
fn put_aside(socket: &mut Socket, index: u32) -> Result<(), HostError> {
    let present = link(socket, index).map_err(|e| error::failed(&e))?;
    let Some(present) = present.filter(|link| link.group == LINK_GROUP) else { return Ok(()) };
    let down = LinkChange { up: Some(false), group: Some(REAP_GROUP), ..LinkChange::new(present.index) };
    ignoring_absence(socket.request(&down.set()))
}

fn delete_all(socket: &mut Socket) -> Result<(), HostError> {
    ignoring_absence(socket.request(&delete_group(REAP_GROUP)))
}

fn ignoring_absence(answer: Result<(), Error>) -> Result<(), HostError> {
    match answer {
        Err(Error::Refused(refusal)) if refusal.errno == libc::ENODEV => Ok(()),
        other => other.map_err(|e| error::failed(&e)),
    }
}
