//! The difference between two sets of objects, as steps that can be undone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Object, Objects};

/// When an object is made relative to others; removal goes the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The firewall's static part.
    Ruleset,
    /// Namespaces.
    Namespace,
    /// Files of sandboxes.
    File,
    /// Bridges, not yet reachable.
    Bridge,
    /// Firewall elements that keep packets out, and the way to a sandbox's resolver.
    Protection,
    /// Addresses of bridges.
    HostAddress,
    /// Interfaces of sandboxes.
    Veth,
    /// How fast data may pass interfaces of sandboxes.
    Limit,
    /// Kernel settings of interfaces of sandboxes.
    Setting,
    /// Addresses in sandboxes.
    Address,
    /// Routes in sandboxes.
    Route,
    /// Held host ports.
    Held,
    /// Kernel settings, which open the way between interfaces: setting one and setting it back is seen by all of them.
    Sysctl,
    /// Firewall elements that let packets in.
    Opening,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Makes an object.
    Add(Object),
    /// Removes one.
    Remove(Object),
    /// Turns one into another of the same key.
    Change {
        /// What is there.
        from: Object,
        /// What shall be there.
        to: Object,
    },
}

impl Op {
    /// Returns the step that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Self::Add(object) => Self::Remove(object.clone()),
            Self::Remove(object) => Self::Add(object.clone()),
            Self::Change { from, to } => Self::Change { from: to.clone(), to: from.clone() },
        }
    }

    /// Returns the object that the step is about: the new one of a change.
    pub fn object(&self) -> &Object {
        match self {
            Self::Add(object) | Self::Remove(object) | Self::Change { to: object, .. } => object,
        }
    }

    /// Returns whether it cannot be undone, and so happens after the commit.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Remove(object) if object.is_final())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(object) => write!(f, "+ {object}"),
            Self::Remove(object) => write!(f, "- {object}"),
            Self::Change { from, to } => write!(f, "~ {from} -> {to}"),
        }
    }
}

/// Steps in the order they are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan(Vec<Op>);

impl Plan {
    /// Takes steps as they are.
    pub fn of(ops: Vec<Op>) -> Self {
        Self(ops)
    }

    /// Returns the steps that turn `before` into `after`: adds and changes by rising rank, then removals by falling rank.
    ///
    /// What goes with a removed container (an address with its link, a route with its namespace) is not removed by itself.
    pub fn between(before: &Objects, after: &Objects) -> Self {
        let mut made = Vec::new();
        for object in after.iter() {
            match before.get(&object.key()) {
                None => made.push(Op::Add(object.clone())),
                Some(present) if present == object => {}
                Some(present) => made.push(Op::Change { from: present.clone(), to: object.clone() }),
            }
        }
        made.sort_by_key(|op| op.object().rank());
        let gone: Vec<&Object> = before.iter().filter(|object| after.get(&object.key()).is_none()).collect();
        let containers: Vec<&Object> = gone.iter().copied().filter(|object| object.is_container()).collect();
        let mut removed: Vec<&Object> =
            gone.into_iter().filter(|object| !containers.iter().any(|container| object.goes_with(container))).collect();
        removed.sort_by_key(|object| std::cmp::Reverse(object.rank()));
        made.extend(removed.into_iter().cloned().map(Op::Remove));
        Self(made)
    }

    /// Returns the plan that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self(self.0.iter().rev().map(Op::inverse).collect())
    }

    /// Returns the steps before the commit, which can be undone, and the final ones after it.
    pub fn split(self) -> (Self, Self) {
        let (after, before) = self.0.into_iter().partition(Op::is_final);
        (Self(before), Self(after))
    }

    /// Returns the steps.
    pub fn ops(&self) -> &[Op] {
        &self.0
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many steps there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `objects` after the plan, as far as keys tell: what an ideal host would hold.
    pub fn applied_to(&self, objects: &Objects) -> Objects {
        let mut after = objects.clone();
        for op in &self.0 {
            match op {
                Op::Add(object) | Op::Change { to: object, .. } => after.set(object.clone()),
                Op::Remove(object) => {
                    after.remove(&object.key());
                    after.retain(|other| !other.goes_with(object));
                }
            }
        }
        after
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|op| writeln!(f, "{op}"))
    }
}
