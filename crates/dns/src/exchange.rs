//! Asking one server one question.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use domain::base::Message;
use domain::base::iana::Rcode;
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpSocket;

use crate::request::Transport;
use crate::stream::{read_message, write_message};

/// The largest message there is, and more than any datagram: answers that are longer than they should be pass too.
const LARGEST: usize = 65535;

/// Sends a query on a fresh socket, and waits for the answer to it, for ever.
pub(crate) async fn exchange(
    socket: OwnedFd,
    server: SocketAddr,
    transport: Transport,
    query: &[u8],
) -> io::Result<Vec<u8>> {
    match transport {
        Transport::Udp => by_datagram(UdpSocket::from(socket), server, query).await,
        Transport::Tcp => by_stream(TcpStream::from(socket), server, query).await,
    }
}

/// A connected socket receives from its peer alone, and tells when nobody listens there. The kernel chooses a random
/// port for it.
async fn by_datagram(socket: UdpSocket, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    socket.send(query).await?;
    // That nobody listens is an error of the socket, not something to be read.
    let interest = Interest::READABLE | Interest::ERROR;
    loop {
        let mut reply = socket.async_io(interest, || receive(&socket)).await?;
        if answers(&reply, query) {
            reply.shrink_to_fit();
            return Ok(reply);
        }
    }
}

/// Takes a datagram. The buffer is made for the call, so that a query that waits takes little memory.
fn receive(socket: impl AsFd) -> io::Result<Vec<u8>> {
    let mut reply = Vec::with_capacity(LARGEST);
    recv(socket, spare_capacity(&mut reply), RecvFlags::empty())?;
    Ok(reply)
}

async fn by_stream(socket: TcpStream, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    socket.set_nonblocking(true)?;
    let mut stream = TcpSocket::from_std_stream(socket).connect(server).await?;
    write_message(&mut stream, query).await?;
    loop {
        let reply = read_message(&mut stream, LARGEST).await?;
        if answers(&reply, query) {
            return Ok(reply);
        }
    }
}

/// Returns whether a message answers a query: the identity is the same, and so is the question (RFC 5452 §9.1).
///
/// Servers that could not read the question, or would not, may leave it out.
fn answers(reply: &[u8], query: &[u8]) -> bool {
    let (Ok(reply), Ok(query)) = (Message::from_slice(reply), Message::from_slice(query)) else { return false };
    let header = reply.header();
    if !header.qr() || header.id() != query.header().id() || header.opcode() != query.header().opcode() {
        return false;
    }
    let count = reply.header_counts().qdcount();
    if count == 0 {
        return !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
    }
    if count != query.header_counts().qdcount() {
        return false;
    }
    // Names are compared without regard to case.
    let (theirs, ours) = (reply.first_question(), query.first_question());
    theirs.is_some() && theirs == ours
}

/// Returns whether a server's answer counts; otherwise the next server is asked.
pub(crate) fn is_final(reply: &[u8]) -> bool {
    Message::from_slice(reply).is_ok_and(|reply| !matches!(reply.header().rcode(), Rcode::SERVFAIL | Rcode::REFUSED))
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;
    use domain::base::{MessageBuilder, Name};
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(0x1234);
        builder.push((Name::vec_from_str(name).unwrap(), Rtype::A)).unwrap();
        builder.finish()
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        let mut reply = query("WEB.example.COM");
        reply[2] |= 0x80;
        assert!(answers(&reply, &query("web.EXAMPLE.com")));
        assert!(!answers(&reply, &query("web.example.org")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_answer(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let query = query("web.example.com");
            // An answer has the identity and the question, or is an error without one.
            if answers(&octets, &query) {
                prop_assert_eq!(&octets[..2], &query[..2]);
                prop_assert_eq!(&octets[4..6], &[0, 0]);
            }
            is_final(&octets);
        }

        #[test]
        fn a_changed_answer_is_none(index: prop::sample::Index, flip in 1_u8..) {
            let query = query("web.example.com");
            let mut reply = query.clone();
            reply[2] |= 0x80;
            prop_assert!(answers(&reply, &query));
            // Flags and the counts of records may differ, and case.
            let fixed: Vec<usize> = [0, 1, 4, 5].into_iter().chain(12..reply.len()).collect();
            reply[fixed[index.index(fixed.len())]] ^= if flip == 0x20 { 1 } else { flip };
            prop_assert!(!answers(&reply, &query), "{:?}", reply);
        }
    }
}
