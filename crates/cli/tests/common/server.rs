//! Name servers that tests ask.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::spawn;

use pontoon_netlink::netns::{Namespace, Visitor};

use super::inside::netns;

/// A server in the test's namespace, at port 53 of an address: it knows one address for everything, and counts questions.
pub(crate) fn name_server(at: &str, answer: [u8; 4]) -> Arc<AtomicUsize> {
    serve(UdpSocket::bind((at, 53)).expect("the port is free"), answer)
}

/// The same inside a sandbox.
pub(crate) fn name_server_inside(sandbox: &str, at: &str, answer: [u8; 4]) -> Arc<AtomicUsize> {
    let namespace = Namespace::open(netns(sandbox)).expect("the sandbox is there");
    let visitor = Visitor::new(const { NonZeroUsize::new(1).expect("one is not zero") }).expect("a visitor");
    let at = SocketAddr::new(at.parse().expect("an address"), 53);
    let bound = visitor.visit(&namespace, move || UdpSocket::bind(at)).expect("a visit");
    serve(bound.expect("the port is free"), answer)
}

fn serve(socket: UdpSocket, answer: [u8; 4]) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::SeqCst);
            let question = 12 + buffer[12..length].iter().position(|byte| *byte == 0).expect("a name") + 5;
            let mut reply = buffer[..question].to_vec();
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            // The name of the question, A, IN, a minute, four bytes.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            reply.extend(answer);
            socket.send_to(&reply, client).expect("the client is there");
        }
    });
    asked
}
