//! Rules: what they compare and what they do.

use std::net::IpAddr;
use std::ops::BitOr;

use super::element::Value;
use super::table::Verdict;

/// A rule: all comparisons must hold for the actions after them to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The chain it belongs to.
    pub chain: String,
    /// Comparisons and actions in order.
    pub statements: Vec<Statement>,
    /// A note for people, at most 250 bytes; empty for none.
    pub comment: String,
}

/// A comparison or an action of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Compares a field with a value.
    Compare {
        /// What is compared.
        field: Field,
        /// How.
        relation: Relation,
        /// What with.
        value: Value,
    },
    /// Compares some bits of a 32-bit field such as a mark.
    CompareBits {
        /// What is compared.
        field: Field,
        /// The bits that count.
        mask: u32,
        /// How.
        relation: Relation,
        /// What with.
        value: u32,
    },
    /// Compares the leading bits of an address field.
    Prefix {
        /// What is compared.
        field: Field,
        /// Whether the address must be inside.
        relation: Membership,
        /// The network.
        address: IpAddr,
        /// Its length in bits.
        length: u8,
    },
    /// Holds if the field has one of the values; at least one, all alike.
    AnyOf {
        /// What is compared.
        field: Field,
        /// What with.
        values: Vec<Value>,
    },
    /// Looks the fields up in a set.
    Lookup {
        /// The parts of the key.
        fields: Vec<Field>,
        /// Whether the key must be in the set.
        relation: Membership,
        /// The name of the set.
        set: String,
    },
    /// Does what a map of verdicts has for the fields.
    VerdictMap {
        /// The parts of the key.
        fields: Vec<Field>,
        /// The name of the map.
        map: String,
    },
    /// Holds if the flow is in one of the states.
    ConnectionState(ConnectionState),
    /// Holds if the flow has one of the properties.
    ConnectionStatus(ConnectionStatus),
    /// Changes the destination.
    Dnat(NatTarget),
    /// Changes the source.
    Snat(NatTarget),
    /// Changes the source to the address of the interface the packet leaves by.
    Masquerade(SourcePort),
    /// Changes the destination to this host, on that port.
    Redirect(u16),
    /// Sets the mark of the packet.
    SetMark(u32),
    /// Counts packets and bytes.
    Counter,
    /// Answers that the packet is not wanted, and drops it.
    Reject(RejectWith),
    /// Decides about the packet.
    Verdict(Verdict),
}

/// How a field is compared with a value; numbers in packets have an order,
/// marks and interface names only have equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// Less.
    Less,
    /// Less or the same.
    LessOrEqual,
    /// More.
    Greater,
    /// More or the same.
    GreaterOrEqual,
}

/// Whether something must be in a set or a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// It must.
    #[default]
    In,
    /// It must not.
    NotIn,
}

/// A part of a packet or something known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The name of the interface it came in by.
    IifName,
    /// The name of the interface it leaves by.
    OifName,
    /// The IPv4 source; a rule with it holds for IPv4 only.
    Ip4Saddr,
    /// The IPv4 destination; a rule with it holds for IPv4 only.
    Ip4Daddr,
    /// The IPv6 source; a rule with it holds for IPv6 only.
    Ip6Saddr,
    /// The IPv6 destination; a rule with it holds for IPv6 only.
    Ip6Daddr,
    /// The transport protocol, extension headers skipped.
    L4Proto,
    /// The source port; compare the protocol first.
    ThSport,
    /// The destination port; compare the protocol first.
    ThDport,
    /// The mark of the packet.
    Mark,
    /// The mark of the flow.
    ConnectionMark,
    /// The type of the destination according to the routes, one of
    /// `RTN_*` in `linux/rtnetlink.h`; see [`ADDRESS_TYPE_LOCAL`].
    DaddrType,
    /// The type of the source according to the routes, as for `DaddrType`.
    SaddrType,
}

/// An address of this host, as [`Field::DaddrType`] has it (`RTN_LOCAL`).
pub const ADDRESS_TYPE_LOCAL: u32 = 2;

/// A set of states of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionState(pub(super) u32);

impl ConnectionState {
    /// The packet fits no flow.
    pub const INVALID: Self = Self(1);
    /// Packets were seen in both directions.
    pub const ESTABLISHED: Self = Self(1 << 1);
    /// Another flow announced it.
    pub const RELATED: Self = Self(1 << 2);
    /// The first packet.
    pub const NEW: Self = Self(1 << 3);
    /// Flows are not tracked for it.
    pub const UNTRACKED: Self = Self(1 << 6);
}

impl BitOr for ConnectionState {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A set of properties of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionStatus(pub(super) u32);

impl ConnectionStatus {
    /// Its source is changed.
    pub const SNAT: Self = Self(1 << 4);
    /// Its destination is changed.
    pub const DNAT: Self = Self(1 << 5);
}

impl BitOr for ConnectionStatus {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What an address is changed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatTarget {
    /// This address; the port stays if there is none here.
    To(IpAddr, Option<u16>),
    /// What a map has for the fields. Packets that are not in the map, or of
    /// the other IP version, go on to the next rule.
    Map {
        /// The IP version of the addresses in the map.
        version: IpVersion,
        /// The parts of the key.
        fields: Vec<Field>,
        /// The name of the map.
        map: String,
        /// What the map's data are.
        data: NatData,
    },
}

/// What the data of a map for address translation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatData {
    /// An address; the port stays.
    Address,
    /// An address and a port.
    AddressAndPort,
}

/// A version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How the source port is chosen when many share an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourcePort {
    /// The original one if it is free.
    #[default]
    Keep,
    /// A random one.
    Random,
}

/// What a rejected packet is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RejectWith {
    /// ICMP or ICMPv6 port unreachable.
    #[default]
    PortUnreachable,
    /// ICMP or ICMPv6 administratively prohibited.
    AdminProhibited,
    /// A TCP reset; compare the protocol first.
    TcpReset,
}
