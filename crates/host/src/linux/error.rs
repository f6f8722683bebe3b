//! The kernel's refusals in the words of the engine.

use std::io;

use pontoon_core::engine::HostError;
use pontoon_core::error::with_causes;
use pontoon_netlink::nft::TransactionError;
use pontoon_netlink::{Error, Refusal, errno_name};

const INTERFACES: &str = "changing network interfaces";

/// A refusal of a request on the route socket.
pub(super) fn refused(refusal: &Refusal) -> HostError {
    kernel(INTERFACES, Some(refusal.errno), refusal.to_string())
}

/// A failure of the route socket, a dump or a visit.
pub(super) fn failed(error: &Error) -> HostError {
    because(INTERFACES, error)
}

/// A failure while doing `what`, with everything that caused it.
pub(super) fn because(what: &str, error: &Error) -> HostError {
    kernel(what, error.errno(), with_causes(error))
}

/// A refused nftables transaction; `refusal` is the one that matters, if it is known.
pub(super) fn transaction(error: &TransactionError, refusal: Option<&Refusal>) -> HostError {
    let text = refusal.map_or_else(|| error.to_string(), Refusal::to_string);
    kernel("changing the firewall", refusal.map(|r| r.errno).or_else(|| error.errno()), text)
}

/// A failed system call while doing `what`.
pub(super) fn io(what: &str, error: &io::Error) -> HostError {
    let errno = error.raw_os_error();
    match errno {
        Some(libc::EACCES | libc::EROFS) => HostError::Privileges { what: what.to_owned() },
        _ => kernel(what, errno, format!("{what}: {error}")),
    }
}

/// An error that only we know of, with the number that fits best.
pub(super) fn of(errno: i32, text: impl Into<String>) -> HostError {
    HostError::Kernel { errno, text: text.into() }
}

/// The error with that number, in the kernel's name for it.
pub(super) fn number(what: &str, errno: i32) -> HostError {
    let name = errno_name(errno).map_or_else(|| format!("error {errno}"), str::to_owned);
    kernel(what, Some(errno), format!("{what}: {name}"))
}

fn kernel(what: &str, errno: Option<i32>, text: String) -> HostError {
    match errno {
        Some(libc::EPERM) => HostError::Privileges { what: what.to_owned() },
        errno => HostError::Kernel { errno: errno.unwrap_or(libc::EIO), text },
    }
}
