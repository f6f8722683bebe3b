//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};

use super::{CREATE, REPLACE, malformed, request};
use crate::{Error, Request, Socket};

/// An address of a link: what is asked for, and what is listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Index of the link.
    pub link: u32,
    /// The address with the length of its prefix; host bits are kept.
    pub prefix: IpNet,
    /// IPv4 only.
    pub broadcast: Option<Ipv4Addr>,
    /// Who added it (`IFA_PROTO`, kernel 5.18 and later); zero for nobody in particular.
    pub protocol: u8,
    /// `IFA_F_*`: when adding, such as [`Address::NO_DUPLICATE_DETECTION`]; when listed, all.
    pub flags: u32,
}

impl Address {
    /// The address is usable at once (`IFA_F_NODAD`); IPv6 only.
    pub const NO_DUPLICATE_DETECTION: u32 = libc::IFA_F_NODAD;
    /// The address brings no route for its prefix (`IFA_F_NOPREFIXROUTE`).
    pub const NO_PREFIX_ROUTE: u32 = libc::IFA_F_NOPREFIXROUTE;

    /// Describes an address without broadcast, protocol and flags.
    pub fn new(link: u32, prefix: IpNet) -> Self {
        Self { link, prefix, broadcast: None, protocol: 0, flags: 0 }
    }

    /// Returns the request that adds it; refused with `EEXIST` if it is there.
    pub fn add(&self) -> Request {
        request(libc::RTM_NEWADDR, CREATE, &self.message())
    }

    /// Returns the request that adds it or changes the protocol and flags of the present one.
    pub fn replace(&self) -> Request {
        request(libc::RTM_NEWADDR, REPLACE, &self.message())
    }

    /// Returns the request that removes it; refused with `EADDRNOTAVAIL` if it is absent.
    pub fn delete(&self) -> Request {
        let mut message = self.message();
        message.attributes.truncate(2);
        request(libc::RTM_DELADDR, 0, &message)
    }

    fn message(&self) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = family(&self.prefix);
        message.header.prefix_len = self.prefix.prefix_len();
        message.header.index = self.link;
        // The header has room for the first eight flags only; the attribute has all.
        let [low, ..] = self.flags.to_le_bytes();
        message.header.flags = AddressHeaderFlags::from_bits_retain(low);
        let address = self.prefix.addr();
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        let flags = AddressFlags::from_bits_retain(self.flags);
        let optional = [
            self.broadcast.map(AddressAttribute::Broadcast),
            (self.flags != 0).then_some(AddressAttribute::Flags(flags)),
            (self.protocol != 0).then(|| AddressAttribute::Protocol(self.protocol.into())),
        ];
        message.attributes.extend(optional.into_iter().flatten());
        message
    }

    /// Decodes an `RTM_NEWADDR`; `None` if it holds no usable address.
    fn decode(payload: &[u8]) -> Result<Option<Self>, Error> {
        let message = AddressMessage::parse(payload).map_err(malformed("address"))?;
        let (mut local, mut remote) = (None, None);
        let mut flags = u32::from(message.header.flags.bits());
        let (mut broadcast, mut protocol) = (None, 0);
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Local(address) => local = Some(address),
                AddressAttribute::Address(address) => remote = Some(address),
                AddressAttribute::Broadcast(address) => broadcast = Some(address),
                AddressAttribute::Flags(all) => flags = all.bits(),
                AddressAttribute::Protocol(number) => protocol = number.into(),
                _ => {}
            }
        }
        // IPv6 has `IFA_LOCAL` only on point-to-point links.
        let prefix: Option<IpAddr> = local.or(remote);
        Ok(prefix.and_then(|address| IpNet::new(address, message.header.prefix_len).ok()).map(|prefix| Self {
            link: message.header.index,
            prefix,
            broadcast,
            protocol,
            flags,
        }))
    }
}

fn family(prefix: &IpNet) -> AddressFamily {
    match prefix {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    }
}

/// Lists the addresses of one link, or of all; refused with `ENODEV` if there is no such link.
pub fn addresses(socket: &mut Socket, link: Option<u32>) -> Result<Vec<Address>, Error> {
    let mut message = AddressMessage::default();
    message.header.index = link.unwrap_or(0);
    let messages = socket.dump(&request(libc::RTM_GETADDR, 0, &message))?;
    messages
        .iter()
        .filter(|(kind, _)| *kind == libc::RTM_NEWADDR)
        .filter_map(|(_, payload)| Address::decode(payload).transpose())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let plain = |text: &str| Address::new(3, text.parse().expect("a prefix"));
        for address in [
            plain("fd00::2/64"),
            Address {
                broadcast: Some(Ipv4Addr::new(10, 0, 0, 255)),
                protocol: 112,
                flags: Address::NO_DUPLICATE_DETECTION | Address::NO_PREFIX_ROUTE,
                ..plain("10.0.0.2/24")
            },
        ] {
            let decoded = Address::decode(&address.add().payload).expect("decodes");
            assert_eq!(decoded, Some(address));
        }
    }
}
