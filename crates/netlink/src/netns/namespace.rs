//! A handle to a network namespace, and the path that keeps one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::Error;
use crate::sys;

/// The calling thread's namespace; other than `/proc/self`, it follows the thread.
const OWN: &str = "/proc/thread-self/ns/net";
/// Bind mounts that may be stacked on one path before [`destroy`] gives up.
const STACKED: usize = 16;

/// A network namespace, kept alive by an open descriptor. Clones share it.
#[derive(Clone)]
pub struct Namespace(Arc<Inner>);

struct Inner {
    fd: OwnedFd,
    /// How it was found, for messages.
    name: String,
}

/// What tells namespaces that exist at the same time apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Device number of the namespace file system.
    pub device: u64,
    /// Inode number; reused after the namespace is gone, unlike [`cookie`].
    pub inode: u64,
}

impl Namespace {
    /// Opens the namespace that a path keeps.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), path.as_ref().display().to_string())
    }

    /// Opens the namespace of a process.
    pub fn of_process(pid: u32) -> Result<Self, Error> {
        let path = format!("/proc/{pid}/ns/net");
        Self::open_as(Path::new(&path), format!("of process {pid}"))
    }

    /// Opens the calling thread's namespace.
    pub fn current() -> Result<Self, Error> {
        Self::open_as(Path::new(OWN), "of this thread".to_owned())
    }

    fn open_as(path: &Path, name: String) -> Result<Self, Error> {
        match File::open(path) {
            Ok(file) => Ok(Self(Arc::new(Inner { fd: file.into(), name }))),
            Err(source) => Err(Error::Namespace { action: "open", namespace: name, source }),
        }
    }

    /// Returns what tells it apart from the others that exist now.
    pub fn identity(&self) -> Result<Identity, Error> {
        let stat = fstat(&self.0.fd).map_err(|errno| self.failed("identify", errno))?;
        Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Moves the calling thread into it.
    #[expect(clippy::disallowed_methods, reason = "called on a visitor's thread, which returns or ends")]
    pub(super) fn enter(&self) -> Result<(), Error> {
        move_into_link_name_space(self.0.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| self.failed("enter", errno))
    }

    /// Moves the calling thread into a new namespace, which the path keeps if one is given.
    pub(super) fn unshare(path: Option<&Path>) -> Result<Self, Error> {
        let name = path.map_or("without a path".to_owned(), |path| path.display().to_string());
        let failed = |action| {
            let namespace = name.clone();
            move |source| Error::Namespace { action, namespace, source }
        };
        sys::unshare_network().map_err(failed("create"))?;
        let namespace = Self::open_as(Path::new(OWN), name.clone())?;
        if let Some(path) = path {
            keep(path).map_err(failed("keep"))?;
        }
        Ok(namespace)
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    fn failed(&self, action: &'static str, errno: Errno) -> Error {
        Error::Namespace { action, namespace: self.0.name.clone(), source: errno.into() }
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl AsRawFd for Namespace {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd.as_raw_fd()
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.0.name).finish()
    }
}

/// Binds the calling thread's namespace to a path that must not exist.
fn keep(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?;
    mount_bind(OWN, path).map_err(|errno| {
        // The mount's error is what matters; a file left behind is harmless.
        let _ = fs::remove_file(path);
        errno.into()
    })
}

/// Removes the path that keeps a namespace; not an error if it is gone already.
///
/// The namespace itself ends with its last process, socket and [`Namespace`].
pub fn destroy(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let failed = |source| Error::Namespace { action: "remove", namespace: path.display().to_string(), source };
    for _ in 0..STACKED {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Not, or no longer, a mount point.
            Err(Errno::INVAL) => break,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Returns the number of the calling thread's namespace, which the kernel never uses again until
/// the next boot (`SO_NETNS_COOKIE`, kernel 5.14 and later).
pub fn cookie() -> Result<u64, Error> {
    // A unix socket exists on every kernel, even without IP.
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(io::Error::from)
        .and_then(sys::netns_cookie)
        .map_err(|source| Error::Namespace { action: "identify", namespace: "of this thread".to_owned(), source })
}
