//! Events on their way to whoever listens. Each listener has a queue of a fixed length, and nobody waits for a slow one.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Event;

/// How many events wait for a subscriber; when one more comes, the oldest is lost.
pub const EVENT_CAPACITY: usize = 1024;

/// A stream of events, read as a [`std::sync::mpsc::Receiver`] is. It ends when the engine is gone and everything was read.
///
/// At most [`EVENT_CAPACITY`] events wait. A subscriber who reads too slowly loses the oldest, and is told how many by
/// [`Event::Lagged`], which comes before those that are left: what was lost can be read from the state. The engine never
/// waits for a subscriber.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// How many were lost that came before those.
    missed: u64,
    closed: bool,
}

impl Subscription {
    /// Returns the next event, and waits for it.
    ///
    /// # Errors
    ///
    /// If the engine is gone.
    pub fn recv(&self) -> Result<Event, RecvError> {
        let waited = self.queue.changed.wait_while(self.queue.lock(), |waiting| waiting.must_wait());
        waited.unwrap_or_else(PoisonError::into_inner).take().ok_or(RecvError)
    }

    /// Returns the next event if there is one.
    ///
    /// # Errors
    ///
    /// If there is none, or the engine is gone.
    pub fn try_recv(&self) -> Result<Event, TryRecvError> {
        let mut waiting = self.queue.lock();
        let none = if waiting.closed { TryRecvError::Disconnected } else { TryRecvError::Empty };
        waiting.take().ok_or(none)
    }

    /// Returns the next event, and waits for it no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If none came in that time, or the engine is gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, RecvTimeoutError> {
        let waited = self.queue.changed.wait_timeout_while(self.queue.lock(), timeout, |waiting| waiting.must_wait());
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let none = if waiting.closed { RecvTimeoutError::Disconnected } else { RecvTimeoutError::Timeout };
        waiting.take().ok_or(none)
    }
}

impl Iterator for Subscription {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv().ok()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, event: Event) {
        self.lock().put(event);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl Waiting {
    fn must_wait(&self) -> bool {
        self.events.is_empty() && !self.closed
    }

    fn put(&mut self, event: Event) {
        if self.events.len() == EVENT_CAPACITY {
            self.events.pop_front();
            self.missed += 1;
        }
        self.events.push_back(event);
    }

    fn take(&mut self) -> Option<Event> {
        match mem::take(&mut self.missed) {
            0 => self.events.pop_front(),
            missed => Some(Event::Lagged { missed }),
        }
    }
}

/// Hands events to all subscribers that are still there.
#[derive(Default)]
pub(super) struct Bus {
    queues: Mutex<Vec<Weak<Queue>>>,
}

impl Bus {
    pub(super) fn subscribe(&self) -> Subscription {
        let queue = Arc::new(Queue::default());
        self.lock().push(Arc::downgrade(&queue));
        Subscription { queue }
    }

    pub(super) fn tell(&self, event: &Event) {
        self.lock().retain(|queue| {
            queue.upgrade().is_some_and(|queue| {
                queue.put(event.clone());
                true
            })
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.lock().iter().filter_map(Weak::upgrade).for_each(|queue| queue.close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> Event {
        Event::DriftRepaired { step: number.to_string() }
    }

    fn told(bus: &Bus, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| bus.tell(&numbered(number)));
    }

    fn read(subscription: &Subscription) -> Vec<Event> {
        std::iter::from_fn(|| subscription.try_recv().ok()).collect()
    }

    #[test]
    fn everybody_is_told_everything_in_order() {
        let bus = Bus::default();
        let early = bus.subscribe();
        told(&bus, 0..2);
        let late = bus.subscribe();
        told(&bus, 2..EVENT_CAPACITY);
        assert_eq!(read(&early), (0..EVENT_CAPACITY).map(numbered).collect::<Vec<_>>());
        assert_eq!(read(&late), (2..EVENT_CAPACITY).map(numbered).collect::<Vec<_>>());
        assert_eq!(early.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(early.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn who_does_not_read_loses_the_oldest_and_is_told_how_many() {
        let bus = Bus::default();
        let (slow, quick) = (bus.subscribe(), bus.subscribe());
        let mut seen = 0;
        for number in 0..3 * EVENT_CAPACITY {
            told(&bus, number..number + 1);
            seen += read(&quick).len();
        }
        assert_eq!(seen, 3 * EVENT_CAPACITY, "one subscriber's sloth is not another's");
        assert_eq!(slow.try_recv(), Ok(Event::Lagged { missed: 2 * EVENT_CAPACITY as u64 }));
        assert_eq!(slow.try_recv(), Ok(numbered(2 * EVENT_CAPACITY)));
        // There is room for one more, and not for two.
        told(&bus, 0..2);
        assert_eq!(slow.try_recv(), Ok(Event::Lagged { missed: 1 }));
        let rest = read(&slow);
        assert_eq!((rest.len(), &rest[0]), (EVENT_CAPACITY, &numbered(2 * EVENT_CAPACITY + 2)));
    }

    #[test]
    fn a_subscriber_that_went_is_forgotten() {
        let bus = Bus::default();
        drop(bus.subscribe());
        told(&bus, 0..1);
        assert!(bus.lock().is_empty());
    }

    #[test]
    fn the_stream_ends_with_the_engine() {
        let bus = Bus::default();
        let reads = bus.subscribe();
        let waits = bus.subscribe();
        told(&bus, 0..1);
        let waiter = std::thread::spawn(move || waits.collect::<Vec<_>>());
        drop(bus);
        assert_eq!(waiter.join().expect("it ends"), [numbered(0)]);
        assert_eq!((reads.recv(), reads.recv()), (Ok(numbered(0)), Err(RecvError)));
        assert_eq!(reads.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(reads.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
    }
}
