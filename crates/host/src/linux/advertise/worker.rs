//! Announcements that are due later, or again.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::engine::HostError;
use pontoon_netlink::netns::Visitor;
use pontoon_netlink::route::link;

use super::{Announcement, send};
use crate::linux::error;
use crate::linux::namespaces::{self, Files};

/// Makes announcements when they are due, on a thread that starts with the first.
#[derive(Debug)]
pub struct Announcer(Arc<Shared>);

/// What was asked of an [`Announcer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Shared {
    files: Arc<Files>,
    visitor: Arc<Visitor>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// By when they are due.
    due: BTreeMap<(Instant, Ticket), Announcement>,
    /// The one that is being made, unless it was cancelled.
    under_way: Option<Ticket>,
    asked: u64,
    started: bool,
    closed: bool,
}

impl Announcer {
    /// Announces in the sandboxes of a run directory. The calling thread's namespace is where its own thread is at home.
    ///
    /// # Errors
    ///
    /// [`HostError::Kernel`] if that namespace cannot be opened.
    pub fn below(run_dir: &Path) -> Result<Self, HostError> {
        let one = const { NonZeroUsize::new(1).expect("one is not zero") };
        let visitor = Visitor::new(one).map_err(|e| error::failed(&e))?;
        Ok(Self::new(&Arc::new(Files::below(run_dir)), &Arc::new(visitor)))
    }

    pub(in crate::linux) fn new(files: &Arc<Files>, visitor: &Arc<Visitor>) -> Self {
        let (files, visitor) = (Arc::clone(files), Arc::clone(visitor));
        Self(Arc::new(Shared { files, visitor, queue: Mutex::default(), changed: Condvar::new() }))
    }

    /// Asks for an announcement after a delay, and then for the others. They end early where the sandbox or the interface has
    /// gone, or is another one; what fails is logged, and tried no more.
    pub fn ask(&self, announcement: Announcement, delay: Duration) -> Ticket {
        let mut queue = self.0.lock();
        if !queue.started {
            let shared = Arc::clone(&self.0);
            match thread::Builder::new().name("announce".to_owned()).spawn(move || shared.serve()) {
                Ok(_) => queue.started = true,
                Err(error) => tracing::warn!(%error, "addresses are not announced until a thread can be started"),
            }
        }
        queue.asked += 1;
        let ticket = Ticket(queue.asked);
        queue.add(ticket, announcement, delay);
        drop(queue);
        self.0.changed.notify_one();
        ticket
    }

    /// Takes back what is left of something that was asked for.
    pub fn cancel(&self, ticket: Ticket) {
        let mut queue = self.0.lock();
        queue.due.retain(|(_, one), _| *one != ticket);
        queue.under_way.take_if(|one| *one == ticket);
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl Queue {
    fn add(&mut self, ticket: Ticket, announcement: Announcement, delay: Duration) {
        if announcement.count > 0 {
            self.due.insert((Instant::now() + delay, ticket), announcement);
        }
    }
}

impl Shared {
    fn serve(&self) {
        while let Some((ticket, announcement)) = self.next() {
            let made = self.announce(&announcement);
            let mut queue = self.lock();
            let wanted = queue.under_way.take() == Some(ticket);
            match made {
                Ok(true) if wanted => {
                    let (count, interval) = (announcement.count - 1, announcement.interval);
                    queue.add(ticket, Announcement { count, ..announcement }, interval);
                }
                Ok(_) => {}
                Err(error) => {
                    let (interface, sandbox) = (&announcement.link, announcement.sandbox.short());
                    tracing::warn!(%error, %interface, sandbox, "the addresses of an interface are announced no more");
                }
            }
        }
    }

    /// Announces once if the interface is still the same; returns whether it is.
    fn announce(&self, announcement: &Announcement) -> Result<bool, HostError> {
        let mut open = match namespaces::open(&self.files, &self.visitor, announcement.sandbox) {
            Err(HostError::Missing { .. }) => return Ok(false),
            opened => opened?,
        };
        let present = link(&mut open.socket, announcement.link.as_str()).map_err(|e| error::failed(&e))?;
        match present {
            Some(link) if link.up && link.mac == Some(announcement.mac.octets()) => {
                send(announcement, link.index, &mut open, &self.visitor).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    fn next(&self) -> Option<(Ticket, Announcement)> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            let now = Instant::now();
            match queue.due.first_key_value().map(|(key, _)| *key) {
                Some(first) if first.0 <= now => {
                    queue.under_way = Some(first.1);
                    return queue.due.remove(&first).map(|announcement| (first.1, announcement));
                }
                Some((due, _)) => {
                    let waited = self.changed.wait_timeout(queue, due - now);
                    queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Nothing that holds this lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
