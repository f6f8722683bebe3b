//! Threads that visit namespaces on behalf of others.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::namespace::{Namespace, destroy};
use crate::error::Error;

/// A few persistent threads that run work inside network namespaces.
///
/// Threads are started when they are first needed. One that cannot return to the namespace in
/// which the visitor was made ends, and the next visit starts another.
#[derive(Debug)]
pub struct Visitor {
    shared: Arc<Shared>,
    limit: usize,
}

/// A visit under way.
#[derive(Debug)]
#[must_use = "the visit's result arrives in `wait`"]
pub struct Visit<T> {
    result: Receiver<Result<T, Error>>,
    namespace: String,
}

#[derive(Debug)]
struct Shared {
    home: Namespace,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

type Job = Box<dyn FnOnce(&Arc<Shared>) -> Whereabouts + Send>;

/// Where a thread is after a job.
#[derive(PartialEq, Eq)]
enum Whereabouts {
    Home,
    Lost,
}

impl Visitor {
    /// Makes a visitor of at most `threads` threads, at home in the calling thread's namespace.
    pub fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        let shared = Shared { home: Namespace::current()?, queue: Mutex::default(), changed: Condvar::new() };
        Ok(Self { shared: Arc::new(shared), limit: threads.get() })
    }

    /// Returns the namespace that the threads return to.
    pub fn home(&self) -> &Namespace {
        &self.shared.home
    }

    /// Runs `work` inside a namespace and waits for its result. A panic of `work` is returned as
    /// [`Error::Panicked`].
    pub fn visit<T: Send + 'static>(
        &self,
        namespace: &Namespace,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.start(namespace, work)?.wait()
    }

    /// Starts a visit and returns at once, so that several can run at the same time.
    pub fn start<T: Send + 'static>(
        &self,
        namespace: &Namespace,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Visit<T>, Error> {
        let (name, namespace) = (namespace.name().to_owned(), namespace.clone());
        self.submit(name, move || {
            namespace.enter()?;
            guarded(namespace.name(), work)
        })
    }

    /// Makes a namespace, kept by `path` if given, and runs `work` inside it in the same visit.
    ///
    /// The path must not exist; it is removed again if the namespace cannot be made or `work`
    /// panics, but not if `work` merely returns an error as its value.
    pub fn create<T: Send + 'static>(
        &self,
        path: Option<&Path>,
        work: impl FnOnce(&Namespace) -> T + Send + 'static,
    ) -> Result<(Namespace, T), Error> {
        self.start_create(path, work)?.wait()
    }

    /// Starts [`Visitor::create`] and returns at once.
    pub fn start_create<T: Send + 'static>(
        &self,
        path: Option<&Path>,
        work: impl FnOnce(&Namespace) -> T + Send + 'static,
    ) -> Result<Visit<(Namespace, T)>, Error> {
        let path: Option<PathBuf> = path.map(Path::to_path_buf);
        let name = path.as_ref().map_or("without a path".to_owned(), |p| p.display().to_string());
        self.submit(name, move || {
            let namespace = Namespace::unshare(path.as_deref())?;
            match (guarded(namespace.name(), || work(&namespace)), path) {
                (Ok(value), _) => Ok((namespace, value)),
                (Err(panicked), Some(path)) => {
                    // The panic is what the caller has to know; the path is a trace of it.
                    let _ = destroy(path);
                    Err(panicked)
                }
                (Err(panicked), None) => Err(panicked),
            }
        })
    }

    /// Queues `work`, which may leave its thread in any namespace, and sees to a free thread.
    fn submit<T: Send + 'static>(
        &self,
        namespace: String,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<Visit<T>, Error> {
        let (sender, result) = sync_channel(1);
        let job: Job = Box::new(move |shared| {
            let value = work();
            let whereabouts = shared.come_home();
            // Only now is it known who is left for the next visit. Nobody may wait for the result.
            let _ = sender.send(value);
            whereabouts
        });
        let mut queue = self.shared.lock();
        if queue.idle <= queue.jobs.len() && queue.threads < self.limit {
            self.add_thread(&mut queue, &namespace)?;
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_one();
        Ok(Visit { result, namespace })
    }

    /// Starts a thread; a failure matters only if there is no other to do the work.
    fn add_thread(&self, queue: &mut Queue, namespace: &str) -> Result<(), Error> {
        match start_thread(&self.shared) {
            Ok(()) => queue.threads += 1,
            Err(_) if queue.threads > 0 => {}
            Err(source) => {
                return Err(Error::Namespace { action: "start a thread for", namespace: namespace.to_owned(), source });
            }
        }
        Ok(())
    }
}

/// A new thread starts in the namespace of the thread that starts it, which may be anywhere, but
/// every job says itself where it runs, and ends at home.
fn start_thread(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("namespace".to_owned()).spawn(move || serve(&shared)).map(drop)
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl<T> Visit<T> {
    /// Waits for the visit to end and returns its result.
    pub fn wait(self) -> Result<T, Error> {
        self.result.recv().unwrap_or_else(|_| {
            Err(Error::Namespace {
                action: "visit",
                namespace: self.namespace,
                source: io::Error::other("the visiting thread is gone"),
            })
        })
    }
}

/// The life of a thread.
fn serve(shared: &Arc<Shared>) {
    while let Some(job) = shared.next() {
        if job(shared) == Whereabouts::Lost {
            return;
        }
    }
    shared.lock().threads -= 1;
}

impl Shared {
    /// Takes the calling thread home, or off the count if that fails.
    fn come_home(self: &Arc<Self>) -> Whereabouts {
        match self.home.enter() {
            Ok(()) => Whereabouts::Home,
            Err(error) => {
                tracing::warn!(%error, home = ?self.home, "a thread could not return");
                self.replace();
                Whereabouts::Lost
            }
        }
    }

    /// Puts another thread in the place of one that is lost, if there is work left for it.
    fn replace(self: &Arc<Self>) {
        let mut queue = self.lock();
        let needed = !queue.jobs.is_empty();
        if needed && start_thread(self).is_ok() {
            return;
        }
        queue.threads -= 1;
        if queue.threads == 0 {
            // Nobody is left to do them: their visitors stop waiting.
            queue.jobs.clear();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Nothing that holds this lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("jobs", &self.jobs.len()).field("threads", &self.threads).finish_non_exhaustive()
    }
}

fn guarded<T>(namespace: &str, work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| Error::Panicked { namespace: namespace.to_owned(), message: message(panic.as_ref()) })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
