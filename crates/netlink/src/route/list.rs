//! Listing links.

use netlink_packet_core::{NlaBuffer, NlasIterator, ParseableParametrized};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoBridgePort, InfoPortData, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo, LinkMessage, Stats64,
};

use rustix::io::Errno;

use super::{Mac, PortState, Target, malformed, request};
use crate::{Error, Request, Socket};

/// A link as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Kind, such as `bridge` or `veth`; absent for hardware and the loopback interface.
    pub kind: Option<String>,
    /// Hardware address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Whether it has a carrier.
    pub running: bool,
    /// Index of the bridge, or other link, that it is a port of.
    pub master: Option<u32>,
    /// Group number.
    pub group: u32,
    /// Index of the link below it, or of its peer, in the namespace of `peer_namespace`.
    pub peer: Option<u32>,
    /// This namespace's number for the one its peer lives in; absent if it is the same one.
    pub peer_namespace: Option<i32>,
    /// The queueing discipline that it sends through, such as `noqueue`.
    pub qdisc: Option<String>,
    /// The text that it carries.
    pub alias: Option<String>,
    /// What it is as a bridge port.
    pub port: Option<Port>,
}

/// A link's behaviour as a bridge port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Whether it may speak only to ports that are not isolated.
    pub isolated: bool,
    /// Whether frames may leave by the port they came in.
    pub hairpin: bool,
    /// Whether it forwards.
    pub state: Option<PortState>,
}

/// Lists all links of the socket's namespace.
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let messages = socket.dump(&request(libc::RTM_GETLINK, 0, &without_counters(None)))?;
    messages.iter().filter(|(kind, _)| *kind == libc::RTM_NEWLINK).map(|(_, payload)| Link::decode(payload)).collect()
}

/// What a link has passed since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets received and dropped.
    pub rx_dropped: u64,
    /// Packets received that were bad.
    pub rx_errors: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets that were to be sent and were dropped.
    pub tx_dropped: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
}

/// Lists the names of all links of the socket's namespace with what they have passed.
pub fn counters(socket: &mut Socket) -> Result<Vec<(String, Counters)>, Error> {
    let messages = socket.dump(&request(libc::RTM_GETLINK, 0, &LinkMessage::default()))?;
    let links = messages.iter().filter(|(kind, _)| *kind == libc::RTM_NEWLINK);
    links.map(|(_, payload)| Counters::decode(payload)).collect()
}

/// Returns one link, or `None` if there is none of that name or index.
pub fn link(socket: &mut Socket, target: impl Into<Target>) -> Result<Option<Link>, Error> {
    match socket.query(&look(target)) {
        Ok(messages) => messages.first().map(|message| Link::decode(&message.payload)).transpose(),
        Err(Error::Refused(refusal)) if refusal.errno == libc::ENODEV => Ok(None),
        Err(other) => Err(other),
    }
}

/// Returns the index of the link of a name, if there is one.
///
/// Unlike [`link`] it never waits for the kernel's lock of all links (`SIOCGIFINDEX`, netdevice(7)).
pub fn index_of(socket: &Socket, name: &str) -> Result<Option<u32>, Error> {
    match socket.index_of(name) {
        Ok(index) => Ok(Some(index)),
        Err(Errno::NODEV) => Ok(None),
        Err(errno) => Err(Error::Socket { action: "look up a link through", source: errno.into() }),
    }
}

/// Returns the request that asks for a link; the kernel brings what it knows of the link's carrier up to date before it
/// answers (Linux 6.8, `linkwatch_sync_dev` in net/core/rtnetlink.c).
pub fn look(target: impl Into<Target>) -> Request {
    request(libc::RTM_GETLINK, 0, &without_counters(Some(target.into())))
}

/// Statistics make up most of a link's description, and nobody here reads them.
fn without_counters(target: Option<Target>) -> LinkMessage {
    let mut message = target.map_or_else(LinkMessage::default, |target| target.message());
    let mask = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
    message.attributes.push(mask);
    message
}

