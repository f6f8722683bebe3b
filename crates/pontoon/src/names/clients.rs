//! The helper's socket: who asks there, and what they are told.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::serve::Service;
use super::{LOAD, LOADED, STATUS, socket};

/// How many clients are heard at the same time: each process that watches the helper is one as long as it lives.
const CLIENTS: usize = 4096;
/// How long a line of a client's may be, its end included; every word is shorter.
const LINE: u64 = 64;
/// How long a client may leave an answer unread.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait when a client cannot be had, for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(500);

/// The socket. Dropping it lets nobody in any more; those inside stay, and what is at the path.
pub(super) struct Entrance {
    path: PathBuf,
    listener: Arc<UnixListener>,
    /// Device and inode of what is at the path, unless somebody removes or replaces it.
    identity: (u64, u64),
}

impl Entrance {
    /// Puts the socket at its path, in the place of whatever is there. Whoever calls holds the run directory.
    pub(super) fn open(service: &Arc<Service>) -> io::Result<Self> {
        let path = socket(service.run_dir());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = Arc::new(UnixListener::bind(&path)?);
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let found = fs::symlink_metadata(&path)?;
        let (theirs, service) = (listener.clone(), service.clone());
        thread::Builder::new().name("names".to_owned()).spawn(move || accept(&theirs, &service))?;
        Ok(Self { path, listener, identity: (found.dev(), found.ino()) })
    }

    /// Returns whether clients find this socket at its path.
    pub(super) fn is_there(&self) -> bool {
        match fs::symlink_metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == self.identity,
            // What cannot be looked at may be there.
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        // This wakes up who waits for a client (Linux: net/unix/af_unix.c, unix_accept). If it does not, that one waits on.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
    }
}

fn accept(listener: &UnixListener, service: &Arc<Service>) {
    let places = Arc::new(());
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // It was shut down.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return,
            // Without descriptors there is nothing to do but to wait for some.
            Err(_) => {
                thread::sleep(PAUSE);
                continue;
            }
        };
        let (place, service) = (places.clone(), service.clone());
        if Arc::strong_count(&places) > CLIENTS {
            // It is told so if it can be, and may come again.
            let _ = stream.set_nonblocking(true).and_then(|()| say(&stream, "too many others are heard"));
            continue;
        }
        let spawned = thread::Builder::new().name("client".to_owned()).spawn(move || {
            // An error is the client's end.
            let _ = converse(&stream, &service);
            let _ = stream.shutdown(Shutdown::Both);
            drop(place);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "a client is not heard");
        }
    }
}

/// Answers line by line until the client ends or says what nobody understands.
fn converse(stream: &UnixStream, service: &Service) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        let word = line.strip_suffix(b"\n").unwrap_or_default();
        if word == LOAD.as_bytes() {
            match service.load() {
                Ok(true) => say(stream, LOADED)?,
                // It ends: another will answer.
                Ok(false) => return Ok(()),
                Err(error) => say(stream, &format!("the names cannot be read: {error}"))?,
            }
        } else if word == STATUS.as_bytes() {
            say(stream, &serde_json::to_string(&service.status())?)?;
        } else {
            return Ok(());
        }
    }
}

fn say(mut stream: &UnixStream, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes())
}
