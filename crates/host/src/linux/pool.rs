//! Route sockets of the host's namespace, one for each thread that needs one at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use pontoon_core::engine::HostError;
use pontoon_netlink::{Protocol, Socket};

use super::error;

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Socket>>);

/// A socket on loan.
pub(super) struct Loan<'a> {
    pool: &'a Pool,
    /// Present until it is given back.
    socket: Option<Socket>,
}

impl Pool {
    /// Lends an idle socket, or a new one.
    pub(super) fn lend(&self) -> Result<Loan<'_>, HostError> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let socket = match idle {
            Some(socket) => socket,
            None => Socket::open(Protocol::Route).map_err(|e| error::failed(&e))?,
        };
        Ok(Loan { pool: self, socket: Some(socket) })
    }
}

impl Deref for Loan<'_> {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        self.socket.as_ref().expect("given back only on drop")
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("given back only on drop")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let socket = self.socket.take();
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).extend(socket);
    }
}
