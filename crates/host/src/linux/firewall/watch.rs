//! Noticing that somebody else changed our table.

use std::fs;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pontoon_core::engine::{FirewallWatch, HostError, Interrupt};
use pontoon_core::firewall::ruleset::TABLE;
use pontoon_netlink::nft::{Family, Monitor, Notice, Transaction};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::linux::error;

/// Who changed something, where it cannot be told.
const SOMEBODY: &str = "somebody";

/// Listens to what is committed in this network namespace.
#[derive(Debug)]
pub(in crate::linux) struct Watch {
    monitor: Monitor,
    /// The netlink port of our writer.
    own: Arc<AtomicU32>,
    /// The name of this program: another process of it is Pontoon too.
    program: String,
    /// Its other end is closed by whoever interrupts.
    wake: (UnixStream, UnixStream),
}

impl Watch {
    pub(super) fn open(own: Arc<AtomicU32>) -> Result<Self, HostError> {
        let program =
            fs::read_to_string("/proc/self/comm").map_err(|e| error::io("reading this program's name", &e))?;
        Ok(Self {
            monitor: Monitor::open().map_err(|e| error::because("listening to nftables", &e))?,
            own,
            program: program.trim_end().to_owned(),
            wake: UnixStream::pair().map_err(|e| error::io("making a pair of sockets", &e))?,
        })
    }

    /// Waits for something to read; returns whether it is of the kernel, and not the interruption.
    fn wait(&self) -> Result<bool, HostError> {
        let mut waited = [
            PollFd::from_borrowed_fd(self.wake.0.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.monitor.as_fd(), PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Err(Errno::INTR) => Ok(true),
            Err(errno) => Err(error::io("waiting for nftables", &errno.into())),
            Ok(_) => Ok(waited[0].revents().is_empty()),
        }
    }

    /// Returns who did it, if it is foreign and of our table.
    fn intruder(&self, notice: Notice) -> Option<String> {
        let Transaction { port, program, tables } = match notice {
            Notice::Missed => return Some(SOMEBODY.to_owned()),
            Notice::Committed(transaction) => transaction,
        };
        let is_ours = port == self.own.load(Ordering::Relaxed) || program == self.program;
        let concerns = tables.iter().any(|(family, table)| *family == Family::Inet && table == TABLE);
        (concerns && !is_ours).then_some(program)
    }
}

impl FirewallWatch for Watch {
    fn changed(&mut self) -> Result<Option<String>, HostError> {
        while self.wait()? {
            let heard = self.monitor.heard().map_err(|e| error::because("listening to nftables", &e))?;
            let mut intruders = heard.into_iter().filter_map(|notice| self.intruder(notice));
            if let Some(first) = intruders.next() {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    fn interrupter(&self) -> Result<Interrupt, HostError> {
        let wake = self.wake.1.try_clone().map_err(|e| error::io("sharing a socket", &e))?;
        Ok(Box::new(move || {
            // It fails if the watch has gone, which is what is wanted.
            let _ = wake.shutdown(Shutdown::Both);
        }))
    }
}
