//! A server that sends every datagram back, in a process of its own: the least that an answer can cost.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};

use crate::Outcome;

/// The process; it ends with this.
pub(crate) struct Echo(Child);

impl Echo {
    /// Serves a socket, in whatever namespace it was opened.
    pub(crate) fn start(socket: UdpSocket) -> Outcome<Self> {
        Ok(Self(Command::new(std::env::current_exe()?).arg("echo").stdin(OwnedFd::from(socket)).spawn()?))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What that process does: it serves the socket that is its standard input, for ever.
pub(crate) fn serve() -> Outcome<()> {
    let socket = UdpSocket::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut buffer = [0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        // A client that has gone is no reason to stop.
        let _ = socket.send_to(&buffer[..length], client);
    }
}
