//! Asking other servers what no network knows.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use domain::base::iana::OptRcode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::answer::failure;
use crate::exchange::{exchange, is_final};
use crate::interval::Interval;
use crate::limits::Limits;
use crate::outlet::{Outgoing, Outlet, SandboxKey};
use crate::request::Transport;
use crate::statistics::Counters;
use crate::view::{Server, View};

/// A query that was not answered here.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) query: Vec<u8>,
    pub(crate) client: IpAddr,
    pub(crate) transport: Transport,
}

impl Pending {
    fn failure(&self, code: OptRcode) -> Option<Vec<u8>> {
        failure(&self.query, self.transport, code)
    }
}

/// Asks other servers for one sandbox.
pub(crate) struct Forwarder {
    sandbox: SandboxKey,
    outlet: Arc<dyn Outlet>,
    limits: Limits,
    /// One for each query that may be here at all.
    places: Semaphore,
    /// One for each query that may wait for a server.
    turns: Semaphore,
    refusals: Interval,
}

impl Forwarder {
    pub(crate) fn new(sandbox: SandboxKey, outlet: Arc<dyn Outlet>, limits: Limits) -> Self {
        Self {
            sandbox,
            outlet,
            limits,
            places: Semaphore::new(limits.in_flight.saturating_add(limits.waiting).min(Semaphore::MAX_PERMITS)),
            turns: Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS)),
            refusals: Interval::new(limits.log_interval),
        }
    }

    /// Returns the answer of the first server that has one, or an error in its place.
    pub(crate) async fn forward(&self, pending: &Pending, view: &View, counters: &Counters) -> Option<Vec<u8>> {
        let place = self.places.try_acquire();
        let turn = match &place {
            Ok(_) => timeout(self.limits.patience, self.turns.acquire()).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        if turn.is_none() {
            counters.refused.count();
            if self.refusals.is_due(Instant::now()) {
                let limit = self.limits.in_flight;
                warn!(sandbox = %self.sandbox, "queries refused: more than {limit} wait for servers");
            }
            return pending.failure(OptRcode::REFUSED);
        }
        counters.forwarded.count();
        for server in view.servers_for(pending.client) {
            match timeout(self.limits.attempt, self.attempt(pending, server)).await {
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
    async fn attempt(&self, pending: &Pending, server: Server) -> io::Result<Vec<u8>> {
        let socket = self.open(server, pending.transport).await?;
        let mut query = pending.query.clone();
        let client_id = swap_id(&mut query, random_id()?)?;
        let mut reply = exchange(socket, server.address, pending.transport, &query).await?;
        swap_id(&mut reply, client_id)?;
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

/// Gives a message another identity, and returns the one that it had.
fn swap_id(message: &mut [u8], id: [u8; 2]) -> io::Result<[u8; 2]> {
    let place = message.first_chunk_mut().ok_or(io::ErrorKind::InvalidData)?;
    Ok(std::mem::replace(place, id))
}
