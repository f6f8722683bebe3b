//! Where the fields of a packet are.

use std::net::IpAddr;

use crate::nft::set::DataType;
use crate::nft::statement::{Field, IpVersion};
use crate::nft::table::Family;

const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const META_PROTOCOL: u32 = 1;
const META_NFPROTO: u32 = 15;
const ETHERTYPE_IP4: u16 = 0x0800;
const ETHERTYPE_IP6: u16 = 0x86dd;

/// What the kernel loads a field from.
pub(super) enum Source {
    /// What is known about the packet, by the number of the key.
    Meta(u32),
    /// What is known about its flow, by the number of the key.
    Connection(u32),
    /// What the routes say about an address; the flags say which.
    Fib {
        /// `NFTA_FIB_F_*`.
        flags: u32,
    },
    /// The packet itself.
    Payload {
        /// The header that the offset counts from.
        base: u32,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
    },
}

/// A network protocol that a field is part of.
pub(super) type NetworkLayer = IpVersion;

impl IpVersion {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
    pub(super) fn family_number(self) -> u32 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    /// How many 4-byte words an address takes.
    pub(super) fn address_words(self) -> u32 {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }

    /// The meta key and the value that say that a packet is of this version,
    /// or nothing in families where no other packets are.
    pub(super) fn check(self, family: Family) -> Option<(u32, Vec<u8>)> {
        match family {
            Family::Inet => Some((
                META_NFPROTO,
                vec![match self {
                    Self::V4 => 2,
                    Self::V6 => 10,
                }],
            )),
            Family::Bridge | Family::Netdev => {
                let ethertype = match self {
                    Self::V4 => ETHERTYPE_IP4,
                    Self::V6 => ETHERTYPE_IP6,
                };
                Some((META_PROTOCOL, ethertype.to_be_bytes().to_vec()))
            }
            Family::Ip | Family::Ip6 | Family::Arp => None,
        }
    }
}

impl Field {
    /// The type of the field in a set.
    pub(in crate::nft) fn data_type(self) -> DataType {
        match self {
            Self::IifName | Self::OifName => DataType::IfName,
            Self::Ip4Saddr | Self::Ip4Daddr => DataType::Ipv4Addr,
            Self::Ip6Saddr | Self::Ip6Daddr => DataType::Ipv6Addr,
            Self::L4Proto => DataType::InetProto,
            Self::ThSport | Self::ThDport => DataType::InetService,
            Self::Mark | Self::ConnectionMark => DataType::Mark,
            Self::DaddrType | Self::SaddrType => DataType::FibAddressType,
        }
    }

    /// The network protocol that the field belongs to.
    pub(super) fn layer(self) -> Option<NetworkLayer> {
        match self {
            Self::Ip4Saddr | Self::Ip4Daddr => Some(IpVersion::V4),
            Self::Ip6Saddr | Self::Ip6Daddr => Some(IpVersion::V6),
            _ => None,
        }
    }

    pub(super) fn source(self) -> Source {
        let network = |offset, length| Source::Payload { base: NETWORK_HEADER, offset, length };
        let transport = |offset| Source::Payload { base: TRANSPORT_HEADER, offset, length: 2 };
        match self {
            Self::Mark => Source::Meta(3),
            Self::IifName => Source::Meta(6),
            Self::OifName => Source::Meta(7),
            Self::L4Proto => Source::Meta(16),
            Self::ConnectionMark => Source::Connection(3),
            Self::SaddrType => Source::Fib { flags: 1 },
            Self::DaddrType => Source::Fib { flags: 2 },
            Self::Ip4Saddr => network(12, 4),
            Self::Ip4Daddr => network(16, 4),
            Self::Ip6Saddr => network(8, 16),
            Self::Ip6Daddr => network(24, 16),
            Self::ThSport => transport(0),
            Self::ThDport => transport(2),
        }
    }
}
