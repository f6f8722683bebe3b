//! The two system calls that no safe library offers.
#![allow(unsafe_code, reason = "each call below states why it is sound")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into a new, empty network namespace.
#[expect(clippy::disallowed_methods, reason = "called on a visitor's thread, which returns or ends")]
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: only the file descriptor table makes `unshare` unsafe, and NEWNET does not touch it.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(io::Error::from)
}

/// Returns the kernel's never reused number of the network namespace that a socket lives in.
pub(crate) fn netns_cookie(socket: impl AsFd) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the descriptor is open for the duration of the call; `cookie` and `length` are
    // valid for writes, and `length` states the size of `cookie`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}
