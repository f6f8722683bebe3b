//! Deletions that nobody waits for: links of the reap group, and flows of ports that are not published any more.
//!
//! Deleting a link waits tens of milliseconds for the kernel's readers, with the lock of all links held; all links of a group
//! share one such wait. The kernel itself deletes what is in a namespace that nobody holds any more, many at a time and with
//! fewer waits, so pairs are left to it for a while. It is never relied upon: others may hold the namespace.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_core::engine::HostError;
use pontoon_netlink::conntrack::FlowFilter;
use pontoon_netlink::route::{delete_group, link};
use pontoon_netlink::{Error, Protocol, Socket};

use super::firewall::forget_flows;
use super::{REAP_GROUP, error};

/// How long deletions wait for more of their kind, and for whoever asked to be done: they hold the lock of all links.
const LINGER: Duration = Duration::from_millis(2);
/// How long the kernel may take to delete the links of a namespace that was let go.
const GRACE: Duration = Duration::from_millis(60);
/// How often it is looked whether it has, while somebody waits for it and while nobody does.
const LOOK_OFTEN: Duration = Duration::from_micros(500);
const LOOK_SELDOM: Duration = Duration::from_millis(10);
/// Upper bound of a wait without a deadline: a kernel that takes longer is stuck.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Reaper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// How often deletion was asked for, and how many of these are done.
    asked: u64,
    done: u64,
    flows: Vec<FlowFilter>,
    /// Addresses whose flows are still to be forgotten: nobody gets them before.
    pending: Vec<IpAddr>,
    /// Whether there are links to delete.
    links: bool,
    /// Links that the kernel should delete by itself.
    expected: Vec<u32>,
    /// Whether somebody waits for the outcome.
    awaited: bool,
    failure: Option<HostError>,
    closed: bool,
}

impl Reaper {
    /// Starts the thread, which first deletes what an earlier process left in the group.
    pub(super) fn start() -> Result<Self, HostError> {
        // Opened here: the socket belongs to the caller's namespace.
        let socket = Socket::open(Protocol::Route).map_err(|e| error::failed(&e))?;
        let shared = Arc::new(Shared {
            work: Mutex::new(Work { asked: 1, links: true, ..Work::default() }),
            ..Shared::default()
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("reaper".to_owned())
            .spawn(move || theirs.serve(socket))
            .map_err(|e: io::Error| error::io("starting a thread", &e))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for the deletion of all links that are in the reap group now.
    pub(super) fn reap(&self) {
        let mut work = self.shared.lock();
        work.asked += 1;
        work.links = true;
        drop(work);
        self.shared.changed.notify_all();
    }

    /// Asks for links to be deleted that probably go with their namespace.
    pub(super) fn expect(&self, indices: Vec<u32>) {
        let mut work = self.shared.lock();
        work.asked += 1;
        work.expected.extend(indices);
        drop(work);
        self.shared.changed.notify_all();
    }

    /// Asks for flows to be forgotten.
    pub(super) fn forget(&self, flows: Vec<FlowFilter>) {
        if flows.is_empty() {
            return;
        }
        let mut work = self.shared.lock();
        work.flows.extend(flows);
        work.asked += 1;
        drop(work);
        self.shared.changed.notify_all();
    }

    /// Asks for the flows of addresses to be forgotten: looking for them takes the kernel milliseconds.
    pub(super) fn forget_addresses(&self, addresses: Vec<IpAddr>) {
        if addresses.is_empty() {
            return;
        }
        let mut work = self.shared.lock();
        work.pending.extend(addresses);
        work.asked += 1;
        drop(work);
        self.shared.changed.notify_all();
    }

    /// Waits until no flows of these addresses are left to be forgotten.
    pub(super) fn await_addresses(&self, addresses: impl Iterator<Item = IpAddr>) {
        let addresses: Vec<IpAddr> = addresses.collect();
        let mut work = self.shared.lock();
        let deadline = Instant::now() + LONGEST;
        while work.pending.iter().any(|pending| addresses.contains(pending)) && Instant::now() < deadline {
            work.awaited = true;
            self.shared.changed.notify_all();
            work = self.shared.changed.wait_timeout(work, LOOK_SELDOM).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything asked for so far is done.
    pub(super) fn settle(&self, patience: Option<Duration>) -> Result<(), HostError> {
        let deadline = Instant::now() + patience.unwrap_or(LONGEST);
        let mut work = self.shared.lock();
        let wanted = work.asked;
        while work.done < wanted {
            if !work.awaited {
                work.awaited = true;
                self.shared.changed.notify_all();
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(error::of(libc::ETIMEDOUT, "the kernel has not finished deleting interfaces"));
            }
            work = self.shared.changed.wait_timeout(work, deadline - now).unwrap_or_else(PoisonError::into_inner).0;
        }
        match work.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic, and nobody could do anything about it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Nothing that holds this lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn linger<'a>(&'a self, work: MutexGuard<'a, Work>) -> MutexGuard<'a, Work> {
        let patient = |work: &mut Work| !work.awaited && !work.closed;
        self.changed.wait_timeout_while(work, LINGER, patient).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Watches links go, for a while; returns whether all went.
    fn went(&self, socket: &mut Socket, mut expected: Vec<u32>) -> bool {
        let deadline = Instant::now() + GRACE;
        loop {
            // One that cannot be looked at is one that is left.
            expected.retain(|index| !matches!(link(socket, *index), Ok(None)));
            if expected.is_empty() || Instant::now() >= deadline {
                return expected.is_empty();
            }
            let work = self.lock();
            let pause = if work.awaited || work.closed { LOOK_OFTEN } else { LOOK_SELDOM };
            // Whatever ends the pause early, looking again is right.
            drop(self.changed.wait_timeout(work, pause));
        }
    }

    /// Forgets the flows of all addresses that wait for it, in one go, and lets them be given again.
    fn evict(&self) {
        let pending = self.lock().pending.clone();
        if pending.is_empty() {
            return;
        }
        forget_flows(&[FlowFilter::Addresses(pending.clone())]);
        // Those asked for since are behind these.
        self.lock().pending.drain(..pending.len());
        self.changed.notify_all();
    }

    fn serve(&self, mut socket: Socket) {
        loop {
            let mut work = self.lock();
            while work.done == work.asked {
                if work.closed {
                    return;
                }
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            }
            let mut work = self.linger(work);
            let (serving, flows) = (work.asked, mem::take(&mut work.flows));
            let (links, expected) = (mem::take(&mut work.links), mem::take(&mut work.expected));
            drop(work);
            forget_flows(&flows);
            self.evict();
            let left = links || !self.went(&mut socket, expected);
            let outcome = if left { reap(&mut socket) } else { Ok(()) };
            let mut work = self.lock();
            work.done = serving;
            work.awaited = false;
            if let Err(failure) = outcome {
                tracing::warn!(error = %failure, "interfaces could not be deleted");
                work.failure = Some(failure);
            }
            drop(work);
            self.changed.notify_all();
        }
    }
}

fn reap(socket: &mut Socket) -> Result<(), HostError> {
    match socket.request(&delete_group(REAP_GROUP)) {
        Err(Error::Refused(refusal)) if refusal.errno == libc::ENODEV => Ok(()),
        other => other.map_err(|e| error::failed(&e)),
    }
}
