//! Netlink messages as bytes, and a socket that sends one and waits for its answer: nothing else, for the floor must not
//! carry anybody's library.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST: u16 = 1 | 4;
/// `NLM_F_CREATE | NLM_F_EXCL`.
pub(crate) const CREATE: u16 = 0x400 | 0x200;

/// One message under construction.
pub(crate) struct Wire(Vec<u8>);

impl Wire {
    pub(crate) fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(header);
        Self(bytes)
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(4 + value.len()).expect("attributes are short");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.attribute(kind, &value)
    }

    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.0.len();
        self.attribute(kind, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - at).expect("attributes are short");
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("messages are short");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// A netlink socket of the namespace it was opened in.
pub(crate) struct Wired(OwnedFd);

impl Wired {
    pub(crate) fn open(protocol: i32) -> io::Result<Self> {
        // SAFETY: socket() takes no pointers; a descriptor it returns is ours alone.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made and belongs to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends bytes and returns the answer's error, if it has one.
    pub(crate) fn ask(&self, message: &[u8]) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        // SAFETY: the pointer and the length are those of a live slice.
        let sent = unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut answer = [0_u8; 8192];
        // SAFETY: the pointer and the length are those of a live array.
        let got = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
        if got < 20 {
            return Err(io::Error::last_os_error());
        }
        let errno = i32::from_ne_bytes(answer[16..20].try_into().expect("four bytes"));
        match errno {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        }
    }
}
