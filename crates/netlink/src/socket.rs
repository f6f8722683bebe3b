//! A netlink socket: requests go out in few system calls, and every answer is collected.
//!
//! The kernel handles netlink requests while `send` runs and queues the answers on the socket
//! before it returns, so what is in flight must fit the receive buffer. Answers that belong to
//! an earlier request are recognised by their sequence number and skipped.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use crate::error::{Error, Refusal, Rejection};
use crate::frame::{Frame, Request, frames};

/// What the buffers are raised to where allowed, in bytes: a transaction is one `send`.
const BUFFER: usize = 8 << 20;
/// Receive buffer that the kernel accounts for one acknowledgement with extended text, in bytes.
const ANSWER_COST: usize = 2048;
/// A missing answer means a bug or a lost datagram, never a slow kernel: see the module's text.
const PATIENCE: Duration = Duration::from_secs(10);
const DUMP_ATTEMPTS: usize = 5;
const ACK: u16 = libc::NLM_F_ACK as u16;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;
/// `NFNL_MSG_BATCH_END` of `linux/netfilter/nfnetlink.h`.
const BATCH_END: u16 = 0x11;
/// Message types below this one are netlink's own (`NLMSG_MIN_TYPE`).
const FIRST_FAMILY_KIND: u16 = 0x10;

/// Type and payload of each message of a dump.
type Listed = Vec<(u16, Vec<u8>)>;

/// The kernel subsystem that a socket speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes (`NETLINK_ROUTE`).
    Route,
    /// nftables, conntrack (`NETLINK_NETFILTER`).
    Netfilter,
}

/// A message that the kernel sent as the result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Position of the request it answers.
    pub index: usize,
    /// The message type.
    pub kind: u16,
    /// What follows the `nlmsghdr`.
    pub payload: Vec<u8>,
}

