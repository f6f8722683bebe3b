//! Unsolicited neighbour advertisements.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};

use pontoon_core::model::MacAddr;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, bind, ipproto, sendto, socket_with, sockopt};

/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Neighbours drop what could have come from another link (RFC 4861 section 7.1.2).
const HOP_LIMIT: u32 = 255;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Neither a router's nor an answer, but to be believed over what is remembered.
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// Sends one from the calling thread's namespace. The kernel adds the checksum.
pub(super) fn advertise(link: u32, mac: MacAddr, address: Ipv6Addr) -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET6, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::ICMPV6))?;
    sockopt::set_ipv6_multicast_hops(&socket, HOP_LIMIT)?;
    sockopt::set_ipv6_multicast_if(&socket, link)?;
    sockopt::set_ipv6_multicast_loop(&socket, false)?;
    bind(&socket, &SocketAddrV6::new(address, 0, 0, 0))?;
    let to = SocketAddrV6::new(ALL_NODES, 0, 0, link);
    sendto(&socket, &message(mac, address), SendFlags::empty(), &to)?;
    Ok(())
}

/// RFC 4861 section 4.4, with the option of section 4.6.1, whose length counts eights.
fn message(mac: MacAddr, address: Ipv6Addr) -> [u8; 32] {
    let mut message = [0; 32];
    message[0] = NEIGHBOUR_ADVERTISEMENT;
    message[4] = OVERRIDE;
    message[8..24].copy_from_slice(&address.octets());
    message[24..26].copy_from_slice(&[TARGET_LINK_LAYER_ADDRESS, 1]);
    message[26..].copy_from_slice(&mac.octets());
    message
}
