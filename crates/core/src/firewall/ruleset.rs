//! The static nftables ruleset: every chain and rule there ever is. Its text is what `nft -f` takes.
//!
//! ```text
//! packet for a container        packet from a container         packet to a published port
//!   prerouting: protect           forward: from, then to          prerouting/output: publish
//!   forward: to                   postrouting: masquerade         forward: to (open)
//! ```
//!
//! Nothing here accepts on behalf of others: `accept` ends this table's chain only, and what the host's own rules drop stays
//! dropped.

use std::fmt;

use sha2::{Digest, Sha256};

use Field::{IifName, Ip4Daddr, Ip4Saddr, Ip6Daddr, Ip6Saddr, L4Proto, OifName, ThDport};
use Statement::{
    Accept, Counter, CtDnat, CtEstablished, Dnat, Drop, FibLocal, Goto, In, Is, Masquerade, PortProtocols, Return,
    Snat, Vmap,
};

use crate::objects;

/// The table's name, in family `inet`.
pub const TABLE: &str = "pontoon";

/// What a key or a comparison reads from a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Name of the interface it came in by.
    IifName,
    /// Name of the interface it leaves by.
    OifName,
    /// IPv4 source.
    Ip4Saddr,
    /// IPv4 destination.
    Ip4Daddr,
    /// IPv6 source.
    Ip6Saddr,
    /// IPv6 destination.
    Ip6Daddr,
    /// Transport protocol.
    L4Proto,
    /// Destination port.
    ThDport,
}

/// A constant that a field is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// An interface name.
    Interface(&'static str),
    /// A prefix of the field's family.
    Prefix(&'static str),
    /// A transport protocol, by its number and nft's name of it.
    Protocol(u8, &'static str),
}

/// One step of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The connection is known, or belongs to a known one.
    CtEstablished,
    /// The connection's destination was translated.
    CtDnat,
    /// The transport is one that ports can be published for.
    PortProtocols,
    /// The fields are in a set, or not.
    In {
        /// The fields, concatenated.
        key: &'static [Field],
        /// The set.
        set: &'static str,
        /// Negated.
        not: bool,
    },
    /// The field equals a constant, or not.
    Is {
        /// The field.
        field: Field,
        /// The constant.
        value: Constant,
        /// Negated.
        not: bool,
    },
    /// The destination is an address of the host, or not.
    FibLocal {
        /// Negated.
        not: bool,
    },
    /// Continues where the map says.
    Vmap {
        /// The field.
        key: Field,
        /// The verdict map.
        map: &'static str,
    },
    /// Translates the destination to what the map says; no entry, no translation.
    Dnat {
        /// IPv6 rather than IPv4.
        v6: bool,
        /// The fields, concatenated.
        key: &'static [Field],
        /// The map.
        map: &'static str,
        /// Whether the map gives a port too.
        port: bool,
    },
    /// Translates the source to what the map says; no entry, no translation.
    Snat {
        /// IPv6 rather than IPv4.
        v6: bool,
        /// The fields, concatenated.
        key: &'static [Field],
        /// The map.
        map: &'static str,
    },
    /// Leaves under the outgoing interface's address.
    Masquerade,
    /// Counts packets and bytes.
    Counter,
    /// Ends this chain in favour of the packet.
    Accept,
    /// Ends the packet.
    Drop,
    /// Returns to the calling chain.
    Return,
    /// Continues in another chain and does not come back.
    Goto(&'static str),
}

/// What a set's keys or a map's values are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `ipv4_addr`
    Ipv4,
    /// `ipv6_addr`
    Ipv6,
    /// `inet_proto`
    Proto,
    /// `inet_service`
    Port,
    /// `ifname`
    Interface,
}

/// What a set maps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Nothing: it is a set.
    None,
    /// A verdict.
    Verdict,
    /// Values, concatenated.
    Values(&'static [Type]),
}

/// A set or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: &'static str,
    /// Its key, concatenated.
    pub key: &'static [Type],
    /// What it maps to.
    pub data: Data,
    /// Whether keys are intervals.
    pub interval: bool,
}

/// Where a base chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// `prerouting`, `forward`, `output` or `postrouting`.
    pub hook: &'static str,
    /// The order among the chains of a hook.
    pub priority: i32,
}

/// A chain and its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Where it is called, if the kernel calls it; its policy is `accept`.
    pub hook: Option<Hook>,
    /// Its rules.
    pub rules: &'static [&'static [Statement]],
}

