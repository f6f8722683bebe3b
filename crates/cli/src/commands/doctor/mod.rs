//! `pontoon doctor`.

use clap::Args;

use crate::context::Context;
use crate::errors::Outcome;

/// Check
#[derive(Args, Debug)]
pub(crate) struct Doctor {}
impl Doctor {
    pub(crate) fn run(&self, _: &Context) -> Outcome {
        Ok(0)
    }
}
