//! `pontoon endpoint`.

mod inspect;
mod ls;

use clap::Subcommand;
use pontoon::{Controller, Endpoint as Handle, EndpointError, Error};

use crate::context::Context;
use crate::errors::Outcome;

pub(crate) use inspect::describe;

/// Look at endpoints: the places where sandboxes are connected to networks
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Endpoint {
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    Inspect(inspect::Inspect),
}

impl Endpoint {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::Ls(command) => command.run(context),
            Self::Inspect(command) => command.run(context),
        }
    }
}

/// Finds endpoints by the beginning of their id, or by their name, which is unique in each network only.
fn find(controller: &Controller, text: &str) -> Result<Vec<Handle>, Error> {
    let mut found = controller.endpoints();
    found.retain(|endpoint| {
        let named = endpoint.record().is_ok_and(|record| record.spec.name == text);
        named || (!text.is_empty() && endpoint.id().to_string().starts_with(text))
    });
    match found.is_empty() {
        true => Err(EndpointError::NotFound { name: text.to_owned() }.into()),
        false => Ok(found),
    }
}
