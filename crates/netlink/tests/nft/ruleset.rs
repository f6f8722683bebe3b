//! `data/ruleset.nft`, built from our own types.

use pontoon_netlink::nft::{
    ADDRESS_TYPE_LOCAL, BaseChain, Chain, ChainKind, Change, ConnectionState, ConnectionStatus, DataType, Field, Hook,
    IpVersion, MapData, Membership, NatData, NatTarget, Ownership, Policy, Relation, Rule, Set, SourcePort, Statement,
    Value, Verdict,
};

use DataType::{IfName, InetProto, InetService, Ipv4Addr, Ipv6Addr};
use Field::{IifName, Ip4Daddr, Ip4Saddr, Ip6Daddr, Ip6Saddr, L4Proto, OifName, ThDport};
use IpVersion::{V4, V6};
use Membership::{In, NotIn};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) fn changes() -> Vec<Change> {
    let table = Change::AddTable { comment: None, ownership: Ownership::Shared };
    std::iter::once(table)
        .chain(sets().into_iter().map(Change::AddSet))
        .chain(chains().into_iter().map(Change::AddChain))
        .chain(rules().into_iter().map(Change::AddRule))
        .collect()
}

pub(crate) fn sets() -> Vec<Set> {
    let set = |name: &str, key: &[DataType], interval| Set {
        name: name.to_owned(),
        key: key.to_vec(),
        data: None,
        interval,
        comment: None,
    };
    let map = |name: &str, key: &[DataType], data: &[DataType], interval| Set {
        data: Some(MapData::Values(data.to_vec())),
        ..set(name, key, interval)
    };
    let verdicts = |name: &str| Set { data: Some(MapData::Verdict), ..set(name, &[IfName], false) };
    let mut sets = vec![
        set("same_bridge", &[IfName, IfName], false),
        verdicts("from"),
        verdicts("to"),
        set("bridges", &[IfName], false),
    ];
    for (address, version) in [(Ipv4Addr, 4), (Ipv6Addr, 6)] {
        let name = |base: &str| format!("{base}{version}");
        let port = [InetProto, InetService];
        let endpoint = [address, InetProto, InetService];
        sets.extend([
            set(&name("subnets"), &[address], true),
            set(&name("on_link"), &[address, IfName], true),
            set(&name("masquerade"), &[address], true),
            set(&name("open"), &endpoint, false),
            set(&name("open_range"), &endpoint, true),
            map(&name("publish_any"), &port, &[address, InetService], false),
            map(&name("publish"), &endpoint, &[address, InetService], false),
            map(&name("publish_range_any"), &port, &[address], true),
            map(&name("publish_range"), &endpoint, &[address], true),
        ]);
    }
    sets
}

fn chains() -> Vec<Chain> {
    let plain = |name: &str| Chain { name: name.to_owned(), base: None };
    let base = |name: &str, kind, hook, priority| Chain {
        name: name.to_owned(),
        base: Some(BaseChain { hook, kind, priority, policy: Policy::Accept }),
    };
    vec![
        plain("from_internal"),
        plain("to_internal"),
        plain("to_nat"),
        base("forward", ChainKind::Filter, Hook::Forward, 0),
        base("protect", ChainKind::Filter, Hook::Prerouting, -150),
        plain("publish"),
        base("prerouting", ChainKind::Nat, Hook::Prerouting, -100),
        base("output", ChainKind::Nat, Hook::Output, -100),
        base("postrouting", ChainKind::Nat, Hook::Postrouting, 100),
    ]
}

fn rules() -> Vec<Rule> {
    [
        ("from_internal", from_internal()),
        ("to_internal", vec![count_and_drop()]),
        ("to_nat", to_nat()),
        ("forward", forward()),
        ("protect", protect()),
        ("publish", publish()),
        ("prerouting", prerouting()),
        ("output", vec![local_to_publish()]),
        ("postrouting", postrouting()),
    ]
    .into_iter()
    .flat_map(|(chain, rules)| {
        rules.into_iter().map(move |statements| Rule { chain: chain.to_owned(), statements, comment: String::new() })
    })
    .collect()
}

fn from_internal() -> Vec<Vec<Statement>> {
    vec![vec![lookup(&[IifName, OifName], In, "same_bridge"), accept()], count_and_drop()]
}

fn to_nat() -> Vec<Vec<Statement>> {
    let open = |address, set| {
        let endpoint = lookup(&[address, L4Proto, ThDport], In, set);
        vec![tcp_or_udp(), endpoint, accept()]
    };
    vec![
        vec![established(), accept()],
        vec![lookup(&[IifName, OifName], In, "same_bridge"), accept()],
        open(Ip4Daddr, "open4"),
        open(Ip6Daddr, "open6"),
        open(Ip4Daddr, "open_range4"),
        open(Ip6Daddr, "open_range6"),
        count_and_drop(),
    ]
}

