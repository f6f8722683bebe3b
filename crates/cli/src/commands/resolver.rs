//! `pontoon resolver`.

use clap::Args;

use crate::context::Context;
use crate::errors::{Failure, Outcome};

/// Answer sandboxes that ask for names, and announce their addresses, until there has been none for a moment
///
/// Commands start it when they need it; one for each run directory is enough, and a second one leaves.
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Resolver {}

impl Resolver {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let run_dir = &context.settings.run_dir;
        let served = pontoon::names::serve(run_dir);
        served.map_err(|error| {
            Failure::because(format!("cannot answer the sandboxes of {}", run_dir.display()), error)
                .hinted("`pontoon repair` makes the directory and starts another")
        })?;
        Ok(0)
    }
}
