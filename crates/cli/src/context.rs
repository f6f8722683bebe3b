//! Opening the controller, and changing things with it or showing what would change.

use pontoon::{Config, Controller, Error, PlannedStep};
use serde::Serialize;

use crate::args::Format;
use crate::errors::Failure;
use crate::output;
use crate::progress::Spinner;
use crate::settings::Settings;

/// What a command works with.
pub(crate) struct Context {
    pub(crate) settings: Settings,
}

/// What `--plan` prints with `--format json`.
#[derive(Serialize)]
struct PlanDocument<'a> {
    #[serde(rename = "Steps")]
    steps: &'a [PlannedStep],
}

impl Context {
    /// Opens the controller; waits for others that use the same state.
    pub(crate) fn open(&self) -> Result<Controller, Failure> {
        self.open_as(self.settings.config())
    }

    /// Opens the state in a way of the caller's.
    pub(crate) fn open_as(&self, config: Config) -> Result<Controller, Failure> {
        let _spinner = Spinner::start("opening the state", self.settings.quiet);
        let controller = Controller::open(config)?;
        for record in controller.quarantined() {
            tracing::warn!(key = %record.key, reason = %record.reason, "a record cannot be read and is left alone");
        }
        Ok(controller)
    }

    /// Returns whether results are one JSON document.
    pub(crate) fn json(&self) -> bool {
        self.settings.format == Format::Json
    }

    /// Looks at the state and leaves it alone.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&Controller) -> Result<T, Failure>) -> Result<T, Failure> {
        let controller = self.open()?;
        let looked = work(&controller);
        drop(controller.stop()?);
        looked
    }

    /// Changes something and returns the outcome; with `--plan`, prints the steps instead and returns nothing.
    pub(crate) fn change<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&Controller) -> Result<T, Error>,
    ) -> Result<Option<T>, Failure> {
        let controller = self.open()?;
        let changed = self.change_with(&controller, doing, work);
        // What goes on in the background must not be cut short by the end of this process.
        let settled = controller.settle();
        let stopped = controller.stop();
        let changed = changed?;
        settled?;
        drop(stopped?);
        Ok(changed)
    }

    /// Does the same with a controller that is open, and stays so.
    pub(crate) fn change_with<T>(
        &self,
        controller: &Controller,
        doing: &str,
        work: impl FnOnce(&Controller) -> Result<T, Error>,
    ) -> Result<Option<T>, Failure> {
        if self.settings.plan {
            let preview = controller.preview(work)?;
            self.print_plan(&preview.steps);
            return Ok(None);
        }
        let _spinner = Spinner::start(doing, self.settings.quiet);
        Ok(Some(work(controller)?))
    }

    /// Prints the steps that would be taken.
    pub(crate) fn print_plan(&self, steps: &[PlannedStep]) {
        if self.json() {
            output::json(&PlanDocument { steps });
        } else {
            steps.iter().for_each(|step| output::line(&step.0));
        }
    }
}
