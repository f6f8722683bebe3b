//! `pontoon network`: the flags of `docker network`.

mod connect;
mod create;
mod disconnect;
mod forwarding;
mod inspect;
mod ls;
mod prune;
mod rm;

use clap::Subcommand;
use pontoon::{Controller, Error, Kind};
use serde_json::{Value, json};

use crate::context::Context;
use crate::errors::{FAILED, Failure, Outcome};
use crate::output;

/// Manage networks
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Network {
    Create(Box<create::Create>),
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    Inspect(inspect::Inspect),
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
    Prune(prune::Prune),
    Connect(Box<connect::Connect>),
    Disconnect(disconnect::Disconnect),
}

impl Network {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::Create(command) => command.run(context),
            Self::Ls(command) => command.run(context),
            Self::Inspect(command) => command.run(context),
            Self::Rm(command) => command.run(context),
            Self::Prune(command) => command.run(context),
            Self::Connect(command) => command.run(context),
            Self::Disconnect(command) => command.run(context),
        }
    }
}

/// Deletes each of several things, goes on after a failure but not after a signal, and prints the names of those that are gone:
/// one a line, or as a document of one `field`.
pub(crate) fn delete_each(
    context: &Context,
    field: &str,
    names: &[String],
    force: bool,
    delete: impl Fn(&Controller, &str) -> Result<(), Error>,
) -> Outcome {
    let mut refused = Vec::new();
    let deleted = context.change("removing", |controller| {
        let mut deleted = Vec::new();
        for name in names.iter().take_while(|_| context.ending().is_none()) {
            match delete(controller, name) {
                Ok(()) => deleted.push(name),
                Err(error) if force && error.kind() == Kind::NotFound => {}
                Err(error) => refused.push(Failure::from(error)),
            }
        }
        Ok(deleted)
    })?;
    match deleted {
        Some(deleted) if context.json() => output::json(&json!({ field: deleted })),
        Some(deleted) => deleted.iter().for_each(output::line),
        // The steps are printed.
        None => {}
    }
    Ok(told(context, &refused))
}

/// Prints why some of several things were not done, and returns the exit status.
pub(crate) fn told(context: &Context, refused: &[Failure]) -> u8 {
    refused.iter().for_each(|failure| failure.print(context.settings.format));
    if refused.is_empty() { 0 } else { FAILED }
}

/// Prints an array of all that was found, and what was not to standard error.
pub(crate) fn inspect_all(
    context: &Context,
    names: &[String],
    describe: impl Fn(&Controller, &str) -> Result<Vec<Value>, Failure>,
) -> Outcome {
    let outcomes =
        context.look(|controller| Ok(names.iter().map(|name| describe(controller, name)).collect::<Vec<_>>()))?;
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(documents) => found.extend(documents),
            Err(failure) => refused.push(failure),
        }
    }
    output::json(&found);
    Ok(told(context, &refused))
}
