//! Namespaces: the only place of this program that moves a thread.
//!
//! Whatever runs inside a sandbox runs on a thread that is moved there and then ends, so nothing has to find the way back;
//! a process started from that thread stays inside.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};

/// A network namespace that threads can be sent to.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// Opens the namespace that a path keeps.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Opens the namespace that this thread is in.
    pub(crate) fn current() -> io::Result<Self> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// Runs `work` inside, on a thread of its own.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_a_thread(|| {
            self.enter()?;
            Ok(work())
        })
    }

    /// Moves the calling thread inside for good.
    #[expect(clippy::disallowed_methods, reason = "the thread never has to come back")]
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(rustix::thread::move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?)
    }
}

/// Runs `work` on a thread that may move wherever it wants.
pub(crate) fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("inside".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread inside the namespace panicked")))
    })
}

/// Moves the calling thread into new namespaces; with a new user namespace it must be the only one of its process.
#[expect(deprecated, reason = "its successor is unsafe for the sake of a flag, CLONE_FILES, that is not passed here")]
pub(crate) fn separate(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors are shared by everybody");
    Ok(rustix::thread::unshare(flags)?)
}

/// Puts files in the place of others for the calling thread and what it starts: in a mount namespace of its own. Returns the
/// targets that do not exist, which are passed over.
pub(crate) fn cover<'a>(files: &[(&Path, &'a Path)]) -> io::Result<Vec<&'a Path>> {
    separate(UnshareFlags::NEWNS)?;
    // What is mounted here stays here; what goes outside goes here too.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    let mut missing = Vec::new();
    for (file, target) in files {
        if !file.exists() {
            return Err(io::Error::other(format!("{} is missing: `pontoon repair` makes it", file.display())));
        }
        match mount_bind(*file, *target) {
            Err(Errno::NOENT) => missing.push(*target),
            mounted => mounted.map_err(|errno| {
                io::Error::other(format!("cannot mount {} over {}: {errno}", file.display(), target.display()))
            })?,
        }
    }
    Ok(missing)
}

/// Moves this process, which must have one thread only, into the user, network and mount namespaces of another.
#[expect(clippy::disallowed_methods, reason = "the process never has to come back")]
pub(crate) fn join(process: impl AsFd) -> io::Result<()> {
    let kinds = ThreadNameSpaceType::USER | ThreadNameSpaceType::NETWORK | ThreadNameSpaceType::MOUNT;
    Ok(rustix::thread::move_into_thread_name_spaces(process.as_fd(), kinds)?)
}
