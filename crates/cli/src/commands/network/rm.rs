//! `pontoon network rm`.

use clap::Args;

use super::delete_each;
use crate::context::Context;
use crate::errors::Outcome;

/// Remove networks
#[derive(Args, Debug)]
pub(crate) struct Rm {
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
    /// Do not fail for networks that are not there
    #[arg(short, long)]
    force: bool,
}

impl Rm {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        delete_each(context, "NetworksDeleted", &self.networks, self.force, |controller, name| {
            controller.find_network(name)?.delete()
        })
    }
}
