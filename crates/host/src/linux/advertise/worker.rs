//! The announcements after the first.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use pontoon_core::engine::HostError;
use pontoon_netlink::netns::Visitor;
use pontoon_netlink::route::link;

use super::{Announcement, send};
use crate::linux::error;
use crate::linux::namespaces::{self, Files};

/// Makes announcements when they are due, on a thread that starts with the first.
pub(in crate::linux) struct Announcer(Arc<Shared>);

struct Shared {
    files: Arc<Files>,
    visitor: Arc<Visitor>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// By when they are due, and by number where that is the same.
    due: BTreeMap<(Instant, u64), Announcement>,
    asked: u64,
    started: bool,
    closed: bool,
}

impl Announcer {
    pub(in crate::linux) fn new(files: &Arc<Files>, visitor: &Arc<Visitor>) -> Self {
        let (files, visitor) = (Arc::clone(files), Arc::clone(visitor));
        Self(Arc::new(Shared { files, visitor, queue: Mutex::default(), changed: Condvar::new() }))
    }

    pub(super) fn ask(&self, announcement: Announcement) {
        let mut queue = self.0.lock();
        if !queue.started {
            let shared = Arc::clone(&self.0);
            match thread::Builder::new().name("announce".to_owned()).spawn(move || shared.serve()) {
                Ok(_) => queue.started = true,
                Err(error) => return tracing::warn!(%error, "addresses are announced only once"),
            }
        }
        queue.add(announcement);
        drop(queue);
        self.0.changed.notify_one();
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl Queue {
    fn add(&mut self, announcement: Announcement) {
        self.asked += 1;
        self.due.insert((Instant::now() + announcement.interval, self.asked), announcement);
    }
}

impl Shared {
    fn serve(&self) {
        while let Some(announcement) = self.next() {
            match self.repeat(&announcement) {
                Ok(true) if announcement.left > 1 => {
                    self.lock().add(Announcement { left: announcement.left - 1, ..announcement });
                }
                Ok(_) => {}
                Err(error) => {
                    let (interface, sandbox) = (&announcement.link, announcement.sandbox.short());
                    tracing::warn!(%error, %interface, sandbox, "the addresses of an interface are announced no more");
                }
            }
        }
    }

    /// Announces again if the interface is still the same.
    fn repeat(&self, announcement: &Announcement) -> Result<bool, HostError> {
        let mut open = match namespaces::open(&self.files, &self.visitor, announcement.sandbox) {
            Err(HostError::Missing { .. }) => return Ok(false),
            opened => opened?,
        };
        let present = link(&mut open.socket, announcement.link.as_str()).map_err(|e| error::failed(&e))?;
        let same = |mac, index| mac == Some(announcement.mac.octets()) && index == announcement.index;
        match present {
            Some(link) if link.up && same(link.mac, link.index) => {
                send(announcement, &mut open, &self.visitor).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    fn next(&self) -> Option<Announcement> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            let now = Instant::now();
            match queue.due.first_key_value().map(|(key, _)| *key) {
                Some(first) if first.0 <= now => return queue.due.remove(&first),
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
