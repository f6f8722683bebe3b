//! Forgetting tracked flows, so that a change of address translation also
//! concerns packets of flows that began before it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::nft::IpVersion;
use crate::nft::attributes::{Writer, find, read};
use crate::{Error, Request, Socket};

/// Which flows are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowFilter {
    /// Flows that were begun towards a published port.
    Destination(Destination),
    /// Flows from or to any of these addresses, before or after translation: one look at all flows.
    Addresses(Vec<IpAddr>),
    /// Flows from or to an address of these subnets that nobody has, before or after translation: one look at all flows.
    Strays {
        /// The subnets.
        subnets: Vec<IpNet>,
        /// The addresses that somebody has.
        taken: BTreeSet<IpAddr>,
    },
}

/// Where the first packet of a flow was sent to, before any translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address; none for any address of either IP version.
    pub address: Option<IpAddr>,
    /// The number of the transport protocol.
    pub protocol: u8,
    /// The ports.
    pub ports: RangeInclusive<u16>,
    /// The conntrack zone; none for any.
    pub zone: Option<u16>,
}

/// Deletes the flows and returns how many there were; none if the kernel
/// deleted some in one go (Linux 6.10), which it does not count.
pub fn delete(socket: &mut Socket, filter: &FlowFilter) -> Result<Option<usize>, Error> {
    let mut total = Some(0);
    // The kernel filters flows of one IP version at a time.
    for version in filter.versions() {
        let deleted = delete_of(socket, filter, version)?;
        total = total.zip(deleted).map(|(total, deleted)| total + deleted);
    }
    Ok(total)
}

/// Deletes the flows that any of the filters means, with one look at the kernel's table, which takes milliseconds however few
/// flows there are. Returns how many there were.
pub fn delete_any(socket: &mut Socket, filters: &[FlowFilter]) -> Result<usize, Error> {
    let mut total = 0;
    for version in [IpVersion::V4, IpVersion::V6] {
        if filters.iter().any(|filter| filter.versions().contains(&version)) {
            let all = request(message::GET, Writer::message(family(version), 0));
            total += delete_listed(socket, &all, |flow| filters.iter().any(|filter| flow.fits(filter)))?;
        }
    }
    Ok(total)
}

impl FlowFilter {
    /// Returns the IP versions whose flows are looked at.
    fn versions(&self) -> Vec<IpVersion> {
        let concerns = |address: &IpAddr, version| match address {
            IpAddr::V4(_) => version == IpVersion::V4,
            IpAddr::V6(_) => version == IpVersion::V6,
        };
        let wanted = |version: &IpVersion| match self {
            Self::Destination(destination) => destination.address.is_none_or(|address| concerns(&address, *version)),
            Self::Addresses(addresses) => addresses.iter().any(|address| concerns(address, *version)),
            Self::Strays { subnets, .. } => subnets.iter().any(|subnet| concerns(&subnet.addr(), *version)),
        };
        [IpVersion::V4, IpVersion::V6].into_iter().filter(wanted).collect()
    }
}

fn delete_of(socket: &mut Socket, filter: &FlowFilter, version: IpVersion) -> Result<Option<usize>, Error> {
    if let Some(request) = flush_request(filter, version) {
        match socket.request(&request) {
            Ok(()) => return Ok(None),
            // Older kernels take the filter for an incomplete description of
            // a single flow and refuse it.
            Err(Error::Refused(refusal)) if [libc::EINVAL, libc::EOPNOTSUPP].contains(&refusal.errno) => {}
            Err(other) => return Err(other),
        }
    }
    delete_listed(socket, &list_request(filter, version), |flow| flow.fits(filter)).map(Some)
}

/// Lists flows and deletes those that fit, which every kernel can do.
fn delete_listed(socket: &mut Socket, list: &Request, fits: impl Fn(&Flow) -> bool) -> Result<usize, Error> {
    let listed = socket.dump(list)?;
    let requests: Vec<Request> = listed
        .iter()
        .filter_map(|(_, payload)| Flow::read(payload))
        .filter(fits)
        .map(|flow| flow.delete_request())
        .collect();
    let mut deleted = 0;
    for answer in socket.batch(&requests)? {
        match answer {
            Ok(()) => deleted += 1,
            // It ended by itself meanwhile.
            Err(refusal) if refusal.errno == libc::ENOENT => {}
            Err(refusal) => return Err(Error::Refused(refusal)),
        }
    }
    Ok(deleted)
}

