//! The choice of one host port for several host addresses at once.

use std::net::IpAddr;

use super::error::PortError;
use super::index::PortIndex;
use super::proto::PortProto;
use super::range::PortRange;
use crate::ipam::{Family, Ranges};

/// A port that the kernel refused: some other program holds it.
pub type BusyPort = (IpAddr, PortProto, u16);

/// Which port is wanted.
#[derive(Clone, Copy, Debug)]
pub enum PortChoice<'a> {
    /// This port.
    Exact(u16),
    /// These ports, all of them.
    Exactly(PortRange),
    /// Any one of these.
    FirstOf(PortRange),
    /// Any one of the host's ephemeral ports.
    Ephemeral {
        /// `net.ipv4.ip_local_port_range`.
        range: PortRange,
        /// `net.ipv4.ip_local_reserved_ports`; kept back from this choice, not from the others.
        reserved: &'a Ranges<u16>,
    },
}

/// What a chosen port must satisfy.
#[derive(Clone, Copy, Debug)]
pub struct PortQuery<'a> {
    /// The host addresses; the port must be free on all of them.
    pub addresses: &'a [IpAddr],
    /// The protocol.
    pub proto: PortProto,
    /// The port or ports wanted.
    pub choice: PortChoice<'a>,
    /// Ports that the kernel refused in earlier rounds, oldest first.
    pub busy: &'a [BusyPort],
}

/// Returns the port, or the first one of several; the same on every address.
pub fn choose(index: &PortIndex, query: &PortQuery<'_>) -> Result<u16, PortError> {
    if query.addresses.is_empty() {
        return Err(PortError::NoAddresses);
    }
    match query.choice {
        PortChoice::Exact(port) => exactly(index, query, PortRange::single(port)?),
        PortChoice::Exactly(range) => exactly(index, query, range),
        PortChoice::FirstOf(range) => first_of(index, query, range, None),
        PortChoice::Ephemeral { range, reserved } => first_of(index, query, range, Some(reserved)),
    }
}

fn exactly(index: &PortIndex, query: &PortQuery<'_>, range: PortRange) -> Result<u16, PortError> {
    for port in range.iter() {
        for &ip in query.addresses {
            if !index.is_free(ip, query.proto, port) {
                return Err(PortError::AlreadyAllocated { ip: ip.to_canonical(), port });
            }
        }
    }
    match last_refusal(query, range) {
        Some(error) => Err(error),
        None => Ok(range.first()),
    }
}

fn first_of(
    index: &PortIndex,
    query: &PortQuery<'_>,
    range: PortRange,
    reserved: Option<&Ranges<u16>>,
) -> Result<u16, PortError> {
    let busy: Ranges<u16> = refusals(query).map(|(_, port)| port..=port).collect();
    let blocking: Vec<&Ranges<u16>> =
        query.addresses.iter().flat_map(|ip| index.blocking(*ip, query.proto)).chain(reserved).chain([&busy]).collect();
    free_everywhere(&blocking, range.first(), range.last())
        // A refusal says more than "all taken": it names a port that another program holds.
        .ok_or_else(|| last_refusal(query, range).unwrap_or(PortError::AllAllocated))
}

/// Moves up past each set's taken ports in turn until no set objects.
fn free_everywhere(blocking: &[&Ranges<u16>], first: u16, last: u16) -> Option<u16> {
    let mut port = first;
    loop {
        let next = blocking.iter().try_fold(port, |port, ports| ports.first_free_in(port..=last))?;
        if next == port {
            return (port <= last).then_some(port);
        }
        port = next;
    }
}

/// Yields the refused ports that concern the query, with the address asked for.
fn refusals<'a>(query: &'a PortQuery<'_>) -> impl DoubleEndedIterator<Item = (IpAddr, u16)> + 'a {
    query.busy.iter().filter(|(_, proto, _)| *proto == query.proto).filter_map(|(held, _, port)| {
        let asked = query.addresses.iter().find(|ip| collide(**ip, *held))?;
        Some((asked.to_canonical(), *port))
    })
}

fn last_refusal(query: &PortQuery<'_>, range: PortRange) -> Option<PortError> {
    let (ip, port) = refusals(query).rfind(|(_, port)| range.contains(*port))?;
    Some(PortError::Busy { ip, port, proto: query.proto })
}

/// Says whether two sockets on these addresses exclude each other; IPv6 sockets of ours never take IPv4.
fn collide(a: IpAddr, b: IpAddr) -> bool {
    let (a, b) = (a.to_canonical(), b.to_canonical());
    Family::of(a) == Family::of(b) && (a == b || a.is_unspecified() || b.is_unspecified())
}
