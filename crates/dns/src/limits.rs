//! How long things may take, and how many there may be.

use std::time::Duration;

/// The bytes of the largest query that is forwarded, and of the largest that a connection may carry. One question with EDNS
/// needs less than 512; what is larger is there to fill memory.
pub(crate) const LARGEST_QUERY: usize = 4096;

/// What the resolver allows one sandbox, where nothing else is said; times for a query and its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time in which a server must be reached and answer.
    pub attempt: Duration,
    /// How many queries wait for servers at once; each needs a socket.
    pub in_flight: usize,
    /// How many more may wait for their turn; what comes then is refused.
    pub waiting: usize,
    /// How many queries of all sandboxes together may be asked of servers or wait for it; what comes then is refused at once.
    /// With the size of the largest, 4,096 bytes, it bounds the memory.
    pub of_all: usize,
    /// How long a query waits for its turn.
    pub patience: Duration,
    /// How often a refusal is logged.
    pub log_interval: Duration,
    /// How many TCP connections a sandbox may have.
    pub connections: usize,
    /// The time in which the next query of a connection must come, or an answer be taken.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(4),
            in_flight: 1024,
            waiting: 256,
            of_all: 8192,
            patience: Duration::from_secs(4),
            log_interval: Duration::from_secs(2),
            connections: 128,
            idle: Duration::from_secs(10),
        }
    }
}
