//! Changes of a table, and the messages they become.

use crate::Request;

use super::attributes::Writer;
use super::element::{Element, Value};
use super::expression;
use super::numbers::{SUBSYSTEM, chain, element, message, rule, set, table, userdata as records};
use super::set::{ANONYMOUS_NAME, Layout, Set, SetRef, write_anonymous};
use super::statement::Rule;
use super::table::{Chain, Family, Ownership};
use super::userdata;

const CREATE: u16 = libc::NLM_F_CREATE as u16;
const APPEND: u16 = libc::NLM_F_APPEND as u16;
/// The length of an attribute has 16 bits, and elements come in one; an
/// element with two keys of 64 bytes and a verdict stays below the rest.
const ELEMENTS_PER_MESSAGE: usize = 60_000;
/// Length of the netlink header, which offsets in refusals include.
const HEADER: usize = 16;

/// One change of a table. Adding what is there already is no error, unless it
/// differs in something that cannot be changed; deleting what is not there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds the table. To empty one that may exist: add, delete, add.
    AddTable {
        /// A note for people, stored when the table is new.
        comment: Option<String>,
        /// Who may change it from now on.
        ownership: Ownership,
    },
    /// Deletes the table with everything in it.
    DeleteTable,
    /// Adds a chain; chains that rules and elements name must exist before.
    AddChain(Chain),
    /// Deletes an unused chain.
    DeleteChain(String),
    /// Deletes all rules of a chain.
    FlushChain(String),
    /// Adds a rule at the end of its chain.
    AddRule(Rule),
    /// Adds a rule at the start of its chain.
    InsertRule(Rule),
    /// Deletes a rule.
    DeleteRule {
        /// Its chain.
        chain: String,
        /// Its number, from [`super::rules`].
        handle: u64,
    },
    /// Adds a set or map; rules that look it up come after it.
    AddSet(Set),
    /// Deletes a set or map that no rule uses.
    DeleteSet(String),
    /// Deletes all elements.
    FlushSet(String),
    /// Adds elements.
    AddElements {
        /// The set or map.
        set: SetRef,
        /// What is added.
        elements: Vec<Element>,
    },
    /// Deletes elements; only their keys count.
    DeleteElements {
        /// The set or map.
        set: SetRef,
        /// What is deleted.
        elements: Vec<Element>,
    },
}

/// Messages and where each comes from.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) requests: Vec<Request>,
    pub(super) origins: Vec<Origin>,
    /// Positions of the changes that no message can hold.
    pub(super) too_long: Vec<usize>,
}

/// What a message was made from.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// Position of the change; none for the brackets of the transaction.
    pub(super) change: Option<usize>,
    /// Position of the first element in the message, among those of the change.
    pub(super) first_element: usize,
    /// Where in the message, its header included, each element starts.
    pub(super) offsets: Vec<usize>,
}

impl Origin {
    /// The position of the element at that offset, among those of the change.
    pub(super) fn element_at(&self, offset: u32) -> Option<usize> {
        let offset = usize::try_from(offset).ok()?;
        let started = self.offsets.partition_point(|start| *start <= offset);
        Some(self.first_element + started.checked_sub(1)?)
    }
}

