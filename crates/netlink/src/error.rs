//! What can go wrong between this process and the kernel.

use std::fmt;
use std::io;

use crate::errno::errno_name;

/// An operation that failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the netlink socket failed.
    #[error("could not {action} the netlink socket")]
    Socket {
        /// What was tried: `open`, `configure`, `send to`, `receive from`.
        action: &'static str,
        /// What the system call answered.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a query or a dump.
    #[error("the kernel refused: {0}")]
    Refused(Refusal),
    /// The kernel refused a transaction; nothing of it was applied.
    #[error("the kernel rejected the transaction: {}", first(.0))]
    Rejected(Vec<Rejection>),
    /// The objects changed during every attempt to list them.
    #[error("the objects kept changing while the kernel listed them; try again")]
    Interrupted,
    /// A message, or a transaction, does not fit the send buffer of the socket.
    #[error(
        "a netlink message of {size} bytes exceeds the send buffer of {limit} bytes; \
         raise net.core.wmem_max or run with CAP_NET_ADMIN"
    )]
    TooLarge {
        /// Bytes to be sent.
        size: usize,
        /// Bytes that the socket accepts at once.
        limit: usize,
    },
    /// Answers of the kernel were lost, so it is not known what was applied.
    #[error("the kernel's answer was lost; observe the present state before going on")]
    Lost,
    /// The kernel sent something that cannot be understood.
    #[error("could not understand the kernel's {what}: {reason}")]
    Malformed {
        /// The kind of message.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A step of making, entering or removing a namespace failed.
    #[error("could not {action} network namespace {namespace}")]
    Namespace {
        /// What was tried.
        action: &'static str,
        /// Path or description of the namespace.
        namespace: String,
        /// What the system call answered.
        #[source]
        source: io::Error,
    },
    /// Work inside a namespace panicked.
    #[error("work inside network namespace {namespace} panicked: {message}")]
    Panicked {
        /// Path or description of the namespace.
        namespace: String,
        /// The panic's message.
        message: String,
    },
}

impl Error {
    /// Returns the error number behind this error, if the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket { source, .. } | Self::Namespace { source, .. } => source.raw_os_error(),
            Self::Refused(refusal) => Some(refusal.errno),
            Self::Rejected(rejections) => rejections.first().map(|first| first.refusal.errno),
            _ => None,
        }
    }
}

fn first(rejections: &[Rejection]) -> String {
    let others = rejections.len().saturating_sub(1);
    match (rejections.first(), others) {
        (None, _) => "no reason given".to_owned(),
        (Some(first), 0) => first.to_string(),
        (Some(first), others) => format!("{first} (and {others} more)"),
    }
}

/// One message of a transaction that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Position of the message in the transaction.
    pub index: usize,
    /// Why.
    pub refusal: Refusal,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}: {}", self.index, self.refusal)
    }
}

/// The kernel's "no" to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The error number, positive.
    pub errno: i32,
    /// The kernel's own words (`NLMSGERR_ATTR_MSG`).
    pub message: Option<String>,
    /// Where the offending attribute is, in bytes from the start of the message's `nlmsghdr`
    /// (`NLMSGERR_ATTR_OFFS`).
    pub offset: Option<u32>,
    /// The type of an attribute that was required and absent (`NLMSGERR_ATTR_MISS_TYPE`).
    pub missing: Option<u32>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => f.write_str(message.trim_end_matches('.'))?,
            None => f.write_str(&description(self.errno))?,
        }
        match errno_name(self.errno) {
            Some(name) => write!(f, " ({name})")?,
            None => write!(f, " (error {})", self.errno)?,
        }
        if let Some(missing) = self.missing {
            write!(f, ", attribute {missing} is missing")?;
        }
        Ok(())
    }
}

/// The C library's words, without the "(os error N)" that the standard library appends.
fn description(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_use_the_kernels_words() {
        let worded = Refusal {
            errno: libc::EINVAL,
            message: Some("Device does not allow enslaving to a bridge.".into()),
            ..Refusal::default()
        };
        assert_eq!(worded.to_string(), "Device does not allow enslaving to a bridge (EINVAL)");
        let wordless = Refusal { errno: libc::EEXIST, missing: Some(3), ..Refusal::default() };
        assert_eq!(wordless.to_string(), "File exists (EEXIST), attribute 3 is missing");
    }
}
