//! Reading files that others write: neither waiting for them nor taking more of them than is bearable.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What stands at a path.
pub(super) enum Found {
    Nothing,
    Bytes(Vec<u8>),
    /// Something that is not read.
    Refused(Refused),
}

/// Why something is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoFile,
    Large { limit: usize },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => write!(f, "it is no regular file: put one in its place"),
            Self::Large { limit } => write!(f, "it has more than {limit} bytes: shorten it"),
        }
    }
}

impl Refused {
    /// Returns the error number that fits best.
    pub(super) fn errno(self) -> i32 {
        match self {
            Self::NoFile => libc::EINVAL,
            Self::Large { .. } => libc::EFBIG,
        }
    }
}

/// What a symbolic link at a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Followed,
    Refused,
}

/// Reads a file of at most `limit` bytes. It never waits for a writer, as opening a FIFO would.
pub(super) fn bounded(path: &Path, link: Link, limit: usize) -> io::Result<Found> {
    let flags = libc::O_NONBLOCK | if link == Link::Refused { libc::O_NOFOLLOW } else { 0 };
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        // A link that is not followed; a socket.
        Err(e) if [Some(libc::ELOOP), Some(libc::ENXIO)].contains(&e.raw_os_error()) => {
            return Ok(Found::Refused(Refused::NoFile));
        }
        opened => opened?,
    };
    contents(&file, limit)
}

fn contents(file: &File, limit: usize) -> io::Result<Found> {
    let meta = file.metadata()?;
    // Reading a directory is the system's to refuse.
    if !meta.is_file() && !meta.is_dir() {
        return Ok(Found::Refused(Refused::NoFile));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > limit { Found::Refused(Refused::Large { limit }) } else { Found::Bytes(bytes) })
}
