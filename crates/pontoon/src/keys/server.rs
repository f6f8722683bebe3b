//! Serving the socket.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_core::engine::Engine;
use rustix::net::Shutdown;

use super::exchange::{PATIENCE, answer};
use super::turns::Turns;
use crate::Controller;

/// How many clients are served at the same time; others wait in the socket's queue.
const CLIENTS: usize = 64;

/// A socket that is served until this is dropped.
#[derive(Debug)]
pub struct KeyServer {
    path: PathBuf,
    listener: Arc<UnixListener>,
    turns: Arc<Turns>,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    /// Serves a socket on which runtimes name the namespaces of sandboxes that wait for them. A socket that nobody serves any
    /// more is replaced; the directory is made with access for its owner alone. 64 clients are served at the same time, others
    /// wait; one that takes longer than five seconds over its request is given up.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made, or somebody else serves it.
    pub fn serve_keys(&self, path: impl Into<PathBuf>) -> io::Result<KeyServer> {
        KeyServer::start(path.into(), self.engine.clone())
    }
}

impl KeyServer {
    fn start(path: PathBuf, engine: Arc<Engine>) -> io::Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(directory) = directory {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let listener = Arc::new(bind(&path)?);
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let turns = Turns::new(CLIENTS);
        let theirs = (Arc::clone(&listener), Arc::clone(&turns));
        let thread =
            thread::Builder::new().name("keys".to_owned()).spawn(move || accept(&theirs.0, &theirs.1, &engine))?;
        Ok(Self { path, listener, turns, thread: Some(thread) })
    }

    /// Returns the socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        // Whoever connects from now on finds nobody.
        let _gone = fs::remove_file(&self.path);
        self.turns.end();
        // This wakes up who waits for a client (Linux: net/unix/af_unix.c, unix_accept).
        let woken = rustix::net::shutdown(&*self.listener, Shutdown::Both).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // It does not panic, and nobody could do anything about it.
            let _ = thread.join();
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && UnixStream::connect(path).is_err() => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// Gives every client a thread of its own, so that one that dawdles keeps nobody else waiting.
fn accept(listener: &UnixListener, turns: &Arc<Turns>, engine: &Arc<Engine>) {
    while let Some(turn) = turns.take() {
        match listener.accept() {
            Ok((client, _)) => {
                let engine = Arc::clone(engine);
                let serving = move || {
                    serve(client, &engine);
                    drop(turn);
                };
                if let Err(error) = thread::Builder::new().name("key".to_owned()).spawn(serving) {
                    tracing::warn!(%error, "a key could not be served");
                }
            }
            Err(_) if turns.ended() => return,
            Err(error) => {
                tracing::warn!(%error, "a connection for a key was lost");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Reads one request and answers it.
fn serve(mut client: UnixStream, engine: &Engine) {
    let answer = answer(engine, Timely { client: &client, deadline: Instant::now() + PATIENCE });
    if let Err(error) = client.set_write_timeout(Some(PATIENCE)).and_then(|()| client.write_all(answer.as_bytes())) {
        tracing::debug!(%error, "a client did not wait for its answer");
    }
}

/// A stream that is read until a deadline, however little comes at a time.
struct Timely<'a> {
    client: &'a UnixStream,
    deadline: Instant,
}

impl Read for Timely<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.client.set_read_timeout(Some(left))?;
        match self.client.read(buffer) {
            // That is what Linux says of a read that took too long.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            read => read,
        }
    }
}
