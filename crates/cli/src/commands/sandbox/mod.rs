//! `pontoon sandbox`.

mod adopt;
mod create;
mod exec;
mod inspect;
mod ls;
mod rm;

use clap::Subcommand;
use pontoon::Controller;

use crate::context::Context;
use crate::errors::{Failure, Outcome};

/// Manage sandboxes: the network stacks of containers
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Sandbox {
    Create(create::Create),
    Adopt(adopt::Adopt),
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    Inspect(inspect::Inspect),
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
    Exec(exec::Exec),
}

impl Sandbox {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::Create(command) => command.run(context),
            Self::Adopt(command) => command.run(context),
            Self::Ls(command) => command.run(context),
            Self::Inspect(command) => command.run(context),
            Self::Rm(command) => command.run(context),
            Self::Exec(command) => command.run(context),
        }
    }
}

/// Returns the sandbox of a name or id, or all of them without one.
pub(super) fn chosen(controller: &Controller, name: Option<&str>) -> Result<Vec<pontoon::Sandbox>, Failure> {
    Ok(match name {
        Some(name) => vec![controller.find_sandbox(name)?],
        None => controller.sandboxes(),
    })
}
