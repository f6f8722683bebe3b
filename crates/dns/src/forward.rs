//! Asking other servers what no network knows.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use domain::base::iana::OptRcode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::answer::failure;
use crate::exchange::{exchange, is_final};
use crate::interval::Interval;
use crate::limits::{LARGEST_QUERY, Limits};
use crate::outlet::{Outgoing, Outlet, SandboxKey};
use crate::request::Transport;
use crate::statistics::Counters;
use crate::view::{Server, View};

/// A query that was not answered here. It is kept once, however many servers are asked.
#[derive(Debug)]
pub(crate) struct Pending {
    query: Vec<u8>,
    /// That of the client; the query has another while a server is asked.
    id: [u8; 2],
    client: IpAddr,
    transport: Transport,
    _place: Place,
}

impl Pending {
    fn failure(mut self, code: OptRcode) -> Option<Vec<u8>> {
        set_id(&mut self.query, self.id).ok()?;
        failure(&self.query, self.transport, code)
    }
}

/// What a query holds from its coming to its answer: of the sandbox's places, and of those of all sandboxes.
#[derive(Debug)]
struct Place {
    _of_sandbox: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Asks other servers for one sandbox.
pub(crate) struct Forwarder {
    sandbox: SandboxKey,
    outlet: Arc<dyn Outlet>,
    limits: Limits,
    /// One for each query that may be here at all.
    places: Arc<Semaphore>,
    /// One for each query that may be here from any sandbox.
    of_all: Arc<Semaphore>,
    /// One for each query that may wait for a server.
    turns: Semaphore,
    refusals: Interval,
}

impl Forwarder {
    pub(crate) fn new(sandbox: SandboxKey, outlet: Arc<dyn Outlet>, limits: Limits, of_all: Arc<Semaphore>) -> Self {
        let places = limits.in_flight.saturating_add(limits.waiting).min(Semaphore::MAX_PERMITS);
        Self {
            sandbox,
            outlet,
            limits,
            places: Arc::new(Semaphore::new(places)),
            of_all,
            turns: Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS)),
            refusals: Interval::new(limits.log_interval),
        }
    }

    /// Takes a query in, or returns the answer that refuses it. Nothing is kept of what is refused.
    ///
    /// The code is REFUSED for one that is too large too: it is well formed, which FORMERR would deny, and not forwarding it
    /// is a matter of policy (RFC 1035 §4.1.1).
    pub(crate) fn admit(
        &self,
        query: &[u8],
        client: IpAddr,
        transport: Transport,
        counters: &Counters,
    ) -> Result<Pending, Option<Vec<u8>>> {
        let admitted = self.place(query.len()).and_then(|place| {
            let id = *query.first_chunk().ok_or("it has no header")?;
            Ok(Pending { query: query.to_vec(), id, client, transport, _place: place })
        });
        admitted.map_err(|reason| {
            self.refuse(reason, counters);
            failure(query, transport, OptRcode::REFUSED)
        })
    }

    fn place(&self, length: usize) -> Result<Place, &'static str> {
        if length > LARGEST_QUERY {
            return Err("larger than any real one");
        }
        let place = |places: &Arc<Semaphore>, reason| Arc::clone(places).try_acquire_owned().map_err(|_| reason);
        Ok(Place {
            _of_sandbox: place(&self.places, "too many of this sandbox wait for servers")?,
            _of_all: place(&self.of_all, "too many of all sandboxes wait for servers")?,
        })
    }

    fn refuse(&self, reason: &str, counters: &Counters) {
        counters.refused.count();
        if self.refusals.is_due(Instant::now()) {
            warn!(sandbox = %self.sandbox, "queries refused: {reason}");
        }
    }

    /// Returns the answer of the first server that has one, or an error in its place.
    pub(crate) async fn forward(&self, mut pending: Pending, view: &View, counters: &Counters) -> Option<Vec<u8>> {
        let Ok(Ok(_turn)) = timeout(self.limits.patience, self.turns.acquire()).await else {
            self.refuse("too many of this sandbox wait for servers", counters);
            return pending.failure(OptRcode::REFUSED);
        };
        counters.forwarded.count();
        for server in view.servers_for(pending.client) {
            match timeout(self.limits.attempt, self.attempt(&mut pending, server)).await {
                Ok(Ok(reply)) if is_final(&reply) => return Some(reply),
                Ok(Ok(_)) => debug!(sandbox = %self.sandbox, server = %server.address, "server failed or refused"),
                Ok(Err(error)) => {
                    debug!(sandbox = %self.sandbox, server = %server.address, %error, "server not reached")
                }
                Err(_) => debug!(sandbox = %self.sandbox, server = %server.address, "server did not answer in time"),
            }
        }
        counters.failed.count();
        pending.failure(OptRcode::SERVFAIL)
    }

    /// Asks one server under an identity that nobody can guess, and returns its answer with that of the client.
    async fn attempt(&self, pending: &mut Pending, server: Server) -> io::Result<Vec<u8>> {
        let socket = self.open(server, pending.transport).await?;
        set_id(&mut pending.query, random_id()?)?;
        let mut reply = exchange(socket, server.address, pending.transport, &pending.query).await?;
        set_id(&mut reply, pending.id)?;
        Ok(reply)
    }

    async fn open(&self, server: Server, transport: Transport) -> io::Result<OwnedFd> {
        let outlet = Arc::clone(&self.outlet);
        let sandbox = self.sandbox.clone();
        let outgoing = Outgoing { sandbox, reach: server.reach, server: server.address, transport };
        // On a thread where the outlet may enter namespaces. If the time is up before its turn comes, it is not called.
        let mut call = JoinSet::new();
        call.spawn_blocking(move || outlet.open(&outgoing));
        call.join_next().await.ok_or(io::ErrorKind::Other)??
    }
}

fn random_id() -> io::Result<[u8; 2]> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    Ok(id)
}

/// Gives a message another identity.
fn set_id(message: &mut [u8], id: [u8; 2]) -> io::Result<()> {
    *message.first_chunk_mut().ok_or(io::ErrorKind::InvalidData)? = id;
    Ok(())
}
