//! The one writer of our table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pontoon_core::engine::HostError;
use pontoon_core::firewall::ruleset::TABLE;
use pontoon_core::objects::{Element, ElementKey, Object, Op};
use pontoon_netlink::nft::{self, Change, Family, TransactionError};
use pontoon_netlink::{Protocol, Refusal, Socket};

use super::inspect::{self, inspect};
use super::{Outcome, Refused, elements, ruleset};
use crate::linux::error;

/// Transactions with other changes after a refusal, before the refusal is taken for final.
const ATTEMPTS: usize = 32;

/// A socket, and what the table holds as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Writer {
    socket: Option<Socket>,
    /// The socket's port, for whoever must tell what this writer did.
    port: Arc<AtomicU32>,
    mirror: Option<Mirror>,
}

#[derive(Clone, Debug, Default)]
struct Mirror {
    /// Which ruleset the table has; none if there is no table.
    fingerprint: Option<String>,
    elements: BTreeMap<ElementKey, Element>,
}

/// What a first transaction taught.
#[derive(Default)]
struct Lessons {
    /// Steps that delete what is not there.
    absent: HashSet<usize>,
    /// Steps that add what is there in another shape, and how the kernel said so.
    replacing: HashMap<usize, HostError>,
}

/// A failed transaction: each refused step, whether it was deleting, and why; and the whole.
type Failure = (Vec<(usize, bool, Refusal)>, TransactionError);

/// Changes, and the steps that each change, or each of its elements, comes from.
#[derive(Default)]
struct Compiled {
    changes: Vec<Change>,
    origins: Vec<Vec<usize>>,
}

impl Writer {
    /// Takes steps, all or none.
    pub(super) fn write(&mut self, ops: &[&Op]) -> Outcome {
        self.load().map_err(Refused::whole)?;
        if let Some(fingerprint) = self.wanted_ruleset(ops).map_err(Refused::whole)? {
            return self.rebuild(&fingerprint, ops);
        }
        if ops.iter().any(|op| matches!(op, Op::Remove(Object::Ruleset(_)))) {
            return self.delete_table().map_err(Refused::whole);
        }
        self.increment(ops)
    }

    /// Reads the table anew.
    pub(super) fn observe(&mut self) -> Result<Vec<Object>, HostError> {
        self.mirror = None;
        let mut socket = self.socket()?;
        let inspected = inspect(&mut socket).map_err(|e| failed(&e));
        self.socket = Some(socket);
        let inspected = inspected?;
        self.mirror = Some(Mirror::of(inspected.as_ref()));
        let Some(inspected) = inspected else { return Ok(Vec::new()) };
        let elements = inspected.elements.into_iter().map(Object::Element);
        Ok(std::iter::once(Object::Ruleset(inspected.ruleset)).chain(elements).collect())
    }

    fn socket(&mut self) -> Result<Socket, HostError> {
        match self.socket.take() {
            Some(socket) => Ok(socket),
            None => {
                let socket = Socket::open(Protocol::Netfilter).map_err(|e| failed(&e))?;
                self.port.store(socket.port(), Ordering::Relaxed);
                Ok(socket)
            }
        }
    }

