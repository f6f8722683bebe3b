//! Reading what the kernel has.

use crate::{Error, Request, Socket};

use super::attributes::{Writer, find, find_text, find_u64, read, text};
use super::element::{Element, read_entries};
use super::numbers::{LIST_ELEMENT, SUBSYSTEM, chain, element, expression, message, rule, set};
use super::set::{Set, SetRef};
use super::table::{Chain, Family, Table, read_comment};

/// Length of the header that every netfilter message has.
const HEADER: usize = 4;

/// Returns the tables of all families.
pub fn tables(socket: &mut Socket) -> Result<Vec<Table>, Error> {
    let messages = dump(socket, message::GET_TABLE, Writer::message(0, 0))?;
    Ok(messages
        .iter()
        .filter_map(|payload| {
            let family = Family::from_number(*payload.first()?)?;
            Table::read(family, payload.get(HEADER..)?)
        })
        .collect())
}

/// Returns the chains of a table; none if there is no such table.
pub fn chains(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<Chain>, Error> {
    let request = Writer::message(family.number(), 0);
    let messages = dump(socket, message::GET_CHAIN, request)?;
    Ok(messages
        .iter()
        .filter_map(|payload| payload.get(HEADER..))
        .filter(|attributes| find_text(attributes, chain::TABLE).as_deref() == Some(table))
        .filter_map(Chain::read)
        .collect())
}

/// Returns the sets and maps of a table, without those inside rules; refused
/// with `ENOENT` if there is no such table.
pub fn sets(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<Set>, Error> {
    let mut request = Writer::message(family.number(), 0);
    request.text(set::TABLE, table);
    let messages = dump(socket, message::GET_SET, request)?;
    Ok(messages.iter().filter_map(|payload| Set::read(payload.get(HEADER..)?)).collect())
}

/// A rule as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// The chain it belongs to.
    pub chain: String,
    /// Its number, unique in the table.
    pub handle: u64,
    /// A note for people; empty for none.
    pub comment: String,
    /// The names of its expressions, such as `payload`, `cmp`, `immediate`.
    pub expressions: Vec<String>,
}

/// Returns the rules of a table in order, chain by chain; none if there is no
/// such table.
pub fn rules(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<RuleInfo>, Error> {
    let mut request = Writer::message(family.number(), 0);
    request.text(rule::TABLE, table);
    let messages = dump(socket, message::GET_RULE, request)?;
    Ok(messages
        .iter()
        .filter_map(|payload| payload.get(HEADER..))
        .filter(|attributes| find_text(attributes, rule::TABLE).as_deref() == Some(table))
        .filter_map(read_rule)
        .collect())
}

fn read_rule(attributes: &[u8]) -> Option<RuleInfo> {
    let expressions = find(attributes, rule::EXPRESSIONS).unwrap_or_default();
    Some(RuleInfo {
        chain: find_text(attributes, rule::CHAIN)?,
        handle: find_u64(attributes, rule::HANDLE)?,
        comment: read_comment(attributes, rule::USERDATA).unwrap_or_default(),
        expressions: read(expressions)
            .filter(|(kind, _)| *kind == LIST_ELEMENT)
            .filter_map(|(_, one)| find(one, expression::NAME).map(text))
            .collect(),
    })
}

/// Returns the elements of a set or map in the order of their keys; refused
/// with `ENOENT` if there is no such set.
pub fn elements(socket: &mut Socket, family: Family, table: &str, set: &SetRef) -> Result<Vec<Element>, Error> {
    let mut request = Writer::message(family.number(), 0);
    request.text(element::LIST_TABLE, table);
    request.text(element::LIST_SET, &set.name);
    let messages = dump(socket, message::GET_ELEMENT, request)?;
    let entries = messages
        .iter()
        .filter_map(|payload| find(payload.get(HEADER..)?, element::LIST_ELEMENTS))
        .flat_map(read_entries)
        .collect();
    Ok(super::element::elements(entries, set.layout))
}

fn dump(socket: &mut Socket, kind: u16, body: Writer) -> Result<Vec<Vec<u8>>, Error> {
    let request = Request { kind: SUBSYSTEM << 8 | kind, flags: 0, payload: body.into_bytes() };
    let messages = socket.dump(&request)?;
    Ok(messages.into_iter().map(|(_, payload)| payload).collect())
}
