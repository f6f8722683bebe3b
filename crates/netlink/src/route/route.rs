//! Routes.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteVia};

use super::{CREATE, REPLACE, malformed, request};
use crate::{Error, Request, Socket};

/// The table that ordinary look-ups use.
pub const TABLE_MAIN: u32 = 254;

/// A route with one next hop at most: what is asked for, and what is listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Where to; a prefix of length zero is the default route.
    pub destination: IpNet,
    /// The next hop; an IPv4 route may have one with an IPv6 address.
    pub gateway: Option<IpAddr>,
    /// Index of the link.
    pub link: Option<u32>,
    /// How far the destination is; IPv6 has only [`RouteScope::Universe`].
    pub scope: RouteScope,
    /// Who added it.
    pub protocol: u8,
    /// The table.
    pub table: u32,
    /// What it does.
    pub kind: RouteKind,
    /// The address that packets leave with.
    pub preferred_source: Option<IpAddr>,
    /// Lower goes first. IPv6 takes 1024 for an absent one.
    pub metric: Option<u32>,
    /// Whether the gateway is taken to be on the link although no prefix says so.
    pub on_link: bool,
}

/// How far the destination of a route is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RouteScope {
    /// Anywhere.
    #[default]
    Universe,
    /// On the link.
    Link,
    /// On this host.
    Host,
    /// Another scope.
    Other(u8),
}

/// What a route does with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Sends them on.
    #[default]
    Unicast,
    /// Delivers them here.
    Local,
    /// Drops them silently.
    Blackhole,
    /// Answers that the destination is unreachable.
    Unreachable,
    /// Answers that it is forbidden.
    Prohibit,
    /// Another kind (`RTN_*`).
    Other(u8),
}

/// The family of addresses that a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Which routes to list; the kernel leaves out the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFilter {
    /// The family.
    pub family: Family,
    /// Of this table only.
    pub table: Option<u32>,
    /// Over this link only.
    pub link: Option<u32>,
    /// Added by this protocol only.
    pub protocol: Option<u8>,
}

impl Route {
    /// Describes a unicast route in the main table without a next hop.
    pub fn new(destination: IpNet) -> Self {
        Self {
            destination,
            gateway: None,
            link: None,
            scope: RouteScope::Universe,
            protocol: libc::RTPROT_BOOT,
            table: TABLE_MAIN,
            kind: RouteKind::Unicast,
            preferred_source: None,
            metric: None,
            on_link: false,
        }
    }

    /// Returns the request that adds it; refused with `EEXIST` if there is one to the same
    /// destination with the same metric.
    pub fn add(&self) -> Request {
        request(libc::RTM_NEWROUTE, CREATE, &self.message())
    }

    /// Returns the request that adds it in the place of one with the same destination and metric.
    pub fn replace(&self) -> Request {
        request(libc::RTM_NEWROUTE, REPLACE, &self.message())
    }

    /// Returns the request that removes it; refused with `ESRCH` if it is absent.
    pub fn delete(&self) -> Request {
        request(libc::RTM_DELROUTE, 0, &self.message())
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(&self.destination.addr()),
            destination_prefix_length: self.destination.prefix_len(),
            // Tables that do not fit the byte are in the attribute only.
            table: u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
            protocol: self.protocol.into(),
            scope: u8::from(self.scope).into(),
            kind: u8::from(self.kind).into(),
            flags: match self.on_link {
                true => RouteFlags::Onlink,
                false => RouteFlags::empty(),
            },
            ..RouteHeader::default()
        };
        let network = self.destination.network();
        let default = self.destination.prefix_len() == 0;
        message.attributes = [
            Some(RouteAttribute::Table(self.table)),
            (!default).then(|| RouteAttribute::Destination(network.into())),
            self.gateway.map(|gateway| self.next_hop(gateway)),
            self.link.map(RouteAttribute::Oif),
            self.preferred_source.map(|source| RouteAttribute::PrefSource(source.into())),
            self.metric.map(RouteAttribute::Priority),
        ]
        .into_iter()
        .flatten()
        .collect();
        message
    }

    fn next_hop(&self, gateway: IpAddr) -> RouteAttribute {
        match gateway {
            _ if gateway.is_ipv4() == self.destination.addr().is_ipv4() => RouteAttribute::Gateway(gateway.into()),
            IpAddr::V4(gateway) => RouteAttribute::Via(RouteVia::Inet(gateway)),
            IpAddr::V6(gateway) => RouteAttribute::Via(RouteVia::Inet6(gateway)),
        }
    }

    /// Decodes an `RTM_NEWROUTE`; `None` if it is of another family.
    fn decode(payload: &[u8], asked: Family) -> Result<Option<Self>, Error> {
        let header = RouteHeader::parse(payload).map_err(malformed("route"))?;
        if header.address_family != asked.into() {
            return Ok(None);
        }
        let message = RouteMessage::parse(payload).map_err(malformed("route"))?;
        let length = header.destination_prefix_length;
        let Ok(unspecified) = IpNet::new(asked.unspecified(), length) else {
            return Ok(None);
        };
        let mut route = Self {
            scope: u8::from(header.scope).into(),
            protocol: header.protocol.into(),
            table: header.table.into(),
            kind: u8::from(header.kind).into(),
            on_link: header.flags.contains(RouteFlags::Onlink),
            ..Self::new(unspecified)
        };
        for attribute in message.attributes {
            route.apply(attribute, length);
        }
        Ok(Some(route))
    }

    fn apply(&mut self, attribute: RouteAttribute, length: u8) {
        match attribute {
            RouteAttribute::Table(table) => self.table = table,
            RouteAttribute::Oif(link) => self.link = Some(link),
            RouteAttribute::Priority(metric) => self.metric = Some(metric),
            RouteAttribute::Gateway(gateway) => self.gateway = ip(&gateway),
            RouteAttribute::Via(RouteVia::Inet(gateway)) => self.gateway = Some(gateway.into()),
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => self.gateway = Some(gateway.into()),
            RouteAttribute::PrefSource(source) => self.preferred_source = ip(&source),
            RouteAttribute::Destination(destination) => {
                if let Some(Ok(prefix)) = ip(&destination).map(|ip| IpNet::new(ip, length)) {
                    self.destination = prefix;
                }
            }
            _ => {}
        }
    }
}

