//! What changes in nftables, as the kernel tells everybody who listens.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use crate::{Error, Protocol, Socket};

use super::attributes::find_text;
use super::numbers::{SUBSYSTEM, generation, message};
use super::table::Family;

/// `NFNLGRP_NFTABLES` of `linux/netfilter/nfnetlink.h`.
const GROUP: u32 = 7;
/// Length of the header that every netfilter message has.
const HEADER: usize = 4;
/// The attribute in which tables, chains, rules, sets, elements and objects name their table (`NFTA_TABLE_NAME` and so on).
const TABLE: u16 = 1;

/// Listens to changes of all tables in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    /// The tables of the transaction that is being told.
    tables: BTreeSet<(Family, String)>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A transaction was committed.
    Committed(Transaction),
    /// The kernel told more than was read in time: anything may have changed.
    Missed,
}

/// One transaction, of whoever it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The netlink port of the socket that it came from, as [`Socket::port`] returns it.
    pub port: u32,
    /// The name of the thread that sent it, as in `/proc/PID/comm`.
    pub program: String,
    /// The tables in which it changed something.
    pub tables: BTreeSet<(Family, String)>,
}

impl Monitor {
    /// Opens a monitor: it hears what is committed from now on.
    ///
    /// # Errors
    ///
    /// If the socket cannot be opened, or may not listen.
    pub fn open() -> Result<Self, Error> {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        socket.listen(GROUP)?;
        Ok(Self { socket, tables: BTreeSet::new() })
    }

    /// Returns what was told and not read so far, and does not wait for more: poll [`Monitor::as_fd`] for that.
    ///
    /// # Errors
    ///
    /// If the socket cannot be read.
    pub fn heard(&mut self) -> Result<Vec<Notice>, Error> {
        let mut notices = Vec::new();
        let Self { socket, tables } = self;
        loop {
            let read = socket.overhear(|kind, port, payload| {
                notices.extend(read(tables, kind, port, payload).map(Notice::Committed));
            });
            match read {
                Ok(true) => {}
                Ok(false) => return Ok(notices),
                Err(Error::Lost) => {
                    tables.clear();
                    notices.push(Notice::Missed);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes one message: the changes of a transaction come first, then its generation.
fn read(tables: &mut BTreeSet<(Family, String)>, kind: u16, port: u32, payload: &[u8]) -> Option<Transaction> {
    let attributes = payload.get(HEADER..)?;
    if kind >> 8 != SUBSYSTEM {
        return None;
    }
    if kind & 0xff == message::NEW_GENERATION {
        let program = find_text(attributes, generation::PROGRAM).unwrap_or_default();
        return Some(Transaction { port, program, tables: std::mem::take(tables) });
    }
    // A table of a family that is not known here cannot be one that anybody asks for.
    let family = Family::from_number(*payload.first()?)?;
    tables.insert((family, find_text(attributes, TABLE)?));
    None
}