const fn set(name: &'static str, key: &'static [Type]) -> Set {
    Set { name, key, data: Data::None, interval: false }
}

const fn intervals(name: &'static str, key: &'static [Type]) -> Set {
    Set { name, key, data: Data::None, interval: true }
}

const fn map(name: &'static str, key: &'static [Type], values: &'static [Type]) -> Set {
    Set { name, key, data: Data::Values(values), interval: false }
}

const fn interval_map(name: &'static str, key: &'static [Type], values: &'static [Type]) -> Set {
    Set { name, key, data: Data::Values(values), interval: true }
}

const fn verdicts(name: &'static str) -> Set {
    Set { name, key: &[Type::Interface], data: Data::Verdict, interval: false }
}

/// Every set and map.
pub const SETS: &[Set] = &[
    set("bridges", &[Type::Interface]),
    set("same_bridge", &[Type::Interface, Type::Interface]),
    verdicts("from"),
    verdicts("to"),
    intervals("subnets4", &[Type::Ipv4]),
    intervals("subnets6", &[Type::Ipv6]),
    intervals("on_link4", &[Type::Ipv4, Type::Interface]),
    intervals("on_link6", &[Type::Ipv6, Type::Interface]),
    intervals("trusted4", &[Type::Ipv4, Type::Interface]),
    intervals("trusted6", &[Type::Ipv6, Type::Interface]),
    intervals("masquerade4", &[Type::Ipv4]),
    intervals("masquerade6", &[Type::Ipv6]),
    interval_map("snat4", &[Type::Ipv4], &[Type::Ipv4]),
    interval_map("snat6", &[Type::Ipv6], &[Type::Ipv6]),
    intervals("routed4", &[Type::Ipv4]),
    intervals("routed6", &[Type::Ipv6]),
    intervals("unprotected4", &[Type::Ipv4]),
    intervals("unprotected6", &[Type::Ipv6]),
    set("open4", &[Type::Ipv4, Type::Proto, Type::Port]),
    set("open6", &[Type::Ipv6, Type::Proto, Type::Port]),
    intervals("open_range4", &[Type::Ipv4, Type::Proto, Type::Port]),
    intervals("open_range6", &[Type::Ipv6, Type::Proto, Type::Port]),
    map("publish4", &[Type::Ipv4, Type::Proto, Type::Port], &[Type::Ipv4, Type::Port]),
    map("publish6", &[Type::Ipv6, Type::Proto, Type::Port], &[Type::Ipv6, Type::Port]),
    map("publish_any4", &[Type::Proto, Type::Port], &[Type::Ipv4, Type::Port]),
    map("publish_any6", &[Type::Proto, Type::Port], &[Type::Ipv6, Type::Port]),
    interval_map("publish_range4", &[Type::Ipv4, Type::Proto, Type::Port], &[Type::Ipv4]),
    interval_map("publish_range6", &[Type::Ipv6, Type::Proto, Type::Port], &[Type::Ipv6]),
    interval_map("publish_range_any4", &[Type::Proto, Type::Port], &[Type::Ipv4]),
    interval_map("publish_range_any6", &[Type::Proto, Type::Port], &[Type::Ipv6]),
];

const fn within(key: &'static [Field], set: &'static str) -> Statement {
    In { key, set, not: false }
}

const fn without(key: &'static [Field], set: &'static str) -> Statement {
    In { key, set, not: true }
}

const SAME: Statement = within(&[IifName, OifName], "same_bridge");
const NOT_FROM_SUBNET4: Statement = without(&[Ip4Daddr, IifName], "on_link4");
const NOT_FROM_SUBNET6: Statement = without(&[Ip6Daddr, IifName], "on_link6");
const ICMP: Statement = Is { field: L4Proto, value: Constant::Protocol(1, "icmp"), not: false };
const ICMP6: Statement = Is { field: L4Proto, value: Constant::Protocol(58, "ipv6-icmp"), not: false };
const TO_LOOPBACK: Statement = Is { field: Ip4Daddr, value: Constant::Prefix("127.0.0.0/8"), not: false };

