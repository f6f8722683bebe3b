//! Elements of sets and maps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::attributes::{Writer, find, find_u32, read};
use super::numbers::{LIST_ELEMENT, data, element, userdata as records};
use super::set::Layout;
use super::table::Verdict;
use super::userdata;

const INTERFACE_NAME_LENGTH: usize = 16;

/// One value as it is compared with a part of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An address.
    Address(IpAddr),
    /// The number of a transport protocol.
    Protocol(u8),
    /// A port of a transport protocol.
    Port(u16),
    /// The name of an interface. One longer than the kernel allows is not
    /// cut: the kernel refuses the key, which then has the wrong length.
    Interface(String),
    /// A packet mark or another number in the byte order of the host.
    Number(u32),
}

impl Value {
    /// The bytes that the kernel compares.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Self::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Self::Protocol(number) => vec![*number],
            Self::Port(number) => number.to_be_bytes().to_vec(),
            Self::Interface(name) => {
                let mut bytes = name.clone().into_bytes();
                bytes.resize(bytes.len().max(INTERFACE_NAME_LENGTH), 0);
                bytes
            }
            Self::Number(number) => number.to_ne_bytes().to_vec(),
        }
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(address.into())
    }
}

/// One part of the key of an element: a value, or a range in sets that have
/// intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    first: Value,
    last: Value,
}

impl<T: Into<Value>> From<T> for Part {
    fn from(value: T) -> Self {
        let value = value.into();
        Self { first: value.clone(), last: value }
    }
}

impl Part {
    /// One address.
    pub fn address(address: impl Into<IpAddr>) -> Self {
        Value::Address(address.into()).into()
    }

    /// All addresses that share the first `length` bits with `address`; a
    /// length beyond the address means all its bits.
    pub fn prefix(address: impl Into<IpAddr>, length: u8) -> Self {
        let (first, last) = match address.into() {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                let first = address.to_bits() & !host;
                let last = Ipv4Addr::from_bits(first | host);
                (Ipv4Addr::from_bits(first).into(), last.into())
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(length.into()).unwrap_or(0);
                let first = address.to_bits() & !host;
                let last = Ipv6Addr::from_bits(first | host);
                (Ipv6Addr::from_bits(first).into(), last.into())
            }
        };
        Self { first, last }
    }

    /// A transport protocol.
    pub fn protocol(number: u8) -> Self {
        Value::Protocol(number).into()
    }

    /// One port.
    pub fn port(number: u16) -> Self {
        Value::Port(number).into()
    }

    /// A range of ports.
    pub fn ports(range: RangeInclusive<u16>) -> Self {
        Self { first: Value::Port(*range.start()), last: Value::Port(*range.end()) }
    }

    /// The name of an interface; see [`Value::Interface`].
    pub fn interface(name: impl Into<String>) -> Self {
        Value::Interface(name.into()).into()
    }

    /// A packet mark.
    pub fn mark(mark: u32) -> Self {
        Value::Number(mark).into()
    }
}

/// Joins values; those of a concatenation start at multiples of four bytes.
fn join<'a>(values: impl ExactSizeIterator<Item = &'a Value>) -> Vec<u8> {
    let pad = values.len() > 1;
    let mut joined = Vec::new();
    for value in values {
        joined.extend(value.bytes());
        if pad {
            joined.resize(joined.len().next_multiple_of(4), 0);
        }
    }
    joined
}

/// What a key of a map leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementData {
    /// A value, concatenated as keys are.
    Value(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

/// An element of a set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key, or the first one of a range, as the kernel compares it.
    pub key: Vec<u8>,
    /// The last key of a range, if that is another one. In a concatenation
    /// every part is a range of its own.
    pub key_end: Option<Vec<u8>>,
    /// What a map gives for the key.
    pub data: Option<ElementData>,
}