impl Link {
    /// Decodes an `RTM_NEWLINK`. Only the attributes named here are looked at, so a foreign link
    /// of a kind that the library cannot decode does not spoil a list.
    fn decode(payload: &[u8]) -> Result<Self, Error> {
        let header = LinkHeader::parse(payload).map_err(malformed("link"))?;
        let mut link = Self {
            index: header.index,
            up: header.flags.contains(LinkFlags::Up),
            running: header.flags.contains(LinkFlags::Running),
            ..Self::default()
        };
        for attribute in NlasIterator::new(&payload[16..]) {
            link.apply(&attribute.map_err(malformed("link"))?);
        }
        Ok(link)
    }

    fn apply(&mut self, attribute: &NlaBuffer<&[u8]>) {
        const WANTED: [u16; 10] = [
            libc::IFLA_ADDRESS,
            libc::IFLA_IFNAME,
            libc::IFLA_MTU,
            libc::IFLA_LINK,
            libc::IFLA_QDISC,
            libc::IFLA_MASTER,
            libc::IFLA_LINKINFO,
            libc::IFLA_IFALIAS,
            libc::IFLA_GROUP,
            libc::IFLA_LINK_NETNSID,
        ];
        if !WANTED.contains(&attribute.kind()) {
            return;
        }
        match LinkAttribute::parse_with_param(attribute, AddressFamily::Unspec) {
            Ok(LinkAttribute::Address(mac)) => self.mac = mac.try_into().ok(),
            Ok(LinkAttribute::IfName(name)) => self.name = name,
            Ok(LinkAttribute::Mtu(mtu)) => self.mtu = mtu,
            Ok(LinkAttribute::Link(peer)) => self.peer = (peer != 0).then_some(peer),
            Ok(LinkAttribute::Controller(master)) => self.master = Some(master),
            Ok(LinkAttribute::Qdisc(qdisc)) => self.qdisc = Some(qdisc),
            Ok(LinkAttribute::IfAlias(alias)) => self.alias = Some(alias),
            Ok(LinkAttribute::Group(group)) => self.group = group,
            Ok(LinkAttribute::LinkNetNsId(id)) => self.peer_namespace = Some(id),
            Ok(LinkAttribute::LinkInfo(infos)) => infos.into_iter().for_each(|i| self.info(i)),
            _ => {}
        }
    }

    fn info(&mut self, info: LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = Some(kind.to_string()),
            LinkInfo::PortData(InfoPortData::BridgePort(settings)) => {
                self.port = Some(Port::decode(&settings));
            }
            _ => {}
        }
    }
}

impl Counters {
    /// Decodes an `RTM_NEWLINK`; see [`Link::decode`].
    fn decode(payload: &[u8]) -> Result<(String, Self), Error> {
        LinkHeader::parse(payload).map_err(malformed("link"))?;
        let (mut name, mut counters) = (String::new(), Self::default());
        for attribute in NlasIterator::new(&payload[16..]) {
            let attribute = attribute.map_err(malformed("link"))?;
            if ![libc::IFLA_IFNAME, libc::IFLA_STATS64].contains(&attribute.kind()) {
                continue;
            }
            match LinkAttribute::parse_with_param(&attribute, AddressFamily::Unspec) {
                Ok(LinkAttribute::IfName(text)) => name = text,
                Ok(LinkAttribute::Stats64(stats)) => counters = Self::of(&stats),
                _ => {}
            }
        }
        Ok((name, counters))
    }

    fn of(stats: &Stats64) -> Self {
        Self {
            rx_bytes: stats.rx_bytes,
            rx_packets: stats.rx_packets,
            rx_dropped: stats.rx_dropped,
            rx_errors: stats.rx_errors,
            tx_bytes: stats.tx_bytes,
            tx_packets: stats.tx_packets,
            tx_dropped: stats.tx_dropped,
            tx_errors: stats.tx_errors,
        }
    }
}

impl Port {
    fn decode(settings: &[InfoBridgePort]) -> Self {
        let mut port = Self::default();
        for setting in settings {
            match setting {
                InfoBridgePort::Isolated(isolated) => port.isolated = *isolated,
                InfoBridgePort::HairpinMode(hairpin) => port.hairpin = *hairpin,
                InfoBridgePort::State(state) => port.state = PortState::from_kernel(*state),
                _ => {}
            }
        }
        port
    }
}
