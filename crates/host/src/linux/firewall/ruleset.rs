//! The static ruleset in the words of netlink.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;
use pontoon_core::firewall::ruleset::{self as core, CHAINS, Constant, Data, SETS, Type, rule_text};
use pontoon_netlink::nft::{
    ADDRESS_TYPE_LOCAL, BaseChain, Chain, ChainKind, Change, ConnectionState, ConnectionStatus, DataType, Field, Hook,
    IpVersion, MapData, Membership, NatData, NatTarget, Ownership, Policy, Relation, Rule, Set, SetRef, SourcePort,
    Statement, Value, Verdict,
};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// What `nft` takes for a comment, in bytes.
const COMMENT: usize = 128;

/// What is needed to change the elements of each set.
static REFERENCES: LazyLock<HashMap<&'static str, SetRef>> =
    LazyLock::new(|| SETS.iter().map(|one| (one.name, set(one).reference())).collect());

/// Returns what is needed to change a set's elements.
pub(super) fn reference(name: &str) -> Option<&'static SetRef> {
    REFERENCES.get(name)
}

/// Returns the changes that make the table anew, whether it exists or not, without elements.
pub(super) fn create(fingerprint: &str) -> Vec<Change> {
    let table = |comment| Change::AddTable { comment, ownership: Ownership::Shared };
    let mut changes = vec![table(None), Change::DeleteTable, table(Some(fingerprint.to_owned()))];
    changes.extend(sets().into_iter().map(Change::AddSet));
    changes.extend(chains().into_iter().map(Change::AddChain));
    changes.extend(rules().into_iter().map(Change::AddRule));
    changes
}

/// Returns every set.
pub(super) fn sets() -> Vec<Set> {
    SETS.iter().map(set).collect()
}

/// Returns every chain, without rules.
pub(super) fn chains() -> Vec<Chain> {
    CHAINS.iter().map(|chain| Chain { name: chain.name.to_owned(), base: chain.hook.as_ref().map(base) }).collect()
}

/// Returns every rule.
pub(super) fn rules() -> Vec<Rule> {
    let of_chain = |chain: &core::Chain| {
        let name = chain.name.to_owned();
        let rule = move |statements: &&[core::Statement]| Rule {
            chain: name.clone(),
            statements: statements.iter().map(statement).collect(),
            comment: comment(statements),
        };
        chain.rules.iter().map(rule).collect::<Vec<_>>()
    };
    CHAINS.iter().flat_map(of_chain).collect()
}

/// A rule says what it does, so that a changed one can be told from it.
fn comment(statements: &[core::Statement]) -> String {
    let text = rule_text(statements);
    match text.len() <= COMMENT {
        true => text,
        false => format!("{:016x}", hash(&text)),
    }
}

/// FNV-1a: stable across versions of the compiler, and nobody attacks it.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn set(set: &core::Set) -> Set {
    let types = |types: &[Type]| types.iter().copied().map(data_type).collect();
    Set {
        name: set.name.to_owned(),
        key: types(set.key),
        data: match set.data {
            Data::None => None,
            Data::Verdict => Some(MapData::Verdict),
            Data::Values(values) => Some(MapData::Values(types(values))),
        },
        interval: set.interval,
        comment: None,
    }
}

fn data_type(one: Type) -> DataType {
    match one {
        Type::Ipv4 => DataType::Ipv4Addr,
        Type::Ipv6 => DataType::Ipv6Addr,
        Type::Proto => DataType::InetProto,
        Type::Port => DataType::InetService,
        Type::Interface => DataType::IfName,
    }
}

fn base(hook: &core::Hook) -> BaseChain {
    BaseChain {
        hook: match hook.hook {
            "prerouting" => Hook::Prerouting,
            "input" => Hook::Input,
            "forward" => Hook::Forward,
            "output" => Hook::Output,
            _ => Hook::Postrouting,
        },
        kind: if hook.kind == "nat" { ChainKind::Nat } else { ChainKind::Filter },
        priority: hook.priority,
        policy: Policy::Accept,
    }
}

fn field(field: core::Field) -> Field {
    match field {
        core::Field::IifName => Field::IifName,
        core::Field::OifName => Field::OifName,
        core::Field::Ip4Saddr => Field::Ip4Saddr,
        core::Field::Ip4Daddr => Field::Ip4Daddr,
        core::Field::Ip6Saddr => Field::Ip6Saddr,
        core::Field::Ip6Daddr => Field::Ip6Daddr,
        core::Field::L4Proto => Field::L4Proto,
        core::Field::ThDport => Field::ThDport,
    }
}

fn fields(key: &[core::Field]) -> Vec<Field> {
    key.iter().copied().map(field).collect()
}

fn membership(not: bool) -> Membership {
    if not { Membership::NotIn } else { Membership::In }
}

fn relation(not: bool) -> Relation {
    if not { Relation::NotEqual } else { Relation::Equal }
}

fn statement(one: &core::Statement) -> Statement {
    use core::Statement as S;
    match one {
        S::CtEstablished => Statement::ConnectionState(ConnectionState::ESTABLISHED | ConnectionState::RELATED),
        S::CtDnat => Statement::ConnectionStatus(ConnectionStatus::DNAT),
        S::PortProtocols => {
            Statement::AnyOf { field: Field::L4Proto, values: vec![Value::Protocol(TCP), Value::Protocol(UDP)] }
        }
        S::In { key, set, not } => {
            Statement::Lookup { fields: fields(key), relation: membership(*not), set: (*set).to_owned() }
        }
        S::Is { field: one, value, not } => is(field(*one), *value, *not),
        S::FibLocal { not } => Statement::Compare {
            field: Field::DaddrType,
            relation: relation(*not),
            value: Value::Number(ADDRESS_TYPE_LOCAL),
        },
        S::Vmap { key, map } => Statement::VerdictMap { fields: vec![field(*key)], map: (*map).to_owned() },
        S::Dnat { v6, key, map, port } => Statement::Dnat(NatTarget::Map {
            version: if *v6 { IpVersion::V6 } else { IpVersion::V4 },
            fields: fields(key),
            map: (*map).to_owned(),
            data: if *port { NatData::AddressAndPort } else { NatData::Address },
        }),
        S::Snat { v6, key, map } => Statement::Snat(NatTarget::Map {
            version: if *v6 { IpVersion::V6 } else { IpVersion::V4 },
            fields: fields(key),
            map: (*map).to_owned(),
            data: NatData::Address,
        }),
        S::Masquerade => Statement::Masquerade(SourcePort::Keep),
        S::Counter => Statement::Counter,
        S::Accept => Statement::Verdict(Verdict::Accept),
        S::Drop => Statement::Verdict(Verdict::Drop),
        S::Return => Statement::Verdict(Verdict::Return),
        S::Goto(chain) => Statement::Verdict(Verdict::Goto((*chain).to_owned())),
    }
}

fn is(field: Field, value: Constant, not: bool) -> Statement {
    match value {
        Constant::Interface(name) => {
            Statement::Compare { field, relation: relation(not), value: Value::Interface(name.to_owned()) }
        }
        Constant::Protocol(number, _) => {
            Statement::Compare { field, relation: relation(not), value: Value::Protocol(number) }
        }
        Constant::Prefix(text) => {
            let prefix: IpNet = text.parse().expect("the ruleset's constants are prefixes");
            let address: IpAddr = prefix.network();
            Statement::Prefix { field, relation: membership(not), address, length: prefix.prefix_len() }
        }
    }
}
