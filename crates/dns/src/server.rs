//! The resolver of all sandboxes.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;

use crate::forward::Forwarder;
use crate::limits::Limits;
use crate::outlet::{Outlet, SandboxKey};
use crate::sandbox::{Sandbox, serve_connections, serve_datagrams};
use crate::statistics::Statistics;
use crate::view::View;

/// How many threads call the outlet; each call takes microseconds.
const OUTLET_THREADS: usize = 8;

/// How long is waited for sockets to be closed, and for calls of the outlet to end.
const CLOSING: Duration = Duration::from_secs(2);

/// The resolver: one thread that answers every sandbox on sockets of its own.
///
/// Sockets may be in any network namespace; they were opened there. A query that is forwarded needs a descriptor while it
/// waits, so the process should be allowed many (`RLIMIT_NOFILE`).
///
/// Dropping it closes the sockets.
pub struct Resolver {
    handle: Handle,
    outlet: Arc<dyn Outlet>,
    limits: Limits,
    /// One for each query that is forwarded, whatever the sandbox.
    places: Arc<Semaphore>,
    sandboxes: Mutex<HashMap<SandboxKey, Served>>,
    /// Dropped to end the thread.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// The sockets on which one sandbox asks, bound, the second also listening.
#[derive(Debug)]
pub struct Sockets {
    /// Receives queries in datagrams.
    pub udp: UdpSocket,
    /// Receives connections.
    pub tcp: TcpListener,
}

/// Why a sandbox could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It is there already.
    #[error("sandbox {sandbox} has a resolver already: publish to it, or remove it first")]
    Exists {
        /// The sandbox.
        sandbox: SandboxKey,
    },
    /// Its sockets cannot be waited on.
    #[error("the resolver cannot wait on the sockets of sandbox {sandbox}")]
    Socket {
        /// The sandbox.
        sandbox: SandboxKey,
        /// What the system said.
        source: io::Error,
    },
}

struct Served {
    sandbox: Arc<Sandbox>,
    tasks: [AbortHandle; 2],
    closed: mpsc::Receiver<()>,
}

impl Resolver {
    /// Starts a resolver without sandboxes, which asks other servers on sockets from `outlet`.
    pub fn start(outlet: Arc<dyn Outlet>, limits: Limits) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("pontoon-dns-out")
            .max_blocking_threads(OUTLET_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("pontoon-dns".into()).spawn(move || {
            // Ends with an error when the sender is dropped.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_timeout(CLOSING);
        })?;
        let places = Arc::new(Semaphore::new(limits.of_all.min(Semaphore::MAX_PERMITS)));
        Ok(Self { handle, outlet, limits, places, sandboxes: Mutex::default(), running: Some((stop, thread)) })
    }

    /// Answers a sandbox that sees `view` on its sockets, from now on.
    pub fn add(&self, sandbox: SandboxKey, sockets: Sockets, view: View) -> Result<(), AddError> {
        let failed = |source| AddError::Socket { sandbox: sandbox.clone(), source };
        let (udp, tcp) = self.register(sockets).map_err(failed)?;
        let mut sandboxes = self.lock();
        if sandboxes.contains_key(&sandbox) {
            return Err(AddError::Exists { sandbox });
        }
        let (open, closed) = mpsc::channel();
        let forwarder =
            Forwarder::new(sandbox.clone(), Arc::clone(&self.outlet), self.limits, Arc::clone(&self.places));
        let shared = Arc::new(Sandbox::new(sandbox.clone(), view, forwarder, self.limits, open));
        let datagrams = self.handle.spawn(serve_datagrams(Arc::clone(&shared), udp));
        let connections = self.handle.spawn(serve_connections(Arc::clone(&shared), tcp));
        let tasks = [datagrams.abort_handle(), connections.abort_handle()];
        sandboxes.insert(sandbox, Served { sandbox: shared, tasks, closed });
        Ok(())
    }

    /// Changes what a sandbox sees; queries from now on see it. Returns whether the sandbox is there.
    pub fn publish(&self, sandbox: &SandboxKey, view: View) -> bool {
        self.with(sandbox, |sandbox| sandbox.view.store(Arc::new(view))).is_some()
    }

    /// Stops answering a sandbox, and returns when its sockets are closed, so that they keep no namespace. Returns whether
    /// the sandbox was there.
    pub fn remove(&self, sandbox: &SandboxKey) -> bool {
        let Some(Served { sandbox, tasks, closed }) = self.lock().remove(sandbox) else { return false };
        tasks.iter().for_each(AbortHandle::abort);
        drop(sandbox);
        // Ends with an error when the last task is gone.
        let _ = closed.recv_timeout(CLOSING);
        true
    }

    /// Returns what became of a sandbox's queries, if it is there.
    pub fn statistics(&self, sandbox: &SandboxKey) -> Option<Statistics> {
        self.with(sandbox, |sandbox| sandbox.counters.read())
    }

    /// Returns the sandboxes that are answered, in order.
    pub fn sandboxes(&self) -> Vec<SandboxKey> {
        let mut sandboxes: Vec<_> = self.lock().keys().cloned().collect();
        sandboxes.sort_unstable();
        sandboxes
    }

    fn register(&self, sockets: Sockets) -> io::Result<(tokio::net::UdpSocket, tokio::net::TcpListener)> {
        sockets.udp.set_nonblocking(true)?;
        sockets.tcp.set_nonblocking(true)?;
        let _runtime = self.handle.enter();
        Ok((tokio::net::UdpSocket::from_std(sockets.udp)?, tokio::net::TcpListener::from_std(sockets.tcp)?))
    }

    fn with<T>(&self, sandbox: &SandboxKey, call: impl FnOnce(&Sandbox) -> T) -> Option<T> {
        let sandbox = self.lock().get(sandbox).map(|served| Arc::clone(&served.sandbox))?;
        Some(call(&sandbox))
    }

    /// Held for the book-keeping of callers; queries take no lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<SandboxKey, Served>> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // The thread does not panic: its tasks' panics are theirs.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("sandboxes", &self.sandboxes()).field("limits", &self.limits).finish()
    }
}
