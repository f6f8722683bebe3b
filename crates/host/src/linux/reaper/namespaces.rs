//! Namespaces that are let go in the background: that waits for the kernel's readers, the longer the more namespaces the
//! kernel is cleaning up.

use std::sync::Arc;

use pontoon_core::engine::HostError;
use pontoon_core::model::SandboxId;
use pontoon_netlink::netns::Namespace;

use super::Leaving;
use super::links::{Pair, Task};
use super::worker::Desk;
use crate::linux::namespaces::{self, Files};

/// Namespaces, and the pairs that end there.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) sandboxes: Vec<SandboxId>,
    pub(super) pairs: Vec<Pair>,
}

/// Lets namespaces go, and has their pairs watched.
pub(super) fn job(
    files: Arc<Files>,
    leaving: Arc<Leaving>,
    links: Arc<Desk<Task>>,
) -> impl FnMut(Vec<Departure>, &Desk<Departure>) -> Result<(), HostError> {
    move |batch, _| {
        let sandboxes: Vec<SandboxId> = batch.iter().flat_map(|departure| departure.sandboxes.clone()).collect();
        let outcome = let_go(&files, &sandboxes);
        // In this order: whoever finds a sandbox gone from the list and settles waits for its pairs.
        links.ask(batch.into_iter().flat_map(|departure| departure.pairs).map(Task::Pair));
        sandboxes.iter().for_each(|sandbox| leaving.remove(&sandbox.short()));
        outcome
    }
}

/// Lets namespaces go, all in one moment: the kernel cleans up those that end together in one go.
fn let_go(files: &Files, sandboxes: &[SandboxId]) -> Result<(), HostError> {
    // One that cannot be opened just ends a little earlier.
    let held: Vec<_> = sandboxes.iter().filter_map(|sandbox| Namespace::open(files.path(*sandbox)).ok()).collect();
    let outcomes: Vec<_> = sandboxes.iter().map(|sandbox| namespaces::remove(files, *sandbox)).collect();
    drop(held);
    outcomes.into_iter().collect()
}
