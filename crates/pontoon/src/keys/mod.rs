//! Namespaces that are named from outside: a socket that takes a container and the path of its namespace.
//!
//! One connection is one request, a JSON object `{"ContainerID": .., "Key": "/proc/<pid>/ns/net"}`, and one answer: `success`, or
//! the error's text. The request ends with its closing brace, or where the client shuts its side down.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pontoon_core::engine::Engine;
use serde::{Deserialize, Serialize};

use crate::{Controller, Error, with_causes};

/// The answer of success.
const SUCCESS: &str = "success";
/// Upper bound of a request in bytes: the longest path is 4,096.
const LONGEST: u64 = 16 * 1024;
/// How long a client may take over its request, or over reading the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which container, and where its namespace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    /// The container: a sandbox's name.
    #[serde(rename = "ContainerID")]
    pub container: String,
    /// The path of its network namespace.
    #[serde(rename = "Key")]
    pub key: String,
}

/// A socket that is served until this is dropped.
#[derive(Debug)]
pub struct KeyServer {
    path: PathBuf,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    /// Serves a socket on which runtimes name the namespaces of sandboxes that wait for them. A socket that nobody serves any
    /// more is replaced; the directory is made with access for its owner alone.
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
        let listener = bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let ending = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ending);
        let thread = thread::Builder::new().name("keys".to_owned()).spawn(move || {
            for client in listener.incoming() {
                if theirs.load(Ordering::Acquire) {
                    return;
                }
                match client {
                    Ok(client) => {
                        let engine = Arc::clone(&engine);
                        // A client that dawdles keeps nobody else waiting.
                        if let Err(error) = thread::Builder::new().spawn(move || serve(client, &engine)) {
                            tracing::warn!(%error, "a key could not be served");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection for a key was lost");
                        thread::sleep(Duration::from_millis(10));
                    }
                }
            }
        })?;
        Ok(Self { path, ending, thread: Some(thread) })
    }

    /// Returns the socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // It wakes up by a connection; if that fails, nobody is listening.
        let woken = UnixStream::connect(&self.path).is_ok();
        // Somebody else may have taken the path away meanwhile.
        let _gone = fs::remove_file(&self.path);
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

/// Reads one request and answers it.
fn serve(mut client: UnixStream, engine: &Engine) {
    let answer = match read(&client) {
        Ok(request) => match set_key(engine, &request) {
            Ok(()) => SUCCESS.to_owned(),
            Err(error) => with_causes(&error),
        },
        Err(error) => format!("invalid request: {error}"),
    };
    if let Err(error) = client.set_write_timeout(Some(PATIENCE)).and_then(|()| client.write_all(answer.as_bytes())) {
        tracing::debug!(%error, "a client did not wait for its answer");
    }
}

/// Reads to the end of the object, not of the stream: a client may wait for the answer with its side open.
fn read(client: &UnixStream) -> io::Result<KeyRequest> {
    let timely = Timely { client, deadline: Instant::now() + PATIENCE };
    let mut objects = serde_json::Deserializer::from_reader(timely.take(LONGEST)).into_iter::<KeyRequest>();
    match objects.next() {
        Some(request) => Ok(request?),
        None => Err(io::Error::new(ErrorKind::UnexpectedEof, "it is empty")),
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
        self.client.read(buffer)
    }
}

fn set_key(engine: &Engine, request: &KeyRequest) -> Result<(), Error> {
    let sandbox = engine.sandbox_of(&request.container)?;
    engine.set_key(sandbox.id, &request.key)
}

/// Asks whoever serves a socket to give a sandbox its namespace.
///
/// # Errors
///
/// If nobody serves it ([`ErrorKind::NotFound`], [`ErrorKind::ConnectionRefused`]), or with the server's words if it refuses.
pub fn send_key(socket: &Path, request: &KeyRequest) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&serde_json::to_vec(request)?)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    match answer.as_str() {
        SUCCESS => Ok(()),
        refused => Err(io::Error::other(refused.to_owned())),
    }
}
