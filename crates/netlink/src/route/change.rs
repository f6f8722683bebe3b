//! Changing and deleting links.

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, BridgePortState, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
    LinkProtoInfoBridge,
};

use super::{Mac, Target, request};
use crate::Request;

/// Changes to one link, applied together; what is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// The link.
    pub target: Target,
    /// Whether it is up.
    pub up: Option<bool>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Index of the bridge to be a port of; zero for none.
    pub master: Option<u32>,
    /// Group number; zero is the kernel's default group.
    pub group: Option<u32>,
    /// A text that the link carries, at most 255 bytes; empty to remove it.
    pub alias: Option<String>,
    /// How the link-local IPv6 address is chosen.
    pub address_generation: Option<AddressGeneration>,
    /// IPv4 settings of this link, as under `net.ipv4.conf.<link>`.
    pub ipv4: Vec<(Ipv4Setting, u32)>,
}

/// How a link chooses its IPv6 link-local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressGeneration {
    /// From the hardware address.
    Eui64,
    /// Not at all.
    None,
    /// From a secret, always the same on the same network.
    StablePrivacy,
    /// At random.
    Random,
}

/// A setting of `net.ipv4.conf.<link>`; the values are those of `linux/ip.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Ipv4Setting {
    /// `proxy_arp`
    ProxyArp = 3,
    /// `rp_filter`
    ReversePathFilter = 8,
    /// `arp_announce`
    ArpAnnounce = 18,
    /// `arp_ignore`
    ArpIgnore = 19,
    /// `route_localnet`
    RouteLocalnet = 26,
}

impl LinkChange {
    /// Describes a change of nothing.
    pub fn new(target: impl Into<Target>) -> Self {
        Self {
            target: target.into(),
            up: None,
            mac: None,
            mtu: None,
            master: None,
            group: None,
            alias: None,
            address_generation: None,
            ipv4: Vec::new(),
        }
    }

    /// Returns the request that applies it; refused with `ENODEV` if there is no such link.
    pub fn set(&self) -> Request {
        request(libc::RTM_SETLINK, 0, &self.message())
    }

    fn message(&self) -> LinkMessage {
        let mut message = self.target.message();
        if let Some(up) = self.up {
            message.header.change_mask = LinkFlags::Up;
            message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        }
        let optional = [
            self.mac.map(|mac| LinkAttribute::Address(mac.to_vec())),
            self.mtu.map(LinkAttribute::Mtu),
            self.master.map(LinkAttribute::Controller),
            self.group.map(LinkAttribute::Group),
            self.alias.clone().map(LinkAttribute::IfAlias),
            self.family_settings(),
        ];
        message.attributes.extend(optional.into_iter().flatten());
        message
    }

    fn family_settings(&self) -> Option<LinkAttribute> {
        let mut families = Vec::new();
        if !self.ipv4.is_empty() {
            families.push(AfSpecUnspec::Inet(vec![ipv4_settings(&self.ipv4)]));
        }
        if let Some(generation) = self.address_generation {
            let mode = AfSpecInet6::AddrGenMode(generation.into());
            families.push(AfSpecUnspec::Inet6(vec![mode]));
        }
        (!families.is_empty()).then_some(LinkAttribute::AfSpecUnspec(families))
    }
}

/// Encodes `IFLA_INET_CONF`. The library's own encoder leaves out zeros, which switch off.
fn ipv4_settings(settings: &[(Ipv4Setting, u32)]) -> AfSpecInet {
    const IFLA_INET_CONF: u16 = 1;
    const ATTRIBUTE_LENGTH: u16 = 8;
    let mut nested = Vec::with_capacity(settings.len() * usize::from(ATTRIBUTE_LENGTH));
    for (setting, value) in settings {
        nested.extend_from_slice(&ATTRIBUTE_LENGTH.to_ne_bytes());
        nested.extend_from_slice(&(*setting as u16).to_ne_bytes());
        nested.extend_from_slice(&value.to_ne_bytes());
    }
    AfSpecInet::Other(DefaultNla::new(IFLA_INET_CONF | NLA_F_NESTED, nested))
}

impl From<AddressGeneration> for In6AddrGenMode {
    fn from(generation: AddressGeneration) -> Self {
        match generation {
            AddressGeneration::Eui64 => Self::Eui64,
            AddressGeneration::None => Self::None,
            AddressGeneration::StablePrivacy => Self::StablePrivacy,
            AddressGeneration::Random => Self::Random,
        }
    }
}

