//! The nftables table: it stands or it does not, and its elements with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use pontoon_core::engine::HostError;
use pontoon_core::objects::{Element, ElementKey, Object, Op, Ruleset};

use super::world::{EEXIST, ENOENT, World, errno};

#[derive(Clone)]
pub(super) struct Table {
    pub(super) ruleset: Ruleset,
    /// By set: one key may be in two of them.
    pub(super) elements: BTreeMap<(&'static str, ElementKey), Present>,
    added: u64,
}

/// An element and how many were added before it.
#[derive(Clone)]
pub(super) struct Present {
    pub(super) element: Element,
    age: u64,
}

impl World {
    /// Takes steps on the table in one transaction: the table first, then deletions, then additions. A failure names the
    /// first step that failed, and leaves the transaction half made: the caller has what was before.
    pub(super) fn transaction(&mut self, ops: &[Op]) -> Result<(), (usize, HostError)> {
        let removes_table = |op: &Op| matches!(op, Op::Remove(Object::Ruleset(_)));
        if ops.iter().any(removes_table) {
            self.table = None;
            return Ok(());
        }
        for (at, op) in ops.iter().enumerate() {
            match op {
                Op::Add(Object::Ruleset(ruleset)) => self.add_ruleset(ruleset).map_err(|error| (at, error))?,
                Op::Change { to: Object::Ruleset(ruleset), .. } => self.change_ruleset(ruleset),
                Op::Remove(Object::Element(gone)) | Op::Change { from: Object::Element(gone), .. } => {
                    self.remove_element(gone);
                }
                _ => {}
            }
        }
        for (at, op) in ops.iter().enumerate() {
            if let Op::Add(Object::Element(new)) | Op::Change { to: Object::Element(new), .. } = op {
                self.add_element(new).map_err(|error| (at, error))?;
            }
        }
        Ok(())
    }

    pub(super) fn add_ruleset(&mut self, ruleset: &Ruleset) -> Result<(), HostError> {
        match &self.table {
            Some(table) if table.ruleset == *ruleset => Ok(()),
            Some(_) => Err(errno(EEXIST)),
            None => {
                self.table = Some(Table { ruleset: ruleset.clone(), elements: BTreeMap::new(), added: 0 });
                Ok(())
            }
        }
    }

    /// Replaces the ruleset in one transaction that carries the elements over.
    pub(super) fn change_ruleset(&mut self, to: &Ruleset) {
        match &mut self.table {
            Some(table) => table.ruleset = to.clone(),
            None => self.table = Some(Table { ruleset: to.clone(), elements: BTreeMap::new(), added: 0 }),
        }
    }

    pub(super) fn add_element(&mut self, element: &Element) -> Result<(), HostError> {
        self.table.as_mut().ok_or_else(|| errno(ENOENT))?.add(element)
    }

    pub(super) fn change_element(&mut self, from: &Element, to: &Element) -> Result<(), HostError> {
        let table = self.table.as_mut().ok_or_else(|| errno(ENOENT))?;
        let removed = table.remove(from);
        let added = table.add(to);
        if let (Err(_), Some(from)) = (&added, removed) {
            // One transaction: nothing of it happened.
            table.elements.insert((from.element.set(), from.element.key()), from);
        }
        added
    }

    pub(super) fn remove_element(&mut self, element: &Element) {
        if let Some(table) = &mut self.table {
            table.remove(element);
        }
    }
}

impl Table {
    fn add(&mut self, element: &Element) -> Result<(), HostError> {
        let key = (element.set(), element.key());
        match self.elements.get(&key) {
            Some(present) if present.element == *element => return Ok(()),
            Some(_) => return Err(errno(EEXIST)),
            None => {}
        }
        if self.of_set(key.0).any(|present| collide(&present.element, element)) {
            return Err(errno(EEXIST));
        }
        self.elements.insert(key, Present { element: element.clone(), age: self.added });
        self.added += 1;
        Ok(())
    }

    /// Removes an element. A set with several fields looks for the first key only (`nft_pipapo_deactivate`): what goes is
    /// the oldest element around that key, which may be larger.
    fn remove(&mut self, element: &Element) -> Option<Present> {
        let around = self.of_set(element.set()).filter(|present| is_around(&present.element, element));
        let oldest = around.min_by_key(|present| present.age).map(|present| present.element.key());
        self.elements.remove(&(element.set(), oldest.unwrap_or_else(|| element.key())))
    }

    fn of_set(&self, set: &'static str) -> impl Iterator<Item = &Present> {
        self.elements.values().filter(move |present| present.element.set() == set)
    }
}

/// Whether a set of intervals that has `present` refuses `new`.
///
/// A set with one field refuses every overlap (nft_set_rbtree). One with several looks only whether the first or the last
/// key of the new element is in the present one (`nft_pipapo_insert`): an element around another is accepted.
fn collide(present: &Element, new: &Element) -> bool {
    match (intervals(present), intervals(new)) {
        (Some(Intervals::Single(present)), Some(Intervals::Single(new))) => {
            present.start() <= new.end() && new.start() <= present.end()
        }
        (Some(Intervals::Several(present)), Some(Intervals::Several(new))) => {
            contain(&present, new.iter().map(RangeInclusive::start))
                || contain(&present, new.iter().map(RangeInclusive::end))
        }
        _ => false,
    }
}

/// Whether the first key of `other` is in `present`, both of a set with several fields.
fn is_around(present: &Element, other: &Element) -> bool {
    match (intervals(present), intervals(other)) {
        (Some(Intervals::Several(present)), Some(Intervals::Several(other))) => {
            contain(&present, other.iter().map(RangeInclusive::start))
        }
        _ => false,
    }
}

fn contain<'a>(fields: &[RangeInclusive<Vec<u8>>], key: impl Iterator<Item = &'a Vec<u8>>) -> bool {
    fields.iter().zip(key).all(|(field, part)| field.contains(part))
}

/// Fields as the bytes that the kernel compares; all values of one field of one set have one length, but for names.
enum Intervals {
    Single(RangeInclusive<Vec<u8>>),
    Several(Vec<RangeInclusive<Vec<u8>>>),
}

fn intervals(element: &Element) -> Option<Intervals> {
    let exact = |bytes: Vec<u8>| bytes.clone()..=bytes;
    let prefix = |prefix: &ipnet::IpNet| bytes(prefix.network())..=bytes(prefix.broadcast());
    let ports = |ports: &pontoon_core::ports::PortRange| {
        ports.first().to_be_bytes().to_vec()..=ports.last().to_be_bytes().to_vec()
    };
    Some(match element {
        Element::Subnet(subnet)
        | Element::Masquerade(subnet)
        | Element::Snat(subnet, _)
        | Element::Routed(subnet)
        | Element::Unprotected(subnet) => Intervals::Single(prefix(subnet)),
        Element::OnLink(subnet, link) | Element::Trusted(subnet, link) => {
            Intervals::Several(vec![prefix(subnet), exact(link.as_str().as_bytes().to_vec())])
        }
        Element::Open { ip, proto, ports: range } if range.count() > 1 => {
            Intervals::Several(vec![exact(bytes(*ip)), exact(vec![proto.number()]), ports(range)])
        }
        Element::Publish { host, proto, ports: range, port: None, .. } => {
            let host = host.iter().map(|ip| exact(bytes(*ip)));
            Intervals::Several(host.chain([exact(vec![proto.number()]), ports(range)]).collect())
        }
        _ => return None,
    })
}

fn bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
