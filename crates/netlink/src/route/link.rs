//! Making links: one message makes a bridge, or a veth pair across two namespaces.

use std::os::fd::RawFd;

use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::{CREATE, Mac, request};
use crate::Request;

/// A link to be made.
///
/// The kernel ignores the settings of [`LinkChange`](super::LinkChange) that are absent here
/// (alias, IPv4 settings, address generation, bridge port flags) in the message that makes a
/// link: send a change in the same batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// Name in the namespace of the socket.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Index to take; the kernel refuses one in use with `EBUSY`.
    pub index: Option<u32>,
    /// Hardware address; random if absent.
    pub mac: Option<Mac>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Index of the bridge that it becomes a port of.
    pub master: Option<u32>,
    /// Group number, for [`delete_group`](super::delete_group).
    pub group: Option<u32>,
    /// Length of the transmit queue, in packets.
    pub transmit_queue: Option<u32>,
    /// Whether it is set up at once.
    pub up: bool,
}

/// The kind of a new link, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bridge.
    Bridge(Bridge),
    /// One end of a pair; the other end is described here.
    Veth(Peer),
    /// An interface that drops what it is given.
    Dummy,
    /// An interface that gives what was redirected to it back to where it came from, after its queue: an intermediate
    /// functional block.
    Ifb,
}

/// The settings of a bridge; absent ones keep the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// How long a port listens before it forwards, in hundredths of a second.
    pub forward_delay: Option<u32>,
    /// Whether the spanning tree protocol runs.
    pub spanning_tree: Option<bool>,
    /// Whether ports belong to VLANs.
    pub vlan_filtering: Option<bool>,
    /// Whether multicast goes only where it was asked for.
    pub multicast_snooping: Option<bool>,
}

/// The other end of a veth pair. It is always made down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name in its namespace.
    pub name: String,
    /// Index to take. The kernel honours it only if the new link's own index is given too.
    pub index: Option<u32>,
    /// Hardware address; random if absent.
    pub mac: Option<Mac>,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Descriptor of the namespace to make it in, open until the request was sent; the namespace
    /// of the socket if absent.
    pub namespace: Option<RawFd>,
}

impl NewLink {
    /// Describes a link that is down and otherwise as the kernel makes it.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            index: None,
            mac: None,
            mtu: None,
            master: None,
            group: None,
            transmit_queue: None,
            up: false,
        }
    }

    /// Returns the request that makes it; refused with `EEXIST` if the name is taken.
    pub fn create(&self) -> Request {
        request(libc::RTM_NEWLINK, CREATE, &self.message())
    }

    fn message(&self) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = self.index.unwrap_or(0);
        if self.up {
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
        }
        message.attributes = common(&self.name, self.mac, self.mtu);
        let optional = [
            self.master.map(LinkAttribute::Controller),
            self.group.map(LinkAttribute::Group),
            self.transmit_queue.map(LinkAttribute::TxQueueLen),
        ];
        message.attributes.extend(optional.into_iter().flatten());
        message.attributes.push(LinkAttribute::LinkInfo(self.kind.info()));
        message
    }
}

impl Kind {
    fn info(&self) -> Vec<LinkInfo> {
        match self {
            Self::Bridge(bridge) => {
                vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(bridge.attributes()))]
            }
            Self::Veth(peer) => {
                vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer.message())))]
            }
            Self::Dummy => vec![LinkInfo::Kind(InfoKind::Dummy)],
            Self::Ifb => vec![LinkInfo::Kind(InfoKind::Ifb)],
        }
    }
}

impl Bridge {
    fn attributes(&self) -> Vec<InfoBridge> {
        let spanning_tree = |on| match on {
            true => BridgeStpState::KernelStp,
            false => BridgeStpState::Disabled,
        };
        [
            self.forward_delay.map(InfoBridge::ForwardDelay),
            self.spanning_tree.map(|on| InfoBridge::StpState(spanning_tree(on))),
            self.vlan_filtering.map(InfoBridge::VlanFiltering),
            self.multicast_snooping.map(InfoBridge::MulticastSnooping),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Peer {
    /// Describes a peer in the namespace of the socket.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), index: None, mac: None, mtu: None, namespace: None }
    }

    fn message(&self) -> LinkMessage {
        let mut message = LinkMessage::default();
        // No flags: the kernel refuses a peer that is to be up before it is registered.
        message.header.index = self.index.unwrap_or(0);
        message.attributes = common(&self.name, self.mac, self.mtu);
        message.attributes.extend(self.namespace.map(LinkAttribute::NetNsFd));
        message
    }
}

fn common(name: &str, mac: Option<Mac>, mtu: Option<u32>) -> Vec<LinkAttribute> {
    let mut attributes = vec![LinkAttribute::IfName(name.to_owned())];
    attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    attributes.extend(mtu.map(LinkAttribute::Mtu));
    attributes
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Parseable;
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let veth = NewLink {
            index: Some(7),
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: Some(1400),
            master: Some(3),
            group: Some(9),
            transmit_queue: Some(0),
            up: true,
            ..NewLink::new(
                "host0",
                Kind::Veth(Peer {
                    index: Some(8),
                    mac: Some([2, 0, 0, 0, 0, 2]),
                    mtu: Some(1400),
                    namespace: Some(5),
                    ..Peer::new("eth0")
                }),
            )
        };
        let bridge = NewLink::new(
            "bridge0",
            Kind::Bridge(Bridge {
                forward_delay: Some(0),
                spanning_tree: Some(false),
                vlan_filtering: Some(false),
                multicast_snooping: Some(true),
            }),
        );
        for link in [veth, bridge, NewLink::new("dummy0", Kind::Dummy), NewLink::new("ifb0", Kind::Ifb)] {
            let request = link.create();
            let decoded = LinkMessage::parse(request.payload.as_slice());
            assert_eq!(decoded.expect("decodes"), link.message());
        }
    }
}