/// Changes to a link's behaviour as a bridge port; what is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// Index of the port: the kernel takes no name here.
    pub link: u32,
    /// Whether it may speak only to ports that are not isolated.
    pub isolated: Option<bool>,
    /// Whether frames may leave by the port they came in.
    pub hairpin: Option<bool>,
    /// Whether it forwards. Refused with `EBUSY` while the spanning tree protocol decides. A
    /// change of the link's carrier or settings lets a disabled port forward again.
    pub state: Option<PortState>,
}

/// The state of a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// Neither receives nor sends.
    Disabled,
    /// Listens for the spanning tree protocol.
    Listening,
    /// Learns addresses, does not forward yet.
    Learning,
    /// Forwards.
    Forwarding,
    /// Blocked by the spanning tree protocol.
    Blocking,
}

impl PortState {
    pub(super) fn from_kernel(state: BridgePortState) -> Option<Self> {
        Some(match state {
            BridgePortState::Disabled => Self::Disabled,
            BridgePortState::Listening => Self::Listening,
            BridgePortState::Learning => Self::Learning,
            BridgePortState::Forwarding => Self::Forwarding,
            BridgePortState::Blocking => Self::Blocking,
            _ => return None,
        })
    }
}

impl From<PortState> for BridgePortState {
    fn from(state: PortState) -> Self {
        match state {
            PortState::Disabled => Self::Disabled,
            PortState::Listening => Self::Listening,
            PortState::Learning => Self::Learning,
            PortState::Forwarding => Self::Forwarding,
            PortState::Blocking => Self::Blocking,
        }
    }
}

impl BridgePort {
    /// Describes a change of nothing.
    pub fn new(link: u32) -> Self {
        Self { link, isolated: None, hairpin: None, state: None }
    }

    /// Returns the request that applies it; refused if the link is no bridge port.
    ///
    /// `RTM_NEWLINK` with port data could do the same, but it announces a change of the link,
    /// upon which the bridge lets a disabled port forward again.
    pub fn set(&self) -> Request {
        request(libc::RTM_SETLINK, 0, &self.message())
    }

    fn message(&self) -> LinkMessage {
        // `IFLA_BRPORT_*` of linux/if_link.h; each is one byte.
        const STATE: u16 = 1;
        const HAIRPIN: u16 = 4;
        const ISOLATED: u16 = 33;
        let settings = [
            self.state.map(|state| (STATE, BridgePortState::from(state).into())),
            self.hairpin.map(|on| (HAIRPIN, u8::from(on))),
            self.isolated.map(|on| (ISOLATED, u8::from(on))),
        ]
        .into_iter()
        .flatten()
        .map(|(kind, value)| LinkProtoInfoBridge::Other(DefaultNla::new(kind, vec![value])))
        .collect();
        let mut message = Target::Index(self.link).message();
        message.header.interface_family = AddressFamily::Bridge;
        message.attributes.push(LinkAttribute::ProtoInfoBridge(settings));
        message
    }
}

/// Returns the request that gives a link another name.
pub fn rename_link(index: u32, name: &str) -> Request {
    let mut message = Target::Index(index).message();
    let name = LinkAttribute::IfName(name.to_owned());
    message.attributes.push(name);
    request(libc::RTM_SETLINK, 0, &message)
}

/// Returns the request that deletes a link, and with it its peer.
pub fn delete_link(target: impl Into<Target>) -> Request {
    request(libc::RTM_DELLINK, 0, &target.into().message())
}

/// Returns the request that deletes every link of a group at once.
///
/// Refused with `ENODEV` if the group is empty, and with `EPERM` for the default group, zero.
pub fn delete_group(group: u32) -> Request {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::Group(group));
    request(libc::RTM_DELLINK, 0, &message)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Parseable;

    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let change = LinkChange {
            up: Some(false),
            mac: Some([2, 0, 0, 0, 0, 3]),
            mtu: Some(9000),
            master: Some(0),
            group: Some(1),
            alias: Some("text".into()),
            address_generation: Some(AddressGeneration::None),
            ..LinkChange::new("link0")
        };
        let port = BridgePort {
            isolated: Some(true),
            hairpin: Some(false),
            state: Some(PortState::Disabled),
            ..BridgePort::new(5)
        };
        for (request, message) in [(change.set(), change.message()), (port.set(), port.message())] {
            let decoded = LinkMessage::parse(request.payload.as_slice());
            assert_eq!(decoded.expect("decodes"), message);
        }
    }

    #[test]
    fn zeros_are_sent_too() {
        let off = [(Ipv4Setting::RouteLocalnet, 0)];
        let AfSpecInet::Other(nla) = ipv4_settings(&off) else {
            unreachable!("always encoded raw");
        };
        use netlink_packet_core::Nla;
        let mut value = vec![0xff; nla.value_len()];
        nla.emit_value(&mut value);
        assert_eq!(value, [8, 0, 26, 0, 0, 0, 0, 0]);
    }
}