impl Element {
    /// An element of a set.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let parts: Vec<Part> = parts.into_iter().collect();
        let key = join(parts.iter().map(|part| &part.first));
        let last = join(parts.iter().map(|part| &part.last));
        Self { key_end: (last != key).then_some(last), key, data: None }
    }

    /// An element of a map whose data are values.
    pub fn with_values(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        let values: Vec<Value> = values.into_iter().collect();
        self.data = Some(ElementData::Value(join(values.iter())));
        self
    }

    /// An element of a map whose data are verdicts.
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.data = Some(ElementData::Verdict(verdict));
        self
    }

    /// Writes the entries that stand for the element in the kernel.
    pub(super) fn write(&self, layout: Layout, body: &mut Writer) {
        match layout {
            Layout::Keys | Layout::Ranges => write_entry(self, body, |entry| {
                if let Some(last) = &self.key_end {
                    entry.nest(element::KEY_END, |value| value.bytes(data::VALUE, last));
                }
            }),
            Layout::Boundaries => self.write_boundaries(body),
        }
    }

    /// Writes the entries without data, as deleting wants them.
    pub(super) fn write_key(&self, layout: Layout, body: &mut Writer) {
        let key = Self { data: None, ..self.clone() };
        key.write(layout, body);
    }

    fn write_boundaries(&self, body: &mut Writer) {
        let last = self.key_end.as_ref().unwrap_or(&self.key);
        let after = successor(last);
        write_entry(self, body, |entry| {
            if after.is_none() {
                let flags = records::ELEMENT_FLAG_OPEN.to_ne_bytes();
                let mut stored = Vec::new();
                userdata::push(&mut stored, records::ELEMENT_FLAGS, &flags);
                entry.bytes(element::USERDATA, &stored);
            }
        });
        if let Some(after) = after {
            body.nest(LIST_ELEMENT, |entry| {
                entry.u32(element::FLAGS, element::FLAG_INTERVAL_END);
                entry.nest(element::KEY, |value| value.bytes(data::VALUE, &after));
            });
        }
    }
}

fn write_entry(element: &Element, body: &mut Writer, more: impl FnOnce(&mut Writer)) {
    body.nest(LIST_ELEMENT, |entry| {
        entry.nest(element::KEY, |value| value.bytes(data::VALUE, &element.key));
        match &element.data {
            Some(ElementData::Value(bytes)) => {
                entry.nest(element::DATA, |value| value.bytes(data::VALUE, bytes));
            }
            Some(ElementData::Verdict(verdict)) => {
                entry.nest(element::DATA, |value| verdict.write(value));
            }
            None => {}
        }
        more(entry);
    });
}

/// The key after `key`, or none after the last one.
fn successor(key: &[u8]) -> Option<Vec<u8>> {
    step(key, u8::MAX, 0, |byte| byte + 1)
}

/// The key before `key`, or none before the first one.
fn predecessor(key: &[u8]) -> Option<Vec<u8>> {
    step(key, 0, u8::MAX, |byte| byte - 1)
}

/// Steps a big-endian number: bytes that are `full` wrap to `empty`.
fn step(key: &[u8], full: u8, empty: u8, by_one: fn(u8) -> u8) -> Option<Vec<u8>> {
    let position = key.iter().rposition(|&byte| byte != full)?;
    let mut stepped = key.to_vec();
    stepped[position] = by_one(stepped[position]);
    stepped[position + 1..].fill(empty);
    Some(stepped)
}

/// An entry of a set as the kernel reports it.
#[derive(Debug)]
pub(super) struct Entry {
    element: Element,
    ends_interval: bool,
}

/// Reads the entries in the attribute that lists elements.
pub(super) fn read_entries(list: &[u8]) -> impl Iterator<Item = Entry> + '_ {
    read(list).filter(|(kind, _)| *kind == LIST_ELEMENT).filter_map(|(_, entry)| {
        let value = |kind| find(find(entry, kind)?, data::VALUE).map(<[u8]>::to_vec);
        let key = value(element::KEY)?;
        let key_end = value(element::KEY_END).filter(|last| *last != key);
        let flags = find_u32(entry, element::FLAGS).unwrap_or(0);
        Some(Entry {
            element: Element { key, key_end, data: find(entry, element::DATA).and_then(read_data) },
            ends_interval: flags & element::FLAG_INTERVAL_END != 0,
        })
    })
}

fn read_data(attributes: &[u8]) -> Option<ElementData> {
    if let Some(verdict) = find(attributes, data::VERDICT) {
        return Verdict::read(verdict).map(ElementData::Verdict);
    }
    find(attributes, data::VALUE).map(|value| ElementData::Value(value.to_vec()))
}

/// Turns all entries of a set into elements, ordered by key.
pub(super) fn elements(mut entries: Vec<Entry>, layout: Layout) -> Vec<Element> {
    // The end of one range has the key of the start of an adjacent one.
    entries.sort_by(|one, other| {
        let keys = one.element.key.cmp(&other.element.key);
        keys.then(other.ends_interval.cmp(&one.ends_interval))
    });
    let mut elements: Vec<Element> = Vec::with_capacity(entries.len());
    let mut open = false;
    for entry in entries {
        if entry.ends_interval {
            if let Some(range) = elements.last_mut().filter(|_| open) {
                range.key_end = predecessor(&entry.element.key).filter(|last| *last != range.key);
            }
            open = false;
        } else {
            elements.push(entry.element);
            open = layout == Layout::Boundaries;
        }
    }
    if let Some(range) = elements.last_mut().filter(|_| open) {
        let last = vec![u8::MAX; range.key.len()];
        range.key_end = (last != range.key).then_some(last);
    }
    elements
}

#[cfg(test)]
#[path = "element_tests.rs"]
mod tests;
