//! Opening the controller, and changing things with it or showing what would change.

use std::cell::OnceCell;

use pontoon::{Config, Controller, Error, PlannedStep, Preview};
use serde::Serialize;

use crate::args::Format;
use crate::errors::Failure;
use crate::output;
use crate::progress::Spinner;
use crate::settings::Settings;
use crate::signals::{Watch, status_of};

/// What a command works with.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// Takes signals from the first change on: what is begun is brought to its end.
    signals: OnceCell<Watch>,
}

/// What `--plan` prints with `--format json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PlanDocument<'a> {
    /// What is put right first.
    recovery: &'a [PlannedStep],
    steps: &'a [PlannedStep],
}

impl Context {
    /// Begins.
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, signals: OnceCell::new() }
    }

    /// Opens the controller to change something, or with `--plan` to look only; waits for others that use the same state.
    pub(crate) fn open(&self) -> Result<Controller, Failure> {
        self.open_as(self.settings.config())
    }

    /// Opens the controller to look only.
    pub(crate) fn open_read_only(&self) -> Result<Controller, Failure> {
        self.open_as(self.settings.config().read_only())
    }

    /// Opens the state in a way of the caller's.
    pub(crate) fn open_as(&self, config: Config) -> Result<Controller, Failure> {
        let _spinner = Spinner::start("opening the state", self.settings.quiet);
        let controller = Controller::open(if self.settings.plan { config.read_only() } else { config })?;
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
        let controller = self.open_read_only()?;
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
        self.change_as(self.settings.config(), doing, work)
    }

    /// Does the same with a state that is opened in a way of the caller's.
    pub(crate) fn change_as<T>(
        &self,
        config: Config,
        doing: &str,
        work: impl FnOnce(&Controller) -> Result<T, Error>,
    ) -> Result<Option<T>, Failure> {
        // Whoever is interrupted before, while others use the state, has done nothing yet.
        let controller = self.open_as(config)?;
        self.hold_signals()?;
        let changed = self.change_with(&controller, doing, work);
        // What goes on in the background must not be cut short by the end of this process.
        let settled = controller.settle();
        let stopped = controller.stop();
        let changed = changed?;
        settled?;
        drop(stopped?);
        Ok(changed)
    }

    /// Notes signals that ask to end from now on, instead of ending in the middle of a change.
    fn hold_signals(&self) -> Result<(), Failure> {
        if !self.settings.plan && self.signals.get().is_none() {
            let watch = Watch::start().map_err(|error| Failure::because("cannot take signals", error))?;
            // Nobody else sets it: a context stays in its thread.
            let _ = self.signals.set(watch);
        }
        Ok(())
    }

    /// Returns the signal that asked to end while something was being changed: nothing more should be begun.
    pub(crate) fn ending(&self) -> Option<i32> {
        self.signals.get().and_then(Watch::ending)
    }

    /// Returns the exit status of a command that did its work: that of a signal, if one asked to end meanwhile.
    pub(crate) fn conclude(&self, status: u8) -> u8 {
        let Some(signal) = self.ending() else { return status };
        if !self.settings.quiet && !self.json() {
            anstream::eprintln!("note: interrupted: what was begun is done, and nothing more was begun");
        }
        status_of(signal)
    }

    /// Does the same with a controller that is open, and stays so.
    pub(crate) fn change_with<T>(
        &self,
        controller: &Controller,
        doing: &str,
        work: impl FnOnce(&Controller) -> Result<T, Error>,
    ) -> Result<Option<T>, Failure> {
        if self.settings.plan {
            let Preview { recovery, steps, .. } = controller.preview(work)?;
            self.print_plan(&recovery, &steps);
            return Ok(None);
        }
        let _spinner = Spinner::start(doing, self.settings.quiet);
        Ok(Some(work(controller)?))
    }

    /// Prints the steps that would be taken, those of a recovery that is due first.
    pub(crate) fn print_plan(&self, recovery: &[PlannedStep], steps: &[PlannedStep]) {
        if self.json() {
            return output::json(&PlanDocument { recovery, steps });
        }
        for (heading, steps) in [("# recovery first", recovery), ("# then", steps)] {
            if !recovery.is_empty() && !steps.is_empty() {
                output::line(heading);
            }
            steps.iter().for_each(|step| output::line(&step.0));
        }
    }
}
