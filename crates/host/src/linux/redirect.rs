//! The way to the resolver inside a sandbox: a small nftables table of the namespace's own.
//!
//! ```text
//! table ip pontoon-dns {                       comment: the port
//!     chain dnat { type nat hook output          127.0.0.11:53   -> 127.0.0.11:port }
//!     chain snat { type nat hook postrouting     127.0.0.11:port -> :53 }
//! }
//! ```
//!
//! Answers find their way back by the flow that the question opened; the second chain is for those that come after it is
//! forgotten.

use std::net::IpAddr;

use pontoon_core::engine::HostError;
use pontoon_core::model::SandboxId;
use pontoon_core::objects::{Object, Op, RESOLVER_ADDRESS, Redirect};
use pontoon_netlink::nft::{
    self, BaseChain, Chain, ChainKind, Change, Family, Field, Hook, NatTarget, Ownership, Policy, Relation, Rule,
    Statement, Table, TransactionError, Value,
};
use pontoon_netlink::{Error, Protocol, Socket};

use super::namespaces::Open;
use super::run::Run;
use super::{LinuxHost, error};

const TABLE: &str = "pontoon-dns";
const TO_RESOLVER: &str = "dnat";
const FROM_RESOLVER: &str = "snat";
/// The port that clients ask.
const DNS: u16 = 53;
const PROTOCOLS: [(&str, u8); 2] = [("udp", 17), ("tcp", 6)];
const WHAT: &str = "leading questions to the resolver";

impl Run<'_> {
    pub(super) fn redirect(&mut self, op: &Op) -> Result<(), HostError> {
        match op {
            // A repair that is taken back: what was damaged is not damaged again.
            Op::Change { to: Object::Redirect(Redirect { port: 0, .. }), .. } => Ok(()),
            Op::Add(Object::Redirect(redirect)) | Op::Change { to: Object::Redirect(redirect), .. } => {
                let mut socket = self.enter(redirect.sandbox)?;
                let present = table(&mut socket).map_err(|e| error::because(WHAT, &e))?.is_some();
                apply(&mut socket, &create(redirect.port, present)).map_err(|refused| failed(&refused))
            }
            Op::Remove(Object::Redirect(redirect)) => {
                let mut socket = match self.enter(redirect.sandbox) {
                    Err(HostError::Missing { .. }) => return Ok(()),
                    entered => entered?,
                };
                match apply(&mut socket, &[Change::DeleteTable]) {
                    Err(refused) if refused.errno() != Some(libc::ENOENT) => Err(failed(&refused)),
                    _ => Ok(()),
                }
            }
            other => Err(HostError::Unsupported { what: format!("a way to take the step {other}") }),
        }
    }

    fn enter(&mut self, sandbox: SandboxId) -> Result<Socket, HostError> {
        let host = self.host;
        enter(host, &self.inside(sandbox)?.open)
    }
}

/// Returns the port to which questions go in a namespace: none if nothing leads them anywhere, 0 if the table is damaged.
pub(super) fn observe(host: &LinuxHost, open: &Open) -> Result<Option<u16>, HostError> {
    let mut socket = enter(host, open)?;
    match inspect(&mut socket) {
        // Without nf_tables nothing leads anywhere.
        Err(Error::Refused(refusal)) if [libc::EINVAL, libc::EOPNOTSUPP].contains(&refusal.errno) => Ok(None),
        inspected => inspected.map_err(|e| error::because(WHAT, &e)),
    }
}

fn enter(host: &LinuxHost, open: &Open) -> Result<Socket, HostError> {
    let opened = host.visitor.visit(&open.namespace, || Socket::open(Protocol::Netfilter));
    opened.and_then(|socket| socket).map_err(|e| error::because(WHAT, &e))
}

fn inspect(socket: &mut Socket) -> Result<Option<u16>, Error> {
    let Some(ours) = table(socket)? else { return Ok(None) };
    let port = ours.comment.as_deref().and_then(|comment| comment.parse().ok()).unwrap_or(0);
    let (present, mut chains) = (nft::rules(socket, Family::Ip, TABLE)?, nft::chains(socket, Family::Ip, TABLE)?);
    chains.sort_by(|one, other| one.name.cmp(&other.name));
    let wanted = rules(port);
    let whole = wanted.iter().map(|rule| (&rule.chain, &rule.comment));
    let whole = whole.eq(present.iter().map(|rule| (&rule.chain, &rule.comment))) && chains == self::chains();
    Ok(Some(if whole { port } else { 0 }))
}

fn table(socket: &mut Socket) -> Result<Option<Table>, Error> {
    Ok(nft::tables(socket)?.into_iter().find(|one| one.family == Family::Ip && one.name == TABLE))
}

fn apply(socket: &mut Socket, changes: &[Change]) -> Result<(), TransactionError> {
    nft::apply(socket, Family::Ip, TABLE, changes)
}

/// Returns the changes that make the table, in the place of one that is present. Nothing is deleted for safety's sake: closing
/// the socket would then wait some milliseconds for the kernel's readers (`nft_rcv_nl_event`).
fn create(port: u16, present: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    changes.extend(present.then_some(Change::DeleteTable));
    changes.push(Change::AddTable { comment: Some(port.to_string()), ownership: Ownership::Shared });
    changes.extend(chains().into_iter().map(Change::AddChain));
    changes.extend(rules(port).into_iter().map(Change::AddRule));
    changes
}

/// Returns the chains by name; the priorities are those of `nft` for `dstnat` at the hook output, and `srcnat`.
fn chains() -> [Chain; 2] {
    let base = |hook, priority| BaseChain { hook, kind: ChainKind::Nat, priority, policy: Policy::Accept };
    let chain = |name: &str, base| Chain { name: name.to_owned(), base: Some(base) };
    [chain(TO_RESOLVER, base(Hook::Output, -100)), chain(FROM_RESOLVER, base(Hook::Postrouting, 100))]
}

fn rules(port: u16) -> Vec<Rule> {
    let address = IpAddr::V4(RESOLVER_ADDRESS);
    let is = |field, value| Statement::Compare { field, relation: Relation::Equal, value };
    let rule = |chain: &str, [host, at]: [Field; 2], (name, number): (&str, u8), [from, to]: [u16; 2], action| Rule {
        chain: chain.to_owned(),
        statements: vec![
            is(host, Value::Address(address)),
            is(Field::L4Proto, Value::Protocol(number)),
            is(at, Value::Port(from)),
            action,
        ],
        comment: format!("{name} {from} to {to}"),
    };
    let to_resolver = PROTOCOLS.map(|protocol| {
        let action = Statement::Dnat(NatTarget::To(address, Some(port)));
        rule(TO_RESOLVER, [Field::Ip4Daddr, Field::ThDport], protocol, [DNS, port], action)
    });
    let from_resolver = PROTOCOLS.map(|protocol| {
        let action = Statement::Snat(NatTarget::To(address, Some(DNS)));
        rule(FROM_RESOLVER, [Field::Ip4Saddr, Field::ThSport], protocol, [port, DNS], action)
    });
    to_resolver.into_iter().chain(from_resolver).collect()
}

fn failed(refused: &TransactionError) -> HostError {
    error::transaction(refused, None)
}