/// Every chain, callees before callers.
pub const CHAINS: &[Chain] = &[
    Chain { name: "from_internal", hook: None, rules: &[&[SAME, Accept], &[Counter, Drop]] },
    Chain { name: "to_internal", hook: None, rules: &[&[Counter, Drop]] },
    Chain {
        name: "to_nat",
        hook: None,
        rules: &[
            &[CtEstablished, Accept],
            &[SAME, Accept],
            &[PortProtocols, within(&[Ip4Daddr, L4Proto, ThDport], "open4"), Accept],
            &[PortProtocols, within(&[Ip6Daddr, L4Proto, ThDport], "open6"), Accept],
            &[PortProtocols, within(&[Ip4Daddr, L4Proto, ThDport], "open_range4"), Accept],
            &[PortProtocols, within(&[Ip6Daddr, L4Proto, ThDport], "open_range6"), Accept],
            &[ICMP, within(&[Ip4Daddr], "routed4"), NOT_FROM_SUBNET4, Accept],
            &[ICMP6, within(&[Ip6Daddr], "routed6"), NOT_FROM_SUBNET6, Accept],
            &[within(&[Ip4Daddr], "unprotected4"), NOT_FROM_SUBNET4, Accept],
            &[within(&[Ip6Daddr], "unprotected6"), NOT_FROM_SUBNET6, Accept],
            &[Counter, Drop],
        ],
    },
    Chain {
        name: "publish",
        hook: None,
        rules: &[
            &[PortProtocols, Dnat { v6: false, key: &[Ip4Daddr, L4Proto, ThDport], map: "publish4", port: true }],
            &[
                PortProtocols,
                Dnat { v6: false, key: &[Ip4Daddr, L4Proto, ThDport], map: "publish_range4", port: false },
            ],
            &[PortProtocols, Dnat { v6: false, key: &[L4Proto, ThDport], map: "publish_any4", port: true }],
            &[PortProtocols, Dnat { v6: false, key: &[L4Proto, ThDport], map: "publish_range_any4", port: false }],
            // A translated link-local source could not be answered.
            &[Is { field: Ip6Saddr, value: Constant::Prefix("fe80::/10"), not: false }, Return],
            &[PortProtocols, Dnat { v6: true, key: &[Ip6Daddr, L4Proto, ThDport], map: "publish6", port: true }],
            &[PortProtocols, Dnat { v6: true, key: &[Ip6Daddr, L4Proto, ThDport], map: "publish_range6", port: false }],
            &[PortProtocols, Dnat { v6: true, key: &[L4Proto, ThDport], map: "publish_any6", port: true }],
            &[PortProtocols, Dnat { v6: true, key: &[L4Proto, ThDport], map: "publish_range_any6", port: false }],
        ],
    },
    // After connection tracking, so that replies to networks that do not masquerade pass; before translation, so that the
    // destination is still the one that was asked for.
    Chain {
        name: "protect",
        hook: Some(Hook { kind: "filter", hook: "prerouting", priority: -150 }),
        rules: &[
            &[CtEstablished, Accept],
            // route_localnet lets a bridge's ports address the host's loopback: they shall not.
            &[within(&[IifName], "bridges"), TO_LOOPBACK, Counter, Drop],
            &[
                within(&[Ip4Daddr], "subnets4"),
                NOT_FROM_SUBNET4,
                without(&[Ip4Daddr, IifName], "trusted4"),
                FibLocal { not: true },
                Counter,
                Drop,
            ],
            &[
                within(&[Ip6Daddr], "subnets6"),
                NOT_FROM_SUBNET6,
                without(&[Ip6Daddr, IifName], "trusted6"),
                FibLocal { not: true },
                Counter,
                Drop,
            ],
        ],
    },
    Chain {
        name: "prerouting",
        hook: Some(Hook { kind: "nat", hook: "prerouting", priority: -100 }),
        rules: &[
            // A port published on a loopback address is for the host alone.
            &[Is { field: IifName, value: Constant::Interface("lo"), not: true }, TO_LOOPBACK, Return],
            &[FibLocal { not: false }, Goto("publish")],
        ],
    },
    Chain {
        name: "output",
        hook: Some(Hook { kind: "nat", hook: "output", priority: -100 }),
        rules: &[&[FibLocal { not: false }, Goto("publish")]],
    },
    Chain {
        name: "forward",
        hook: Some(Hook { kind: "filter", hook: "forward", priority: 0 }),
        rules: &[&[Vmap { key: IifName, map: "from" }], &[Vmap { key: OifName, map: "to" }]],
    },
    Chain {
        name: "postrouting",
        hook: Some(Hook { kind: "nat", hook: "postrouting", priority: 100 }),
        rules: &[
            &[
                Is { field: Ip4Saddr, value: Constant::Prefix("127.0.0.0/8"), not: false },
                within(&[OifName], "bridges"),
                Masquerade,
            ],
            &[within(&[Ip4Saddr], "masquerade4"), without(&[Ip4Saddr, OifName], "on_link4"), Masquerade],
            &[within(&[Ip6Saddr], "masquerade6"), without(&[Ip6Saddr, OifName], "on_link6"), Masquerade],
            &[without(&[Ip4Saddr, OifName], "on_link4"), Snat { v6: false, key: &[Ip4Saddr], map: "snat4" }],
            &[without(&[Ip6Saddr, OifName], "on_link6"), Snat { v6: true, key: &[Ip6Saddr], map: "snat6" }],
            // A published port reached from its own bridge: the answer must come back through the host.
            &[CtDnat, within(&[Ip4Saddr, OifName], "on_link4"), Masquerade],
            &[CtDnat, within(&[Ip6Saddr, OifName], "on_link6"), Masquerade],
        ],
    },
];

