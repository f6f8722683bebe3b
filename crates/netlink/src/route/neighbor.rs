//! Announcing who has an IPv4 address.

use std::net::Ipv4Addr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage};

use super::request;
use crate::Request;

/// Returns the requests that have the kernel announce a link's own IPv4 address once: a broadcast ARP request whose sender and
/// target it is (RFC 5227 section 3).
///
/// Who uses a neighbour that is not known yet has the kernel ask for it; the second request forgets the question before it is
/// asked again. A packet socket would do too, but closing one waits for the kernel's readers (`packet_release`,
/// net/packet/af_packet.c).
pub fn announce(link: u32, address: Ipv4Addr) -> [Request; 2] {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = link;
    message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(address))];
    let forget = request(libc::RTM_DELNEIGH, 0, &message);
    // What was learned elsewhere has room in a table that is full.
    message.header.flags = NeighbourFlags::Use | NeighbourFlags::ExtLearned;
    [request(libc::RTM_NEWNEIGH, libc::NLM_F_CREATE as u16, &message), forget]
}