/// A blocking netlink socket that stays in the network namespace it was opened in.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    port: u32,
    sequence: u32,
    /// Bytes that one `send` may carry.
    send_limit: usize,
    /// Requests whose acknowledgements fit the receive buffer.
    answers_limit: usize,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace; any thread may use it.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        let number = match protocol {
            Protocol::Route => NETLINK_ROUTE,
            Protocol::Netfilter => NETLINK_NETFILTER,
        };
        let mut inner = netlink_sys::Socket::new(number).map_err(failed("open"))?;
        let port = configure(&mut inner, protocol).map_err(failed("configure"))?;
        raise_buffers(&inner);
        // The kernel reports twice what was asked for, its own overhead included.
        let sending = sockopt::socket_send_buffer_size(&inner).map_err(errno("configure"))?;
        let receiving = sockopt::socket_recv_buffer_size(&inner).map_err(errno("configure"))?;
        Ok(Self {
            inner,
            port,
            sequence: 0,
            send_limit: sending / 2,
            answers_limit: (receiving / ANSWER_COST).max(1),
            buffer: Vec::new(),
        })
    }

    /// Returns its address in its network namespace: the kernel names it when it tells others who changed something.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Has the kernel tell what happens in a multicast group.
    pub(crate) fn listen(&mut self, group: u32) -> Result<(), Error> {
        self.inner.add_membership(group).map_err(failed("listen on"))
    }

    /// Hands out the messages of one datagram that came unasked, each with its type and the port of whoever caused it, and
    /// does not wait for it: returns whether there was one, and fails with [`Error::Lost`] if some could not be kept.
    pub(crate) fn overhear(&mut self, mut each: impl FnMut(u16, u32, &[u8])) -> Result<bool, Error> {
        match self.datagram(RecvFlags::DONTWAIT) {
            Err(Errno::NOBUFS) => return Err(Error::Lost),
            Err(Errno::AGAIN) => return Ok(false),
            Err(other) => return Err(errno("receive from")(other)),
            Ok(()) => {}
        }
        frames(&self.buffer).for_each(|frame| each(frame.kind, frame.port, frame.payload));
        Ok(true)
    }

    /// Sends independent requests, as many per system call as fit, and returns the kernel's
    /// answer to each, in order. A refused request does not stop the others.
    pub fn batch(&mut self, requests: &[Request]) -> Result<Vec<Result<(), Refusal>>, Error> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.fitting(rest)?);
            self.batch_once(now, &mut answers)?;
            rest = later;
        }
        Ok(answers)
    }

    pub(crate) fn index_of(&self, name: &str) -> Result<u32, Errno> {
        rustix::net::netdevice::name_to_index(&self.inner, name)
    }

    /// Sends one request and fails with [`Error::Refused`] if the kernel refuses it.
    pub fn request(&mut self, request: &Request) -> Result<(), Error> {
        self.query(request).map(drop)
    }

    /// Sends one request that is not a dump and returns the messages sent as its result.
    pub fn query(&mut self, request: &Request) -> Result<Vec<Message>, Error> {
        let first = self.send(std::slice::from_ref(request), |_| ACK)?;
        let mut messages = Vec::new();
        loop {
            let mut answer = None;
            self.receive(first, 1, |index, frame| match frame.kind {
                ERROR => answer = Some(frame.answer()),
                _ => messages.push(message(index, &frame)),
            })?;
            match answer {
                None => {}
                Some(Ok(())) => return Ok(messages),
                Some(Err(refusal)) => return Err(Error::Refused(refusal)),
            }
        }
    }

    /// Sends an nfnetlink batch, its begin and end messages included, in one system call.
    ///
    /// Returns what the kernel echoed for messages with `NLM_F_ECHO`. Fails with
    /// [`Error::Rejected`], naming every bad message, if the kernel applied nothing.
    pub fn transaction(&mut self, messages: &[Request]) -> Result<Vec<Message>, Error> {
        let Some(last) = messages.iter().rposition(|m| m.kind != BATCH_END) else {
            return Ok(Vec::new());
        };
        let size = messages.iter().map(Request::framed_len).sum();
        self.make_room(size)?;
        // Kernels before 6.10 do not acknowledge the end of a batch: the message before it is
        // asked to. Errors come for each bad message, or for the first if the commit failed.
        let first = self.send(messages, |index| if index == last { ACK } else { 0 })?;
        let (mut echoed, mut rejections) = (Vec::new(), Vec::new());
        let mut finished = false;
        while !finished {
            self.receive(first, messages.len(), |index, frame| match frame.kind {
                ERROR => {
                    finished |= index == last || index == 0;
                    if let Err(refusal) = frame.answer() {
                        rejections.push(Rejection { index, refusal });
                    }
                }
                _ => echoed.push(message(index, &frame)),
            })?;
        }
        if rejections.is_empty() {
            Ok(echoed)
        } else {
            rejections.sort_by_key(|rejection| rejection.index);
            Err(Error::Rejected(rejections))
        }
    }

    /// Lists objects: returns type and payload of every message of a dump.
    ///
    /// A dump during which the objects changed is repeated up to five times, then
    /// [`Error::Interrupted`] is returned.
    pub fn dump(&mut self, request: &Request) -> Result<Vec<(u16, Vec<u8>)>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(messages) = self.dump_once(request)? {
                return Ok(messages);
            }
        }
        Err(Error::Interrupted)
    }

    /// Returns the messages, or `None` if the kernel says that the dump is inconsistent.
    fn dump_once(&mut self, request: &Request) -> Result<Option<Listed>, Error> {
        const DUMP: u16 = libc::NLM_F_DUMP as u16;
        const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;
        let first = self.send(std::slice::from_ref(request), |_| DUMP)?;
        let mut messages = Vec::new();
        let mut consistent = true;
        loop {
            let mut answer = None;
            self.receive(first, 1, |_, frame| {
                consistent &= frame.flags & INTERRUPTED == 0;
                match frame.kind {
                    ERROR | DONE => answer = Some(frame.answer()),
                    FIRST_FAMILY_KIND.. => messages.push((frame.kind, frame.payload.to_vec())),
                    _ => {}
                }
            })?;
            match answer {
                None => {}
                Some(Ok(())) => return Ok(consistent.then_some(messages)),
                Some(Err(refusal)) => return Err(Error::Refused(refusal)),
            }
        }
    }

    fn batch_once(&mut self, requests: &[Request], answers: &mut Vec<Result<(), Refusal>>) -> Result<(), Error> {
        let first = self.send(requests, |_| ACK)?;
        let mut present: Vec<Option<Result<(), Refusal>>> = vec![None; requests.len()];
        let mut missing = requests.len();
        while missing > 0 {
            let received = self.receive(first, requests.len(), |index, frame| {
                if frame.kind == ERROR && present[index].is_none() {
                    present[index] = Some(frame.answer());
                    missing -= 1;
                }
            });
            match received {
                Err(Error::Lost) => break,
                other => other?,
            }
        }
        answers.extend(present.into_iter().map(|answer| answer.unwrap_or_else(lost)));
        Ok(())
    }

    /// How many of the requests one system call can carry; at least one.
    fn fitting(&mut self, requests: &[Request]) -> Result<usize, Error> {
        let mut size = 0;
        let count = requests
            .iter()
            .take(self.answers_limit)
            .take_while(|request| {
                size += request.framed_len();
                size <= self.send_limit
            })
            .count();
        if count == 0 {
            self.make_room(size)?;
        }
        Ok(count.max(1))
    }

    /// Raises the send buffer for a message that must not be split.
    fn make_room(&mut self, size: usize) -> Result<(), Error> {
        if size > self.send_limit {
            // Refused without privileges over the host, which the check below reports.
            let _ = sockopt::set_socket_send_buffer_size_force(&self.inner, size.saturating_mul(2));
            let now = sockopt::socket_send_buffer_size(&self.inner).map_err(errno("configure"))?;
            self.send_limit = now / 2;
        }
        if size > self.send_limit {
            let limit = self.send_limit;
            return Err(Error::TooLarge { size, limit });
        }
        Ok(())
    }

    /// Sends the requests and returns the sequence number of the first.
    fn send(&mut self, requests: &[Request], flags: impl Fn(usize) -> u16) -> Result<u32, Error> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(requests.iter().map(Request::framed_len).sum());
        for (index, request) in requests.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            request.frame(flags(index), self.sequence, &mut bytes);
        }
        rustix::io::retry_on_intr(|| send(&self.inner, &bytes, SendFlags::empty())).map_err(errno("send to"))?;
        Ok(first)
    }

    /// Waits for one datagram and hands out its messages that answer one of `count` requests.
    ///
    /// Fails with [`Error::Lost`] once nothing more comes.
    fn receive(&mut self, first: u32, count: usize, mut each: impl FnMut(usize, Frame<'_>)) -> Result<(), Error> {
        loop {
            match self.datagram(RecvFlags::empty()) {
                // The receive buffer overflowed. What did fit can still be read.
                Err(Errno::NOBUFS) => {}
                Err(Errno::AGAIN) => return Err(Error::Lost),
                Err(other) => return Err(errno("receive from")(other)),
                Ok(()) => break,
            }
        }
        for frame in frames(&self.buffer) {
            let index = frame.sequence.wrapping_sub(first) as usize;
            if index < count {
                each(index, frame);
            }
        }
        Ok(())
    }

    /// Reads one datagram, however large, into the buffer.
    fn datagram(&mut self, flags: RecvFlags) -> Result<(), Errno> {
        let peek = RecvFlags::PEEK | RecvFlags::TRUNC | flags;
        let (_, size) = rustix::io::retry_on_intr(|| recv(&self.inner, &mut [0u8; 0], peek))?;
        self.buffer.resize(size, 0);
        let (received, _) =
            rustix::io::retry_on_intr(|| recv(&self.inner, self.buffer.as_mut_slice(), RecvFlags::empty()))?;
        self.buffer.truncate(received);
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// Returns the port that the socket got.
fn configure(socket: &mut netlink_sys::Socket, protocol: Protocol) -> io::Result<u32> {
    let port = socket.bind_auto()?.port_number();
    // Connected, the socket takes messages from the kernel only, not from other processes.
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    if protocol == Protocol::Route {
        socket.set_netlink_get_strict_chk(true)?;
    }
    sockopt::set_socket_timeout(&*socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    Ok(port)
}

/// Raises both buffers as far as this process may; what was reached is read back afterwards.
fn raise_buffers(socket: &netlink_sys::Socket) {
    if sockopt::set_socket_recv_buffer_size_force(socket, BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(socket, BUFFER);
    }
    if sockopt::set_socket_send_buffer_size_force(socket, BUFFER).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(socket, BUFFER);
    }
}

fn message(index: usize, frame: &Frame<'_>) -> Message {
    Message { index, kind: frame.kind, payload: frame.payload.to_vec() }
}

fn lost() -> Result<(), Refusal> {
    Err(Refusal {
        errno: libc::ENOBUFS,
        message: Some("the kernel's answer was lost".to_owned()),
        ..Refusal::default()
    })
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Socket { action, source }
}

fn errno(action: &'static str) -> impl Fn(Errno) -> Error {
    move |source| failed(action)(source.into())
}

#[cfg(test)]
mod tests {
    use std::thread::{JoinHandle, spawn};

    use netlink_sys::SocketAddr;
    use netlink_sys::protocols::NETLINK_USERSOCK;

    use super::*;

    const MULTI: u16 = libc::NLM_F_MULTI as u16;
    const INTERRUPTED: u16 = libc::NLM_F_DUMP_INTR as u16;
    const KIND: u16 = libc::RTM_NEWLINK;

    /// Returns a socket, and a thread in the kernel's place that answers a dump each time as `interrupted` says, and returns how
    /// often it was asked.
    fn listed(interrupted: &'static [bool]) -> (Socket, JoinHandle<usize>) {
        let mut socket = Socket::open(Protocol::Route).expect("a socket");
        let [mut ours, mut theirs] =
            [(); 2].map(|()| netlink_sys::Socket::new(NETLINK_USERSOCK).expect("sockets between processes"));
        let at = theirs.bind_auto().expect("an address");
        let from = ours.bind_auto().expect("an address");
        ours.connect(&SocketAddr::new(at.port_number(), 0)).expect("it is there");
        theirs.connect(&SocketAddr::new(from.port_number(), 0)).expect("it is there");
        sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, Some(PATIENCE)).expect("a time-out");
        socket.inner = ours;
        let kernel = spawn(move || {
            for interrupted in interrupted {
                let (asked, _) = theirs.recv_from_full().expect("a request");
                let sequence = frames(&asked).next().expect("one message").sequence;
                let mut answer = Vec::new();
                let flags = if *interrupted { MULTI | INTERRUPTED } else { MULTI };
                let mut add = |kind, payload| Request { kind, flags, payload }.frame(0, sequence, &mut answer);
                add(KIND, vec![7; 16]);
                add(DONE, vec![0; 4]);
                theirs.send(&answer, 0).expect("somebody waits");
            }
            interrupted.len()
        });
        (socket, kernel)
    }

    #[test]
    fn a_list_that_was_changed_meanwhile_is_made_again() {
        let request = Request { kind: libc::RTM_GETLINK, flags: 0, payload: vec![0; 16] };
        let (mut socket, kernel) = listed(&[true, true, false]);
        assert_eq!(socket.dump(&request).expect("the third is whole"), [(KIND, vec![7; 16])]);
        assert_eq!(kernel.join().expect("it does not panic"), 3);
        let (mut socket, kernel) = listed(&[true; DUMP_ATTEMPTS]);
        assert!(matches!(socket.dump(&request), Err(Error::Interrupted)));
        assert_eq!(kernel.join().expect("it does not panic"), 5);
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        let mut socket = Socket::open(Protocol::Route).expect("a socket");
        let patience = sockopt::socket_timeout(&socket.inner, sockopt::Timeout::Recv).expect("a time-out");
        assert_eq!(patience, Some(Duration::from_secs(10)));
        let short = Some(Duration::from_millis(10));
        sockopt::set_socket_timeout(&socket.inner, sockopt::Timeout::Recv, short).expect("a time-out");
        assert!(matches!(socket.receive(1, 1, |_, _| {}), Err(Error::Lost)));
    }
}
