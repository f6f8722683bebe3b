//! Deletions that nobody waits for: namespaces, links, and flows of ports and addresses that are given up.
//!
//! ```text
//! plan ──▶ namespaces ──▶ links: pairs that go with them, the reap group ──▶ flows: of ports and addresses given up
//! ```
//!
//! Nobody gets an address again before its interface is gone or down and its flows are forgotten.

mod flows;
mod leaving;
mod links;
mod namespaces;
mod worker;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pontoon_core::engine::HostError;
use pontoon_core::model::SandboxId;
use pontoon_netlink::conntrack::FlowFilter;
use pontoon_netlink::{Protocol, Socket};

use super::error;
use super::namespaces::Files;
use flows::{Flows, Reserved};
use leaving::Leaving;
use links::Task;
use namespaces::Departure;
use worker::Worker;

pub(super) use links::Pair;

/// How long namespaces wait for more to end, unless somebody waits for them: cleaning one up costs the kernel as much as
/// cleaning up many, and slows down whoever ends the next one.
const GATHER: Duration = Duration::from_millis(20);
/// How long flows wait for more to be forgotten, unless somebody waits for them: a look for them keeps a processor busy for
/// milliseconds.
const COLLECT: Duration = Duration::from_millis(200);
/// How long links wait for more of their kind, and for whoever asked to be done: deleting holds the lock of all links.
const LINGER: Duration = Duration::from_millis(2);
/// Upper bound of a wait without a deadline: a kernel that takes longer is stuck.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Reaper {
    // The order is that of dropping: each leaves work to the next.
    namespaces: Worker<Departure>,
    links: Worker<Task>,
    flows: Worker<Flows>,
    leaving: Arc<Leaving>,
    reserved: Arc<Reserved>,
}

impl Reaper {
    /// Starts the threads, which have nothing to do yet.
    pub(super) fn start(files: &Arc<Files>) -> Result<Self, HostError> {
        // Opened here: the socket belongs to the caller's namespace.
        let socket = Socket::open(Protocol::Route).map_err(|e| error::failed(&e))?;
        let leaving = Arc::new(Leaving::default());
        let reserved = Arc::new(Reserved::default());
        let flows = Worker::start("flows", COLLECT, flows::job(Arc::clone(&reserved)))?;
        let links = Worker::start("links", LINGER, links::job(socket, Arc::clone(&leaving), flows.desk()))?;
        let job = namespaces::job(Arc::clone(files), Arc::clone(&leaving), links.desk());
        let namespaces = Worker::start("namespaces", GATHER, job)?;
        Ok(Self { namespaces, links, flows, leaving, reserved })
    }

    /// Asks for the deletion of all links that are in the reap group now.
    pub(super) fn reap(&self) {
        self.links.ask([Task::Group]);
    }

    /// Lets namespaces go, and sees to it that the pairs do that end there.
    pub(super) fn let_go(&self, sandboxes: Vec<SandboxId>, pairs: Vec<Pair>) {
        sandboxes.iter().for_each(|sandbox| self.leaving.add(&sandbox.short()));
        for pair in &pairs {
            self.leaving.add(&pair.name);
            self.reserved.add(&pair.addresses);
        }
        // Pairs whose namespace stays after all, for that step failed, are deleted from this side.
        let none = sandboxes.is_empty() && pairs.is_empty();
        self.namespaces.ask((!none).then_some(Departure { sandboxes, pairs }));
    }

    /// Returns whether a pair of that name, or the namespace of a sandbox by its short id, is as good as deleted.
    pub(super) fn is_leaving(&self, name: &str) -> bool {
        self.leaving.contains(name)
    }

    /// Returns the names of all pairs, and the short ids of all sandboxes, of which that is true.
    pub(super) fn leaving(&self) -> HashSet<String> {
        self.leaving.names()
    }

    /// Asks for flows to be forgotten.
    pub(super) fn forget(&self, filters: Vec<FlowFilter>) {
        self.flows.ask(filters.into_iter().map(Flows::Like));
    }

    /// Asks for the flows of addresses to be forgotten, whose interface is down already.
    pub(super) fn forget_addresses(&self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            self.reserved.add(&addresses);
            self.flows.ask([Flows::Of(addresses)]);
        }
    }

    /// Waits until addresses can be given again.
    pub(super) fn await_addresses(&self, addresses: impl Iterator<Item = IpAddr>) {
        let addresses: Vec<IpAddr> = addresses.collect();
        if self.reserved.has_any(&addresses) {
            // A failure is told to whoever settles; the addresses are free all the same.
            let _told = self.settle(None).inspect_err(|error| tracing::warn!(%error, "giving an address again"));
        }
    }

    /// Waits until everything asked for so far is done.
    pub(super) fn settle(&self, patience: Option<Duration>) -> Result<(), HostError> {
        let deadline = Instant::now() + patience.unwrap_or(LONGEST);
        // In this order: only then has each everything that the one before left it.
        let namespaces = self.namespaces.settle(deadline);
        let links = self.links.settle(deadline);
        self.flows.settle(deadline).and(links).and(namespaces)
    }
}