/// Lists the routes that the filter lets through. A table that does not exist is empty.
pub fn routes(socket: &mut Socket, filter: &RouteFilter) -> Result<Vec<Route>, Error> {
    let mut message = RouteMessage::default();
    message.header.address_family = filter.family.into();
    message.header.protocol = filter.protocol.unwrap_or(0).into();
    message.attributes =
        [filter.table.map(RouteAttribute::Table), filter.link.map(RouteAttribute::Oif)].into_iter().flatten().collect();
    let messages = match socket.dump(&request(libc::RTM_GETROUTE, 0, &message)) {
        Err(Error::Refused(refusal)) if refusal.errno == libc::ENOENT => return Ok(Vec::new()),
        other => other?,
    };
    messages
        .iter()
        .filter(|(kind, _)| *kind == libc::RTM_NEWROUTE)
        .filter_map(|(_, payload)| Route::decode(payload, filter.family).transpose())
        .collect()
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn family(address: &IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

impl Family {
    fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Inet,
            Family::V6 => Self::Inet6,
        }
    }
}

impl From<RouteScope> for u8 {
    fn from(scope: RouteScope) -> Self {
        match scope {
            RouteScope::Universe => libc::RT_SCOPE_UNIVERSE,
            RouteScope::Link => libc::RT_SCOPE_LINK,
            RouteScope::Host => libc::RT_SCOPE_HOST,
            RouteScope::Other(number) => number,
        }
    }
}

impl From<u8> for RouteScope {
    fn from(number: u8) -> Self {
        match number {
            libc::RT_SCOPE_UNIVERSE => Self::Universe,
            libc::RT_SCOPE_LINK => Self::Link,
            libc::RT_SCOPE_HOST => Self::Host,
            other => Self::Other(other),
        }
    }
}

impl From<RouteKind> for u8 {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => libc::RTN_UNICAST,
            RouteKind::Local => libc::RTN_LOCAL,
            RouteKind::Blackhole => libc::RTN_BLACKHOLE,
            RouteKind::Unreachable => libc::RTN_UNREACHABLE,
            RouteKind::Prohibit => libc::RTN_PROHIBIT,
            RouteKind::Other(number) => number,
        }
    }
}

impl From<u8> for RouteKind {
    fn from(number: u8) -> Self {
        match number {
            libc::RTN_UNICAST => Self::Unicast,
            libc::RTN_LOCAL => Self::Local,
            libc::RTN_BLACKHOLE => Self::Blackhole,
            libc::RTN_UNREACHABLE => Self::Unreachable,
            libc::RTN_PROHIBIT => Self::Prohibit,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let plain = |text: &str| Route::new(text.parse().expect("a prefix"));
        for (family, route) in [
            (Family::V6, plain("::/0")),
            (
                Family::V4,
                Route {
                    gateway: "fe80::1".parse().ok(),
                    link: Some(2),
                    scope: RouteScope::Link,
                    protocol: 112,
                    table: 1000,
                    kind: RouteKind::Unreachable,
                    preferred_source: "10.0.0.9".parse().ok(),
                    metric: Some(5),
                    on_link: true,
                    ..plain("10.1.0.0/16")
                },
            ),
        ] {
            let mut decoded = Route::decode(&route.add().payload, family).expect("decodes");
            assert_eq!(decoded.take(), Some(route));
        }
    }
}
