//! `pontoon sandbox rm`.

use clap::Args;

use crate::commands::network::delete_each;
use crate::context::Context;
use crate::errors::Outcome;

/// Remove sandboxes with their endpoints
#[derive(Args, Debug)]
pub(crate) struct Rm {
    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
    /// Do not fail for sandboxes that are not there
    #[arg(short, long)]
    force: bool,
}

impl Rm {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        delete_each(context, "SandboxesDeleted", &self.sandboxes, self.force, |controller, name| {
            controller.find_sandbox(name)?.delete()
        })
    }
}
