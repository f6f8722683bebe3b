//! Elements, rules and a small table for the tests.

use std::net::{IpAddr, Ipv4Addr};

use pontoon_netlink::nft::{
    self, Chain, Change, DataType, Element, Field, IpVersion, MapData, Membership, NatData, NatTarget, Ownership, Part,
    RejectWith, Relation, Rule, Set, SourcePort, Statement, Value, Verdict,
};

use super::ruleset::{TCP, UDP};

pub(crate) fn ipv4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// One element of every shape: the set, the element, and `nft`'s words for it.
pub(crate) fn samples() -> Vec<(&'static str, Element, &'static str)> {
    let v4 = || Part::address(ipv4(2));
    let v6 = || Part::address("fd00::2".parse::<IpAddr>().unwrap());
    let net4 = || Part::prefix(ipv4(0), 24);
    let net6 = || Part::prefix("fd00::".parse::<IpAddr>().unwrap(), 64);
    let top6 = || Part::prefix("ff00::".parse::<IpAddr>().unwrap(), 8);
    let name = Part::interface;
    let (tcp, udp) = (|| Part::protocol(TCP), || Part::protocol(UDP));
    let to4 = |element: Element| element.with_values([ipv4(9).into(), Value::Port(8080)]);
    let fd9 = || Value::from("fd00::9".parse::<IpAddr>().unwrap());
    let chain = || Verdict::Goto("to_nat".to_owned());
    vec![
        ("same_bridge", Element::new([name("br0"), name("br1")]), r#""br0" . "br1""#),
        ("from", Element::new([name("br0")]).with_verdict(chain()), r#""br0" : goto to_nat"#),
        ("to", Element::new([name("br0")]).with_verdict(Verdict::Drop), r#""br0" : drop"#),
        (
            "to",
            Element::new([name("a-name-of-15-xx")]).with_verdict(Verdict::Jump("to_nat".into())),
            r#""a-name-of-15-xx" : jump to_nat"#,
        ),
        ("subnets4", Element::new([net4()]), "10.0.0.0/24"),
        ("subnets4", Element::new([Part::address(Ipv4Addr::BROADCAST)]), "255.255.255.255"),
        ("subnets4", Element::new([Part::address(Ipv4Addr::UNSPECIFIED)]), "0.0.0.0"),
        ("subnets6", Element::new([net6()]), "fd00::/64"),
        ("subnets6", Element::new([top6()]), "ff00::/8"),
        ("on_link4", Element::new([net4(), name("br0")]), r#"10.0.0.0/24 . "br0""#),
        ("on_link4", Element::new([Part::address(ipv4(200)), name("br1")]), r#"10.0.0.200 . "br1""#),
        ("on_link6", Element::new([net6(), name("br0")]), r#"fd00::/64 . "br0""#),
        ("masquerade4", Element::new([v4()]), "10.0.0.2"),
        ("masquerade4", Element::new([Part::address(ipv4(3))]), "10.0.0.3"),
        ("masquerade6", Element::new([v6()]), "fd00::2"),
        ("bridges", Element::new([name("br0")]), r#""br0""#),
        ("open4", Element::new([v4(), tcp(), Part::port(80)]), "10.0.0.2 . tcp . 80"),
        ("open6", Element::new([v6(), udp(), Part::port(53)]), "fd00::2 . udp . 53"),
        ("open_range4", Element::new([v4(), tcp(), Part::ports(80..=90)]), "10.0.0.2 . tcp . 80-90"),
        ("open_range6", Element::new([v6(), tcp(), Part::ports(0..=65535)]), "fd00::2 . tcp . 0-65535"),
        ("publish_any4", to4(Element::new([tcp(), Part::port(80)])), "tcp . 80 : 10.0.0.9 . 8080"),
        (
            "publish_any6",
            Element::new([tcp(), Part::port(80)]).with_values([fd9(), Value::Port(81)]),
            "tcp . 80 : fd00::9 . 81",
        ),
        ("publish4", to4(Element::new([v4(), udp(), Part::port(53)])), "10.0.0.2 . udp . 53 : 10.0.0.9 . 8080"),
        (
            "publish6",
            Element::new([v6(), udp(), Part::port(53)]).with_values([fd9(), Value::Port(81)]),
            "fd00::2 . udp . 53 : fd00::9 . 81",
        ),
        (
            "publish_range_any4",
            Element::new([tcp(), Part::ports(1..=9)]).with_values([ipv4(9).into()]),
            "tcp . 1-9 : 10.0.0.9",
        ),
        ("publish_range_any6", Element::new([tcp(), Part::ports(1..=9)]).with_values([fd9()]), "tcp . 1-9 : fd00::9"),
        (
            "publish_range4",
            Element::new([v4(), udp(), Part::ports(1..=9)]).with_values([ipv4(9).into()]),
            "10.0.0.2 . udp . 1-9 : 10.0.0.9",
        ),
        (
            "publish_range6",
            Element::new([v6(), udp(), Part::ports(1..=9)]).with_values([fd9()]),
            "fd00::2 . udp . 1-9 : fd00::9",
        ),
    ]
}

pub(crate) fn rule(statements: Vec<Statement>) -> Rule {
    Rule { chain: "x1".to_owned(), statements, comment: String::new() }
}

pub(crate) fn compare(field: Field, relation: Relation, value: Value) -> Statement {
    Statement::Compare { field, relation, value }
}

/// Rules beyond the ruleset, and `nft`'s words for them.
pub(crate) fn more_rules() -> Vec<(Vec<Statement>, &'static str)> {
    use Statement::*;
    let prefix =
        |field, relation, address: &str, length| Prefix { field, relation, address: address.parse().unwrap(), length };
    let accept = || Verdict(nft::Verdict::Accept);
    let tcp = || compare(Field::L4Proto, Relation::Equal, Value::Protocol(TCP));
    let bits = |field, mask, relation, value| CompareBits { field, mask, relation, value };
    let host: IpAddr = ipv4(5);
    let host6: IpAddr = "fd00::5".parse().unwrap();
    vec![
        (vec![bits(Field::Mark, 0xff, Relation::Equal, 1), accept()], "meta mark & 0xff == 0x1 accept"),
        (vec![compare(Field::Mark, Relation::NotEqual, Value::Number(7)), Counter], "meta mark != 0x7 counter"),
        (vec![compare(Field::ConnectionMark, Relation::Equal, Value::Number(7)), accept()], "ct mark 0x7 accept"),
        (vec![SetMark(0x10)], "meta mark set 0x10"),
        (vec![prefix(Field::Ip4Saddr, Membership::NotIn, "10.0.0.0", 9), accept()], "ip saddr != 10.0.0.0/9 accept"),
        (vec![prefix(Field::Ip4Saddr, Membership::NotIn, "10.1.0.0", 16), accept()], "ip saddr != 10.1.0.0/16 accept"),
        (vec![prefix(Field::Ip4Daddr, Membership::In, "10.0.0.1", 32), accept()], "ip daddr 10.0.0.1 accept"),
        (vec![prefix(Field::Ip6Daddr, Membership::In, "fd00::", 64), accept()], "ip6 daddr fd00::/64 accept"),
        (vec![prefix(Field::Ip6Saddr, Membership::In, "fd00::", 7), accept()], "ip6 saddr fc00::/7 accept"),
        (
            vec![compare(Field::Ip4Saddr, Relation::Equal, host.into()), Snat(NatTarget::To(ipv4(1), None))],
            "ip saddr 10.0.0.5 snat ip to 10.0.0.1",
        ),
        (vec![tcp(), Dnat(NatTarget::To(host, Some(80)))], "meta l4proto tcp dnat ip to 10.0.0.5:80"),
        (vec![tcp(), Dnat(NatTarget::To(host6, Some(80)))], "meta l4proto tcp dnat ip6 to [fd00::5]:80"),
        (
            vec![tcp(), compare(Field::ThDport, Relation::Equal, Value::Port(53)), Redirect(5353)],
            "tcp dport 53 redirect to :5353",
        ),
        (
            vec![tcp(), compare(Field::ThSport, Relation::GreaterOrEqual, Value::Port(1024)), accept()],
            "tcp sport >= 1024 accept",
        ),
        (
            vec![tcp(), AnyOf { field: Field::ThDport, values: vec![Value::Port(80), Value::Port(443)] }, accept()],
            "tcp dport { 80, 443 } accept",
        ),
        (vec![Masquerade(SourcePort::Random)], "masquerade fully-random"),
        (vec![Reject(RejectWith::PortUnreachable)], "reject"),
        (vec![Reject(RejectWith::AdminProhibited)], "reject with icmpx admin-prohibited"),
        (vec![tcp(), Reject(RejectWith::TcpReset)], "meta l4proto tcp reject with tcp reset"),
        (
            vec![
                compare(Field::OifName, Relation::Equal, Value::Interface("br0".into())),
                Verdict(nft::Verdict::Jump("x2".into())),
            ],
            r#"oifname "br0" jump x2"#,
        ),
        (
            vec![Dnat(NatTarget::Map {
                version: IpVersion::V4,
                fields: vec![Field::Ip4Daddr],
                map: "m1".into(),
                data: NatData::Address,
            })],
            "dnat ip to ip daddr map @m1",
        ),
    ]
}

pub(crate) fn small_table() -> Vec<Change> {
    let chain = |name: &str| Change::AddChain(Chain { name: name.to_owned(), base: None });
    vec![
        Change::AddTable { comment: None, ownership: Ownership::Shared },
        chain("x1"),
        chain("x2"),
        Change::AddSet(Set {
            name: "m1".to_owned(),
            key: vec![DataType::Ipv4Addr],
            data: Some(MapData::Values(vec![DataType::Ipv4Addr])),
            interval: false,
            comment: Some("of a map".to_owned()),
        }),
    ]
}
