//! `pontoon sandbox exec`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::exec::{self, Place};
use crate::commands::run::open;
use crate::context::Context;
use crate::errors::{Failure, OURS, Outcome};
use crate::signals::Watch;

/// Run a command inside a sandbox
#[derive(Args, Debug)]
pub(crate) struct Exec {
    /// Name or id
    sandbox: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Exec {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let signals = Watch::start().map_err(|error| Failure::because("cannot take signals", error).exiting(OURS))?;
        let sandbox = context.look(|controller| Ok(controller.find_sandbox(&self.sandbox)?))?;
        if context.settings.plan {
            context.print_plan(&[], &[]);
            return Ok(0);
        }
        let record = sandbox.info()?;
        let namespace = open(&sandbox, &record.spec)?;
        let place = Place {
            namespace: namespace.as_ref(),
            hostname: record.spec.hostname.as_deref(),
            files: sandbox.files(),
            settings: &context.settings,
        };
        exec::run(&place, &self.command, &signals)
    }
}