/// The request that lets the kernel find and delete the flows; none if its
/// filter cannot say what is meant.
fn flush_request(filter: &FlowFilter, version: IpVersion) -> Option<Request> {
    let FlowFilter::Destination(destination) = filter else {
        return None;
    };
    let single_port = destination.ports.start() == destination.ports.end();
    let address_compared = destination.address.is_none_or(|address| kernel_compares(&address));
    if !single_port || destination.zone.is_some() || !address_compared {
        return None;
    }
    // Deleting looks at the IP version if the message's version is not zero.
    let mut body = Writer::versioned(family(version), 1);
    write_filter(destination, &mut body);
    Some(request(message::DELETE, body))
}

/// The request that lists at least the flows that are meant: kernels before
/// 5.8 ignore the filter.
fn list_request(filter: &FlowFilter, version: IpVersion) -> Request {
    let mut body = Writer::message(family(version), 0);
    if let FlowFilter::Destination(destination) = filter {
        write_filter(destination, &mut body);
    }
    request(message::GET, body)
}

fn request(kind: u16, body: Writer) -> Request {
    Request { kind: SUBSYSTEM << 8 | kind, flags: 0, payload: body.into_bytes() }
}

fn family(version: IpVersion) -> u8 {
    match version {
        IpVersion::V4 => 2,
        IpVersion::V6 => 10,
    }
}

/// Whether the kernel's filter compares addresses of that IP version rightly:
/// Linux 6.18 takes IPv6 addresses for equal if they differ.
fn kernel_compares(address: &IpAddr) -> bool {
    address.is_ipv4()
}

/// Describes a flow and says which parts of the description count.
fn write_filter(destination: &Destination, body: &mut Writer) {
    let single_port = destination.ports.start() == destination.ports.end();
    let mut flags = filter::PROTOCOL;
    body.nest(TUPLE_ORIGINAL, |tuple| {
        if let Some(address) = destination.address.filter(kernel_compares) {
            flags |= filter::DESTINATION_ADDRESS;
            tuple.nest(tuple::IP, |ip| ip.bytes(destination_kind(address), &octets(address)));
        }
        tuple.nest(tuple::PROTOCOL, |protocol| {
            protocol.u8(tuple::PROTOCOL_NUMBER, destination.protocol);
            if single_port {
                flags |= filter::DESTINATION_PORT;
                protocol.u16(tuple::DESTINATION_PORT, *destination.ports.start());
            }
        });
    });
    body.nest(FILTER, |attributes| {
        attributes.bytes(filter::ORIGINAL_FLAGS, &flags.to_ne_bytes());
    });
}

/// A tracked flow as the kernel lists it.
struct Flow<'a> {
    family: u8,
    original: &'a [u8],
    reply: &'a [u8],
    id: Option<&'a [u8]>,
    zone: Option<&'a [u8]>,
}

impl<'a> Flow<'a> {
    fn read(payload: &'a [u8]) -> Option<Self> {
        let (family, attributes) = (*payload.first()?, payload.get(HEADER..)?);
        Some(Self {
            family,
            original: find(attributes, TUPLE_ORIGINAL)?,
            reply: find(attributes, TUPLE_REPLY)?,
            id: find(attributes, ID),
            zone: find(attributes, ZONE),
        })
    }

    fn fits(&self, filter: &FlowFilter) -> bool {
        match filter {
            FlowFilter::Destination(destination) => self.goes_to(destination),
            FlowFilter::Addresses(addresses) => self.addresses().any(|address| addresses.contains(&address)),
            FlowFilter::Strays { subnets, taken } => self
                .addresses()
                .any(|address| subnets.iter().any(|subnet| subnet.contains(&address)) && !taken.contains(&address)),
        }
    }

