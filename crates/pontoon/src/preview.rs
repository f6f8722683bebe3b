//! What would be done, and what is left to do: both found out on a copy of the state, over a host that is only looked at.

use std::sync::Arc;

use pontoon_core::engine::{Difference, Restored};
use pontoon_core::objects::{Op, Plan};
use pontoon_host::preview::{PreviewHost, PreviewStore};

use crate::{Controller, Error};

/// One step of a plan, as a readable line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlannedStep(pub String);

/// What an operation would do.
#[derive(Clone, Debug)]
pub struct Preview<T> {
    /// What it would return.
    pub outcome: T,
    /// The steps that would be taken before it, in order: those of a recovery that is due.
    pub recovery: Vec<PlannedStep>,
    /// The steps it would take, in order.
    pub steps: Vec<PlannedStep>,
}

/// What the next controller that may change things puts right when it is opened.
///
/// Debts are no reason for a recovery, though one pays them: see [`Controller::debts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Whether the last process that used the state did not end in order.
    pub unclean: bool,
    /// Whether the boot or network namespace that the state belongs to is gone.
    pub outdated: bool,
    /// Records that are not, or not all, on the host yet, each as its kind and name: they are finished.
    pub unfinished: Vec<String>,
    /// Names of sandboxes that cannot exist any more, for their owner, boot or namespace is gone: they are removed.
    pub stale: Vec<String>,
    /// The steps on the host, in order. What they remove has no record, or belongs to a stale sandbox.
    pub steps: Vec<Op>,
}

/// A copy of a controller, to try things on.
struct Fork {
    host: Arc<PreviewHost>,
    controller: Controller,
}

impl Fork {
    fn of(controller: &Controller) -> Self {
        let host = Arc::new(PreviewHost::over(controller.engine.host().clone()));
        let store = PreviewStore::over(controller.engine.store().clone());
        let copy = Controller {
            id: controller.id.clone(),
            config: controller.config.clone(),
            engine: Arc::new(controller.engine.fork(host.clone(), Arc::new(store))),
            session: None,
            quarantined: controller.quarantined.clone(),
            restored: Restored::default(),
            recovery_due: false,
        };
        Self { host, controller: copy }
    }

    /// Does what a start would do.
    fn recover(&self) -> Result<Restored, Error> {
        self.controller.engine.check_host()?;
        self.controller.engine.restore()
    }
}

impl Controller {
    /// Does `work` on a copy of the state, after what would be put right first, and returns the steps; nothing happens.
    ///
    /// # Errors
    ///
    /// What `work` returns, and if the host cannot be read.
    pub fn preview<T>(&self, work: impl FnOnce(&Self) -> Result<T, Error>) -> Result<Preview<T>, Error> {
        let fork = Fork::of(self);
        if self.recovery_due {
            fork.recover()?;
        }
        let before = fork.host.plans().len();
        let outcome = work(&fork.controller)?;
        let plans = fork.host.plans();
        let steps = |plans: &[Plan]| plans.iter().flat_map(Plan::ops).map(|op| PlannedStep(op.to_string())).collect();
        Ok(Preview { outcome, recovery: steps(&plans[..before]), steps: steps(&plans[before..]) })
    }

    /// Returns what is left for a controller that may change things; nothing, if this one is such a controller.
    ///
    /// # Errors
    ///
    /// If the host cannot be read, or has things of another state.
    pub fn pending(&self) -> Result<Pending, Error> {
        if !self.recovery_due {
            return Ok(Pending::default());
        }
        let fork = Fork::of(self);
        let Restored { stale, repaired } = fork.recover()?;
        Ok(Pending {
            unclean: self.session.as_ref().is_some_and(|session| !session.follows_order()),
            outdated: self.engine.is_outdated()?,
            unfinished: fork.controller.engine.records_of(&repaired.done)?,
            stale,
            steps: repaired.done,
        })
    }

    /// Names what differs between the host and what should be there, by the step that puts it right.
    ///
    /// # Errors
    ///
    /// See [`Controller::pending`].
    pub fn diagnose(&self) -> Result<Vec<Difference>, Error> {
        if self.recovery_due {
            // What should be there is what is there after the recovery.
            return Ok(self.pending()?.steps.into_iter().map(|step| Difference { step }).collect());
        }
        self.engine.diagnose()
    }
}
