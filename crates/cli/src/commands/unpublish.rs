//! `pontoon unpublish`.

use clap::Args;
use pontoon::{Controller, Error, PortBinding};

use super::{port, publish};
use crate::context::Context;
use crate::errors::Outcome;
use crate::values::Ports;

/// Take published ports of a sandbox back
///
/// All of them, or none. Prints where they were published.
#[derive(Args, Debug)]
pub(crate) struct Unpublish {
    /// Name or id of the sandbox
    sandbox: String,
    /// A port, as it was given when it was published: 80 for a port that got its host port by itself
    #[arg(required = true, value_name = "SPEC")]
    ports: Vec<Ports>,
}

impl Unpublish {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let unpublished = context.change("taking ports back", |controller| self.unpublish(controller))?;
        if let Some((sandbox, bindings)) = unpublished {
            port::print(context, &sandbox, &bindings);
        }
        Ok(0)
    }

    fn unpublish(&self, controller: &Controller) -> Result<(String, Vec<PortBinding>), Error> {
        let sandbox = controller.find_sandbox(&self.sandbox)?;
        let bindings = sandbox.unpublish(&publish::all(&self.ports))?;
        Ok((sandbox.info()?.spec.name.clone(), bindings))
    }
}
