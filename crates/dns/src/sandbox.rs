//! Serving one sandbox: its datagrams and its connections.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use domain::base::iana::OptRcode;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::answer::{Decision, answer, failure};
use crate::forward::{Forwarder, Pending};
use crate::interval::Interval;
use crate::limits::{LARGEST_QUERY, Limits};
use crate::outlet::SandboxKey;
use crate::request::Transport;
use crate::statistics::Counters;
use crate::stream::{read_message, write_message};
use crate::view::View;

/// How many datagrams are taken from a socket before the other sandboxes have their turn.
const BATCH: usize = 32;

/// More than the largest datagram.
const LARGEST: usize = 65535;

/// How long a socket that fails is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// What the tasks that serve a sandbox share.
pub(crate) struct Sandbox {
    key: SandboxKey,
    limits: Limits,
    pub(crate) view: ArcSwap<View>,
    pub(crate) counters: Counters,
    forwarder: Forwarder,
    complaints: Interval,
    /// Dropped with the last task, and after that task's sockets.
    _closed: mpsc::Sender<()>,
}

impl Sandbox {
    pub(crate) fn new(
        key: SandboxKey,
        view: View,
        forwarder: Forwarder,
        limits: Limits,
        closed: mpsc::Sender<()>,
    ) -> Self {
        Self {
            forwarder,
            complaints: Interval::new(limits.log_interval),
            key,
            limits,
            view: ArcSwap::from_pointee(view),
            counters: Counters::default(),
            _closed: closed,
        }
    }

    /// Decides what becomes of a query. If that goes wrong, the query fails, and nothing else.
    fn decide(&self, query: &[u8], transport: Transport) -> Decision {
        self.counters.queries.count();
        let view = self.view.load();
        let decide = || answer(query, &view, transport, &mut |count| fastrand::usize(..count));
        let Some(decision) = contained(decide) else {
            self.counters.failed.count();
            self.complain("answering a query failed, which is a mistake in the resolver", &format_args!("{query:?}"));
            let reply = contained(|| failure(query, transport, OptRcode::SERVFAIL)).flatten();
            return reply.map_or(Decision::Drop, Decision::Reply);
        };
        match decision {
            Decision::Reply(_) => self.counters.answered.count(),
            Decision::Drop => self.counters.dropped.count(),
            Decision::Forward => {}
        }
        decision
    }

    /// Logs what went wrong, unless something was logged just now.
    fn complain(&self, what: &str, why: &dyn fmt::Display) {
        if self.complaints.is_due(Instant::now()) {
            warn!(sandbox = %self.key, "{what}: {why}");
        }
    }

    /// Takes in a query that other servers are to be asked, or returns the answer that refuses it.
    fn admit(&self, query: &[u8], client: IpAddr, transport: Transport) -> Result<Pending, Option<Vec<u8>>> {
        self.forwarder.admit(query, client, transport, &self.counters)
    }

    async fn forward(&self, pending: Pending) -> Option<Vec<u8>> {
        let view = self.view.load_full();
        self.forwarder.forward(pending, &view, &self.counters).await
    }
}

/// Calls a function; a panic becomes nothing.
fn contained<T>(call: impl FnOnce() -> T) -> Option<T> {
    // What the function shares with others is counters and snapshots, which no panic leaves half changed.
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Answers the datagrams of a sandbox, for ever.
pub(crate) async fn serve_datagrams(sandbox: Arc<Sandbox>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    // Dropped, and so ended, together with this task.
    let mut forwards = JoinSet::new();
    loop {
        let ready = tokio::select! {
            biased;
            ready = socket.readable() => ready,
            Some(_) = forwards.join_next(), if !forwards.is_empty() => continue,
        };
        let taken = match ready {
            Ok(()) => take_datagrams(&sandbox, &socket, &mut forwards).await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            sandbox.complain("receiving queries failed, trying again", &error);
            sleep(PAUSE).await;
        }
    }
}

/// Answers what has come, up to a batch; then whatever else is ready has its turn.
async fn take_datagrams(sandbox: &Arc<Sandbox>, socket: &Arc<UdpSocket>, forwards: &mut JoinSet<()>) -> io::Result<()> {
    // Not kept while nothing comes: there may be thousands of sandboxes.
    let mut query = Vec::with_capacity(LARGEST);
    for _ in 0..BATCH {
        query.clear();
        let client = match socket.try_recv_buf_from(&mut query) {
            Ok((_, client)) => client,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        match sandbox.decide(&query, Transport::Udp) {
            Decision::Reply(reply) => send(sandbox, socket, client, &reply).await,
            Decision::Forward => match sandbox.admit(&query, client.ip(), Transport::Udp) {
                Ok(pending) => {
                    forwards.spawn(forward_datagram(Arc::clone(sandbox), Arc::clone(socket), client, pending));
                }
                Err(Some(refusal)) => send(sandbox, socket, client, &refusal).await,
                Err(None) => {}
            },
            Decision::Drop => {}
        }
    }
    yield_now().await;
    Ok(())
}

async fn forward_datagram(sandbox: Arc<Sandbox>, socket: Arc<UdpSocket>, client: SocketAddr, pending: Pending) {
    if let Some(reply) = sandbox.forward(pending).await {
        send(&sandbox, &socket, client, &reply).await;
    }
}

async fn send(sandbox: &Sandbox, socket: &UdpSocket, client: SocketAddr, reply: &[u8]) {
    if let Err(error) = socket.send_to(reply, client).await {
        debug!(sandbox = %sandbox.key, %client, %error, "answer not sent");
    }
}

/// Answers the connections of a sandbox, for ever.
pub(crate) async fn serve_connections(sandbox: Arc<Sandbox>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(sandbox.limits.connections.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        // What has no place waits in the kernel's queue.
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accept => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, client)) => {
                let sandbox = Arc::clone(&sandbox);
                connections.spawn(async move {
                    // An error is the client's end of the connection.
                    let _ = serve_connection(sandbox, stream, client.ip()).await;
                    drop(place);
                });
            }
            Err(error) => {
                sandbox.complain("accepting a connection failed, trying again", &error);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers the queries of a connection one after the other, until the client ends it or is silent for too long.
async fn serve_connection(sandbox: Arc<Sandbox>, mut stream: TcpStream, client: IpAddr) -> io::Result<()> {
    // Answers to queries that came together do not wait for each other's acknowledgement.
    stream.set_nodelay(true)?;
    loop {
        let query = timeout(sandbox.limits.idle, read_message(&mut stream, LARGEST_QUERY)).await??;
        let reply = match sandbox.decide(&query, Transport::Tcp) {
            Decision::Reply(reply) => Some(reply),
            Decision::Forward => match sandbox.admit(&query, client, Transport::Tcp) {
                Ok(pending) => sandbox.forward(pending).await,
                Err(refusal) => refusal,
            },
            Decision::Drop => None,
        };
        if let Some(reply) = reply {
            timeout(sandbox.limits.idle, write_message(&mut stream, &reply)).await??;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(contained(|| 1), Some(1));
        assert_eq!(
            contained(|| if true {
                panic!("expected by this test")
            }),
            None
        );
    }
}
