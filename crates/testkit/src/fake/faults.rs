//! Faults that tests ask for.

use pontoon_core::engine::HostError;
use pontoon_core::objects::Op;

use super::world::errno;

type FailWhen = Box<dyn Fn(usize, usize, &Op) -> Option<HostError> + Send>;
type FailUndo = Box<dyn Fn(&Op) -> Option<HostError> + Send>;
type CrashWhen = Box<dyn Fn(usize, usize) -> bool + Send>;

#[derive(Default)]
pub(super) struct Faults {
    pub(super) fail_when: Option<FailWhen>,
    pub(super) fail_undo: Option<FailUndo>,
    pub(super) crash_when: Option<CrashWhen>,
    pub(super) hit: bool,
    /// How many steps are still taken before one fails.
    steps_left: Option<usize>,
    /// How many moments still pass before a crash.
    moments_left: Option<usize>,
}

impl Faults {
    pub(super) fn fail_step(&mut self, n: usize) {
        (self.steps_left, self.hit) = (Some(n), false);
    }

    pub(super) fn crash_at(&mut self, n: usize) {
        (self.moments_left, self.hit) = (Some(n), false);
    }

    pub(super) fn refuse(&mut self, call: usize, step: usize, op: &Op) -> Option<HostError> {
        let counted = expired(&mut self.steps_left).then(|| errno(5));
        let refused = counted.or_else(|| self.fail_when.as_ref().and_then(|when| when(call, step, op)));
        self.hit |= refused.is_some();
        refused
    }

    pub(super) fn refuse_undo(&mut self, undo: &Op) -> Option<HostError> {
        let refused = self.fail_undo.as_ref().and_then(|when| when(undo));
        self.hit |= refused.is_some();
        refused
    }

    pub(super) fn crashes(&mut self, call: usize, step: usize) -> bool {
        let crash = expired(&mut self.moments_left) || self.crash_when.as_ref().is_some_and(|when| when(call, step));
        self.hit |= crash;
        crash
    }
}

/// Counts down; true once, after the last.
fn expired(left: &mut Option<usize>) -> bool {
    let now = *left == Some(0);
    *left = left.and_then(|n| n.checked_sub(1));
    now
}
