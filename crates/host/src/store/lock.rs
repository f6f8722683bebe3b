//! The lock file: who may open the store.
//!
//! The advisory lock of the kernel is the truth: it ends with its holder, however that ends. What the file says only helps
//! people, so it is never trusted without a look at the process that it names. The file is never unlinked, because two
//! processes could then hold two locks of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::engine::store::StoreError;

use super::file::io_error;
use crate::environment::started;

/// The longest pause between two attempts: what a waiter may lose after the holder let go.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// The longest command line that is recorded, in characters.
const LONGEST_COMMAND: usize = 120;

/// The exclusive right to open the store; released when dropped.
#[derive(Debug)]
pub(super) struct StoreLock {
    file: File,
}

impl StoreLock {
    /// Takes the lock at `path`, trying again until `wait` has passed.
    pub(super) fn acquire(path: &Path, wait: Duration) -> Result<Self, StoreError> {
        let file = open_private(path).map_err(|source| io_error(path, "lock", source))?;
        wait_for(path, wait, || file.try_lock())?;
        let lock = Self { file };
        // The content is advisory: a holder without a name is still the holder.
        let _ = lock.sign();
        Ok(lock)
    }

    fn sign(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).write_all(Holder::current().encode().as_bytes())
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Unlocked explicitly: a child forked meanwhile may share the open file and would keep the lock alive.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// The right to read the store, which readers share; released when dropped. Nothing is written for it, so it has no name.
#[derive(Debug)]
pub(super) struct ReadLock {
    file: File,
}

impl ReadLock {
    /// Takes the lock at `path`, trying again until `wait` has passed; none if there is no such file.
    pub(super) fn acquire(path: &Path, wait: Duration) -> Result<Option<Self>, StoreError> {
        let file = match File::open(path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|source| io_error(path, "lock", source))?,
        };
        wait_for(path, wait, || file.try_lock_shared())?;
        Ok(Some(Self { file }))
    }
}

impl Drop for ReadLock {
    fn drop(&mut self) {
        // As above.
        let _ = self.file.unlock();
    }
}

/// Tries to lock until `wait` has passed.
fn wait_for(path: &Path, wait: Duration, lock: impl Fn() -> Result<(), TryLockError>) -> Result<(), StoreError> {
    let deadline = Instant::now().checked_add(wait);
    let mut pause = Duration::from_millis(1);
    loop {
        match lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(io_error(path, "lock", source)),
            Err(TryLockError::WouldBlock) => {}
        }
        // A wait too long to be a point in time has no deadline.
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(StoreError::Held { path: path.display().to_string(), holder: describe_holder(path) });
        }
        thread::sleep(left.map_or(pause, |left| pause.min(left)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Opens a file for reading and writing, creating it readable by its owner only.
///
/// The standard library opens files close-on-exec, so no command that we start inherits the lock.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Who holds the lock, as it says itself.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    /// When the process started, in clock ticks since boot; tells a process from a later one of the same pid.
    start: Option<u64>,
    command: String,
}

impl Holder {
    fn current() -> Self {
        let command: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        Self { pid: process::id(), start: started(process::id()), command: printable(&command.join(" ")) }
    }

    fn encode(&self) -> String {
        let start = self.start.map(|ticks| ticks.to_string());
        format!("pid {}\nstart {}\ncommand {}\n", self.pid, start.as_deref().unwrap_or("unknown"), self.command)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.strip_prefix("pid ")?.parse().ok()?;
        let start = lines.next()?.strip_prefix("start ")?.parse().ok();
        let command = printable(lines.next()?.strip_prefix("command ")?);
        Some(Self { pid, start, command })
    }
}

fn describe_holder(path: &Path) -> String {
    let mut content = Vec::new();
    // Bounded, since the file may hold anything.
    let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut content));
    let holder = read.ok().and_then(|_| Holder::decode(&String::from_utf8_lossy(&content)));
    match holder {
        None => "another process".to_owned(),
        Some(holder) if holder.start.is_none() || holder.start == started(holder.pid) => {
            format!("pid {} ({})", holder.pid, holder.command)
        }
        // It died and the next one has not signed yet, or it lives in another pid namespace.
        Some(holder) => format!(
            "another process (last signed by pid {}, {}, which is not running here)",
            holder.pid, holder.command
        ),
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_COMMAND).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_survives_its_file() {
        let holder = Holder { pid: 7, start: Some(99), command: printable("pontoon\nnetwork create") };
        assert_eq!(holder.command, "pontoon network create");
        assert_eq!(Holder::decode(&holder.encode()), Some(holder));
    }

    #[test]
    fn garbage_names_nobody() {
        for text in ["", "pid", "pid x\nstart 1\ncommand a\n", "pid 1\nstart 1\n"] {
            assert_eq!(Holder::decode(text), None, "{text:?}");
        }
    }
}