fn forward() -> Vec<Vec<Statement>> {
    [(IifName, "from"), (OifName, "to")]
        .map(|(field, map)| vec![Statement::VerdictMap { fields: vec![field], map: map.to_owned() }])
        .into()
}

fn protect() -> Vec<Vec<Statement>> {
    let direct = |address, subnets, on_link| {
        vec![
            lookup(&[address], In, subnets),
            lookup(&[address, IifName], NotIn, on_link),
            destination_local(Relation::NotEqual),
            Statement::Counter,
            Statement::Verdict(Verdict::Drop),
        ]
    };
    vec![
        vec![established(), accept()],
        vec![lookup(&[IifName], In, "bridges"), loopback(Ip4Daddr), Statement::Verdict(Verdict::Drop)],
        direct(Ip4Daddr, "subnets4", "on_link4"),
        direct(Ip6Daddr, "subnets6", "on_link6"),
    ]
}

fn publish() -> Vec<Vec<Statement>> {
    let mut rules = Vec::new();
    for (version, address, suffix) in [(V4, Ip4Daddr, "4"), (V6, Ip6Daddr, "6")] {
        let dnat = |fields: &[Field], map: &str, data| {
            let target = NatTarget::Map { version, fields: fields.to_vec(), map: format!("{map}{suffix}"), data };
            vec![tcp_or_udp(), Statement::Dnat(target)]
        };
        if version == V6 {
            let link_local =
                Statement::Prefix { field: Ip6Saddr, relation: In, address: "fe80::".parse().unwrap(), length: 10 };
            rules.push(vec![link_local, Statement::Verdict(Verdict::Return)]);
        }
        let endpoint = [address, L4Proto, ThDport];
        let port = [L4Proto, ThDport];
        rules.extend([
            dnat(&endpoint, "publish", NatData::AddressAndPort),
            dnat(&port, "publish_any", NatData::AddressAndPort),
            dnat(&endpoint, "publish_range", NatData::Address),
            dnat(&port, "publish_range_any", NatData::Address),
        ]);
    }
    rules
}

fn prerouting() -> Vec<Vec<Statement>> {
    let not_lo =
        Statement::Compare { field: IifName, relation: Relation::NotEqual, value: Value::Interface("lo".to_owned()) };
    vec![vec![not_lo, loopback(Ip4Daddr), Statement::Verdict(Verdict::Return)], local_to_publish()]
}

fn postrouting() -> Vec<Vec<Statement>> {
    let masquerade = || Statement::Masquerade(SourcePort::Keep);
    let dnat = || Statement::ConnectionStatus(ConnectionStatus::DNAT);
    let leaves = |address, subnets, on_link| {
        vec![lookup(&[address], In, subnets), lookup(&[address, OifName], NotIn, on_link), masquerade()]
    };
    let hairpin = |address, on_link| vec![dnat(), lookup(&[address, OifName], In, on_link), masquerade()];
    vec![
        vec![loopback(Ip4Saddr), lookup(&[OifName], In, "bridges"), masquerade()],
        leaves(Ip4Saddr, "masquerade4", "on_link4"),
        leaves(Ip6Saddr, "masquerade6", "on_link6"),
        hairpin(Ip4Saddr, "on_link4"),
        hairpin(Ip6Saddr, "on_link6"),
    ]
}

fn accept() -> Statement {
    Statement::Verdict(Verdict::Accept)
}

fn count_and_drop() -> Vec<Statement> {
    vec![Statement::Counter, Statement::Verdict(Verdict::Drop)]
}

fn local_to_publish() -> Vec<Statement> {
    let publish = Verdict::Goto("publish".to_owned());
    vec![destination_local(Relation::Equal), Statement::Verdict(publish)]
}

fn lookup(fields: &[Field], relation: Membership, set: &str) -> Statement {
    Statement::Lookup { fields: fields.to_vec(), relation, set: set.to_owned() }
}

fn tcp_or_udp() -> Statement {
    Statement::AnyOf { field: L4Proto, values: vec![Value::Protocol(TCP), Value::Protocol(UDP)] }
}

fn established() -> Statement {
    Statement::ConnectionState(ConnectionState::ESTABLISHED | ConnectionState::RELATED)
}

fn loopback(field: Field) -> Statement {
    Statement::Prefix { field, relation: In, address: [127, 0, 0, 0].into(), length: 8 }
}

fn destination_local(relation: Relation) -> Statement {
    Statement::Compare { field: Field::DaddrType, relation, value: Value::Number(ADDRESS_TYPE_LOCAL) }
}