    /// Returns where the port of its socket can be read, also after it was opened anew.
    pub(super) fn port(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.port)
    }

    fn load(&mut self) -> Result<(), HostError> {
        match self.mirror {
            Some(_) => Ok(()),
            None => self.observe().map(drop),
        }
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Socket) -> T) -> Result<T, HostError> {
        let mut socket = self.socket()?;
        let result = work(&mut socket);
        self.socket = Some(socket);
        Ok(result)
    }

    fn mirror(&mut self) -> &mut Mirror {
        self.mirror.get_or_insert_default()
    }

    /// Returns the ruleset that must be made, if the steps ask for one that is not there.
    fn wanted_ruleset(&mut self, ops: &[&Op]) -> Result<Option<String>, HostError> {
        let wanted = ops.iter().rev().find_map(|op| match op {
            Op::Add(Object::Ruleset(ruleset)) | Op::Change { to: Object::Ruleset(ruleset), .. } => Some(ruleset),
            _ => None,
        });
        let Some(wanted) = wanted else { return Ok(None) };
        let inspected = self.with(inspect)?.map_err(|e| failed(&e))?;
        let healthy = inspected.is_some_and(|table| table.ruleset == *wanted);
        Ok((!healthy).then(|| wanted.fingerprint.clone()))
    }

    /// Makes the table anew, with all that it is to hold after the steps.
    fn rebuild(&mut self, fingerprint: &str, ops: &[&Op]) -> Outcome {
        let mut mirror = self.mirror().clone();
        mirror.follow(ops);
        mirror.fingerprint = Some(fingerprint.to_owned());
        let positions: BTreeMap<ElementKey, usize> =
            ops.iter().enumerate().filter_map(|(at, op)| Some((element(op.object())?.key(), at))).collect();
        let asking = ops.iter().position(|op| matches!(op.object(), Object::Ruleset(_))).unwrap_or(0);
        let mut compiled = Compiled { changes: ruleset::create(fingerprint), origins: Vec::new() };
        compiled.origins.resize(compiled.changes.len(), vec![asking]);
        let all = mirror.elements.values().map(|one| (positions.get(&one.key()).copied().unwrap_or(asking), one));
        compiled.push_elements(all, false);
        match self.with(|socket| compiled.apply(socket)).map_err(Refused::whole)? {
            Ok(()) => {
                self.mirror = Some(mirror);
                Ok(())
            }
            Err((refusals, error)) => Err(match refusals.into_iter().next() {
                Some((position, _, refusal)) => Refused { position, error: error::transaction(&error, Some(&refusal)) },
                None => Refused { position: asking, error: error::transaction(&error, None) },
            }),
        }
    }

    fn delete_table(&mut self) -> Result<(), HostError> {
        let deleted = self.with(|socket| nft::apply(socket, Family::Inet, TABLE, &[Change::DeleteTable]))?;
        match deleted {
            Err(error) if error.errno() != Some(libc::ENOENT) => Err(error::transaction(&error, None)),
            _ => {
                *self.mirror() = Mirror::default();
                Ok(())
            }
        }
    }

    /// Adds and deletes elements, and nothing else.
    fn increment(&mut self, ops: &[&Op]) -> Outcome {
        let mut lessons = Lessons::default();
        for _ in 0..ATTEMPTS {
            let compiled = Compiled::of(ops, &lessons);
            let (refusals, error) = match self.with(|socket| compiled.apply(socket)).map_err(Refused::whole)? {
                Ok(()) => {
                    self.mirror().follow(ops);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            if error.errno() == Some(libc::ENOENT)
                && let Some(fingerprint) = self.lost_table().map_err(Refused::whole)?
            {
                tracing::warn!("somebody removed the firewall table: making it again");
                return self.rebuild(&fingerprint, ops);
            }
            if refusals.is_empty() {
                return Err(Refused::whole(error::transaction(&error, None)));
            }
            for (position, deleting, refusal) in refusals {
                let error = error::transaction(&error, Some(&refusal));
                self.learn(ops, &mut lessons, position, deleting, &refusal, error)?;
            }
        }
        Err(Refused::whole(error::of(libc::EBUSY, "the firewall's sets kept changing")))
    }

    /// Finds another way to do a refused step, or gives up.
    fn learn(
        &mut self,
        ops: &[&Op],
        lessons: &mut Lessons,
        position: usize,
        deleting: bool,
        refusal: &Refusal,
        error: HostError,
    ) -> Result<(), Refused> {
        match refusal.errno {
            libc::ENOENT if deleting => match lessons.replacing.remove(&position) {
                // It was not this element that is in the way, but one that overlaps.
                Some(original) => Err(Refused { position, error: original }),
                None => {
                    lessons.absent = self.absent(ops).map_err(Refused::whole)?;
                    lessons.absent.insert(position);
                    Ok(())
                }
            },
            libc::EEXIST | libc::EBUSY | libc::ENOTEMPTY
                if !deleting
                    && !lessons.replacing.contains_key(&position)
                    && self.has_another(ops[position]).map_err(Refused::whole)? =>
            {
                lessons.replacing.insert(position, error);
                Ok(())
            }
            _ => Err(Refused { position, error }),
        }
    }

    /// Returns whether the very key that a step adds is there, with another value. What merely overlaps is somebody else's;
    /// to delete the new key would delete what it overlaps.
    fn has_another(&mut self, op: &Op) -> Result<bool, HostError> {
        let Some(wanted) = added(op) else { return Ok(false) };
        let inspected = self.with(inspect)?.map_err(|e| failed(&e))?;
        let mut present = inspected.iter().flat_map(|table| &table.elements);
        Ok(present.any(|one| (one.set(), one.key()) == (wanted.set(), wanted.key())))
    }

    /// Returns which ruleset the table had, if it should be there and is not.
    fn lost_table(&mut self) -> Result<Option<String>, HostError> {
        let present = self.with(|socket| inspect::present(socket, TABLE))?.map_err(|e| failed(&e))?;
        Ok(self.mirror().fingerprint.clone().filter(|_| present.is_none()))
    }

    /// Returns the steps that delete elements which are not there.
    fn absent(&mut self, ops: &[&Op]) -> Result<HashSet<usize>, HostError> {
        let inspected = self.with(inspect)?.map_err(|e| failed(&e))?;
        let place = |element: &Element| (element.set(), element.key());
        let present: BTreeSet<_> = inspected.iter().flat_map(|table| &table.elements).map(place).collect();
        let deletes = ops.iter().enumerate().filter_map(|(at, op)| Some((at, deleted(op)?)));
        Ok(deletes.filter(|(_, one)| !present.contains(&place(one))).map(|(at, _)| at).collect())
    }
}

impl Mirror {
    fn of(inspected: Option<&inspect::Inspected>) -> Self {
        let Some(inspected) = inspected else { return Self::default() };
        Self {
            fingerprint: Some(inspected.ruleset.fingerprint.clone()),
            elements: inspected.elements.iter().map(|one| (one.key(), one.clone())).collect(),
        }
    }

    fn follow(&mut self, ops: &[&Op]) {
        for op in ops {
            if let Some(gone) = deleted(op) {
                self.elements.remove(&gone.key());
            }
            if let Some(made) = added(op) {
                self.elements.insert(made.key(), made.clone());
            }
        }
    }
}

impl Compiled {
    /// Deletes come first: what is added may take the place of what is deleted.
    fn of(ops: &[&Op], lessons: &Lessons) -> Self {
        let mut compiled = Self::default();
        let steps = || ops.iter().enumerate();
        let gone =
            steps().filter(|(at, _)| !lessons.absent.contains(at)).filter_map(|(at, op)| Some((at, deleted(op)?)));
        let replaced = steps().filter(|(at, _)| lessons.replacing.contains_key(at));
        let replaced = replaced.filter_map(|(at, op)| Some((at, added(op)?)));
        compiled.push_elements(gone.chain(replaced), true);
        compiled.push_elements(steps().filter_map(|(at, op)| Some((at, added(op)?))), false);
        compiled
    }

    /// Adds one change for each set, however many elements it has.
    fn push_elements<'a>(&mut self, all: impl Iterator<Item = (usize, &'a Element)>, deleting: bool) {
        let mut by_set: BTreeMap<&'static str, (Vec<usize>, Vec<nft::Element>)> = BTreeMap::new();
        for (position, element) in all {
            let (positions, encoded) = by_set.entry(element.set()).or_default();
            positions.push(position);
            encoded.push(elements::encode(element));
        }
        for (name, (positions, elements)) in by_set {
            let set = ruleset::reference(name).expect("every set has a reference").clone();
            self.changes.push(match deleting {
                true => Change::DeleteElements { set, elements },
                false => Change::AddElements { set, elements },
            });
            self.origins.push(positions);
        }
    }

    /// Applies the changes; refusals come with the step and whether it was deleting.
    fn apply(&self, socket: &mut Socket) -> Result<(), Failure> {
        let error = match nft::apply(socket, Family::Inet, TABLE, &self.changes) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let TransactionError::Refused { failures } = &error else { return Err((Vec::new(), error)) };
        let located = failures.iter().filter_map(|failure| {
            let origins = self.origins.get(failure.change)?;
            // A set of one element needs no telling which.
            let position = origins.get(failure.element.unwrap_or(0))?;
            let deleting = matches!(self.changes.get(failure.change)?, Change::DeleteElements { .. });
            Some((*position, deleting, failure.refusal.clone()))
        });
        // The kernel answers in the order of the sets; the first step that fails is what counts.
        let mut located: Vec<_> = located.collect();
        located.sort_by_key(|(position, ..)| *position);
        Err((located, error))
    }
}

fn element(object: &Object) -> Option<&Element> {
    match object {
        Object::Element(element) => Some(element),
        _ => None,
    }
}

fn deleted(op: &Op) -> Option<&Element> {
    match op {
        Op::Remove(object) | Op::Change { from: object, .. } => element(object),
        Op::Add(_) => None,
    }
}

fn added(op: &Op) -> Option<&Element> {
    match op {
        Op::Add(object) | Op::Change { to: object, .. } => element(object),
        Op::Remove(_) => None,
    }
}

fn failed(error: &pontoon_netlink::Error) -> HostError {
    error::because("using nftables", error)
}