/// Makes messages for one table.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    family: Family,
    table: &'a str,
    /// Numbers by which messages refer to sets made in the same transaction.
    next_set: u32,
    messages: Messages,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(family: Family, table: &'a str) -> Self {
        Self { family, table, next_set: 1, messages: Messages::default() }
    }

    /// Adds a message that is no change, such as the start of the transaction.
    pub(super) fn bracket(&mut self, kind: u16) {
        self.messages.origins.push(Origin::default());
        self.messages.requests.push(Request { kind, flags: 0, payload: Writer::message(0, SUBSYSTEM).into_bytes() });
    }

    pub(super) fn finish(self) -> Messages {
        self.messages
    }

    pub(super) fn change(&mut self, index: usize, change: &Change) {
        match change {
            Change::AddTable { comment, ownership } => {
                self.push(index, message::NEW_TABLE, CREATE, |body| {
                    body.u32(table::FLAGS, ownership.flags());
                    if let Some(comment) = comment {
                        let stored = userdata::comment(comment, records::COMMENT);
                        body.bytes(table::USERDATA, &stored);
                    }
                });
            }
            Change::DeleteTable => self.push(index, message::DELETE_TABLE, 0, |_| {}),
            Change::AddChain(added) => {
                self.push(index, message::NEW_CHAIN, CREATE, |body| added.write(body));
            }
            Change::DeleteChain(name) => self.push(index, message::DELETE_CHAIN, 0, |body| {
                body.text(chain::NAME, name);
            }),
            Change::FlushChain(name) => self.push(index, message::DELETE_RULE, 0, |body| {
                body.text(rule::CHAIN, name);
            }),
            Change::AddRule(added) => self.rule(index, APPEND, added),
            Change::InsertRule(added) => self.rule(index, 0, added),
            Change::DeleteRule { chain, handle } => {
                self.push(index, message::DELETE_RULE, 0, |body| {
                    body.text(rule::CHAIN, chain);
                    body.u64(rule::HANDLE, *handle);
                });
            }
            Change::AddSet(added) => {
                let id = self.set_id();
                self.push(index, message::NEW_SET, CREATE, |body| added.write(id, body));
            }
            Change::DeleteSet(name) => self.push(index, message::DELETE_SET, 0, |body| {
                body.text(set::NAME, name);
            }),
            Change::FlushSet(name) => self.push(index, message::DELETE_ELEMENT, 0, |body| {
                body.text(element::LIST_SET, name);
            }),
            Change::AddElements { set, elements } => {
                self.elements(index, message::NEW_ELEMENT, set, elements);
            }
            Change::DeleteElements { set, elements } => {
                self.elements(index, message::DELETE_ELEMENT, set, elements);
            }
        }
    }

    fn set_id(&mut self) -> u32 {
        let id = self.next_set;
        self.next_set += 1;
        id
    }

    /// The start of a message. The first attribute is the table's name.
    fn body(&self) -> Writer {
        const {
            assert!(table::NAME == 1 && chain::TABLE == 1 && rule::TABLE == 1);
            assert!(set::TABLE == 1 && element::LIST_TABLE == 1);
        }
        let mut body = Writer::message(self.family.number(), 0);
        body.text(table::NAME, self.table);
        body
    }

    fn push(&mut self, index: usize, kind: u16, flags: u16, write: impl FnOnce(&mut Writer)) {
        let mut body = self.body();
        write(&mut body);
        let origin = Origin { change: Some(index), ..Origin::default() };
        self.add(kind, flags, body, origin);
    }

    fn add(&mut self, kind: u16, flags: u16, body: Writer, origin: Origin) {
        if body.is_overflown() {
            self.messages.too_long.extend(origin.change);
        }
        self.messages.origins.push(origin);
        self.messages.requests.push(Request { kind: SUBSYSTEM << 8 | kind, flags, payload: body.into_bytes() });
    }

    fn rule(&mut self, index: usize, place: u16, added: &Rule) {
        let first_set = self.next_set;
        for set in expression::anonymous_sets(&added.statements, first_set) {
            self.next_set = set.id + 1;
            let size = u32::try_from(set.values.len()).unwrap_or(u32::MAX);
            self.push(index, message::NEW_SET, CREATE, |body| {
                write_anonymous(set.key, size, set.id, body);
            });
            self.push(index, message::NEW_ELEMENT, CREATE, |body| {
                body.text(element::LIST_SET, ANONYMOUS_NAME);
                body.u32(element::LIST_SET_ID, set.id);
                body.nest(element::LIST_ELEMENTS, |list| {
                    write_values(set.values, list);
                });
            });
        }
        let family = self.family;
        self.push(index, message::NEW_RULE, CREATE | place, |body| {
            body.text(rule::CHAIN, &added.chain);
            body.nest(rule::EXPRESSIONS, |list| {
                expression::write(&added.statements, family, first_set, list);
            });
            let stored = userdata::comment(&added.comment, records::COMMENT);
            if !stored.is_empty() {
                body.bytes(rule::USERDATA, &stored);
            }
        });
    }

    fn elements(&mut self, index: usize, kind: u16, set: &SetRef, elements: &[Element]) {
        let mut rest = elements;
        let flags = if kind == message::NEW_ELEMENT { CREATE } else { 0 };
        while !rest.is_empty() {
            let mut body = self.body();
            body.text(element::LIST_SET, &set.name);
            let list = body.open_nest(element::LIST_ELEMENTS);
            let mut origin =
                Origin { change: Some(index), first_element: elements.len() - rest.len(), offsets: Vec::new() };
            while let [next, others @ ..] = rest
                && body.len() - list < ELEMENTS_PER_MESSAGE
            {
                origin.offsets.push(HEADER + body.len());
                match kind {
                    message::NEW_ELEMENT => next.write(set.layout, &mut body),
                    _ => next.write_key(set.layout, &mut body),
                }
                rest = others;
            }
            body.close(list);
            self.add(kind, flags, body, origin);
        }
    }
}

fn write_values(values: &[Value], list: &mut Writer) {
    for value in values {
        let element = Element::new([value.clone().into()]);
        element.write(Layout::Keys, list);
    }
}