    /// Returns the source and the destination of both directions.
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        [self.original, self.reply].into_iter().flat_map(|direction| {
            let ip = find(direction, tuple::IP).unwrap_or_default();
            read(ip).filter_map(|(_, value)| address(value))
        })
    }

    fn goes_to(&self, destination: &Destination) -> bool {
        let protocol = find(self.original, tuple::PROTOCOL).unwrap_or_default();
        let number = find(protocol, tuple::PROTOCOL_NUMBER);
        let port = number16(find(protocol, tuple::DESTINATION_PORT));
        let ip = find(self.original, tuple::IP).unwrap_or_default();
        let address_fits =
            destination.address.is_none_or(|address| find(ip, destination_kind(address)) == Some(&octets(address)));
        let zone = number16(self.zone).unwrap_or(0);
        number == Some(&[destination.protocol])
            && port.is_some_and(|port| destination.ports.contains(&port))
            && address_fits
            && destination.zone.is_none_or(|wanted| wanted == zone)
    }

    fn delete_request(&self) -> Request {
        let mut body = Writer::message(self.family, 0);
        body.nested_bytes(TUPLE_ORIGINAL, self.original);
        // A flow that began meanwhile with the same addresses is not meant.
        if let Some(id) = self.id {
            body.bytes(ID, id);
        }
        if let Some(zone) = self.zone {
            body.bytes(ZONE, zone);
        }
        request(message::DELETE, body)
    }
}

fn destination_kind(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => tuple::IP4_DESTINATION,
        IpAddr::V6(_) => tuple::IP6_DESTINATION,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => octets.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
        _ => octets.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into()),
    }
}

fn number16(value: Option<&[u8]>) -> Option<u16> {
    value?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

// Numbers from the kernel's `linux/netfilter/nfnetlink_conntrack.h`.
const SUBSYSTEM: u16 = 1;
const HEADER: usize = 4;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;

mod message {
    pub(super) const GET: u16 = 1;
    pub(super) const DELETE: u16 = 2;
}

mod tuple {
    pub(super) const IP: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const IP4_DESTINATION: u16 = 2;
    pub(super) const IP6_DESTINATION: u16 = 4;
    pub(super) const PROTOCOL_NUMBER: u16 = 1;
    pub(super) const DESTINATION_PORT: u16 = 3;
}

/// Which parts of the description count; the bits are the kernel's own and
/// in no header (`CTA_FILTER_F_*` in `nf_conntrack_netlink.c`).
mod filter {
    pub(super) const ORIGINAL_FLAGS: u16 = 1;
    pub(super) const DESTINATION_ADDRESS: u32 = 1 << 1;
    pub(super) const PROTOCOL: u32 = 1 << 3;
    pub(super) const DESTINATION_PORT: u32 = 1 << 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(ports: RangeInclusive<u16>, zone: Option<u16>) -> FlowFilter {
        FlowFilter::Destination(Destination { address: None, protocol: 6, ports, zone })
    }

    #[test]
    fn only_what_the_kernel_can_filter_is_flushed() {
        let flushed = |filter: &FlowFilter| flush_request(filter, IpVersion::V4).is_some();
        assert!(flushed(&destination(80..=80, None)));
        assert!(!flushed(&destination(80..=81, None)));
        assert!(!flushed(&destination(80..=80, Some(1))));
        assert!(!flushed(&FlowFilter::Addresses(vec![[10, 0, 0, 1].into()])));
        let ipv6 = Destination { address: Some([0; 16].into()), protocol: 6, ports: 80..=80, zone: None };
        assert!(!flushed(&FlowFilter::Destination(ipv6)));
    }

    #[test]
    fn flows_without_ports_do_not_fit() {
        let mut body = Writer::message(family(IpVersion::V4), 0);
        for direction in [TUPLE_ORIGINAL, TUPLE_REPLY] {
            body.nest(direction, |tuple| {
                tuple.nest(tuple::IP, |ip| {
                    ip.bytes(tuple::IP4_DESTINATION, &[10, 0, 0, 1]);
                });
                tuple.nest(tuple::PROTOCOL, |protocol| {
                    protocol.u8(tuple::PROTOCOL_NUMBER, 6);
                });
            });
        }
        let payload = body.into_bytes();
        let flow = Flow::read(&payload).unwrap();
        assert!(!flow.fits(&destination(0..=u16::MAX, None)));
        assert!(flow.fits(&FlowFilter::Addresses(vec![[10, 0, 0, 1].into()])));
        assert!(!flow.fits(&FlowFilter::Addresses(vec![[10, 0, 0, 2].into()])));
        assert!(Flow::read(&payload[..HEADER]).is_none());
    }
}