/// Returns the ruleset as an object.
pub fn ruleset() -> objects::Ruleset {
    let digest = Sha256::digest(text());
    let fingerprint = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    objects::Ruleset { table: TABLE.to_owned(), fingerprint }
}

/// Returns the ruleset in the words of nft, ready for `nft -f`.
pub fn text() -> String {
    let mut text = format!("table inet {TABLE} {{\n");
    for set in SETS {
        text += &format!("\t{set}\n");
    }
    for chain in CHAINS {
        text += &format!("\tchain {} {{\n", chain.name);
        if let Some(hook) = chain.hook {
            text += &format!("\t\ttype {} hook {} priority {}; policy accept;\n", hook.kind, hook.hook, hook.priority);
        }
        for rule in chain.rules {
            text += &format!("\t\t{}\n", rule_text(rule));
        }
        text += "\t}\n";
    }
    text + "}\n"
}

/// Returns one rule in the words of nft.
pub fn rule_text(rule: &[Statement]) -> String {
    rule.iter().map(Statement::to_string).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |types: &[Type]| types.iter().map(|t| t.name()).collect::<Vec<_>>().join(" . ");
        let kind = if self.data == Data::None { "set" } else { "map" };
        write!(f, "{kind} {} {{ type {}", self.name, names(self.key))?;
        match self.data {
            Data::None => {}
            Data::Verdict => f.write_str(" : verdict")?,
            Data::Values(types) => write!(f, " : {}", names(types))?,
        }
        f.write_str(if self.interval { "; flags interval; }" } else { "; }" })
    }
}

impl Type {
    /// Returns nft's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Proto => "inet_proto",
            Self::Port => "inet_service",
            Self::Interface => "ifname",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IifName => "iifname",
            OifName => "oifname",
            Ip4Saddr => "ip saddr",
            Ip4Daddr => "ip daddr",
            Ip6Saddr => "ip6 saddr",
            Ip6Daddr => "ip6 daddr",
            L4Proto => "meta l4proto",
            ThDport => "th dport",
        })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |key: &[Field]| key.iter().map(Field::to_string).collect::<Vec<_>>().join(" . ");
        let sign = |not: &bool| if *not { "!= " } else { "" };
        match self {
            CtEstablished => f.write_str("ct state established,related"),
            CtDnat => f.write_str("ct status dnat"),
            PortProtocols => f.write_str("meta l4proto { tcp, udp }"),
            In { key, set, not } => write!(f, "{} {}@{set}", join(key), sign(not)),
            // Without quotation marks: this text is also the rule's comment, where nft prints but cannot read them.
            Is { field, value: Constant::Interface(name), not } => write!(f, "{field} {}{name}", sign(not)),
            Is { field, value: Constant::Prefix(text) | Constant::Protocol(_, text), not } => {
                write!(f, "{field} {}{text}", sign(not))
            }
            FibLocal { not } => write!(f, "fib daddr type {}local", sign(not)),
            Vmap { key, map } => write!(f, "{key} vmap @{map}"),
            Dnat { v6, key, map, .. } => {
                write!(f, "dnat {} to {} map @{map}", if *v6 { "ip6" } else { "ip" }, join(key))
            }
            Snat { v6, key, map } => {
                write!(f, "snat {} to {} map @{map}", if *v6 { "ip6" } else { "ip" }, join(key))
            }
            Masquerade => f.write_str("masquerade"),
            Counter => f.write_str("counter"),
            Accept => f.write_str("accept"),
            Drop => f.write_str("drop"),
            Return => f.write_str("return"),
            Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}
