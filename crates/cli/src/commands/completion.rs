//! `pontoon completion SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::errors::Outcome;
use crate::output;

/// Print the completion script of a shell
#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pontoon", &mut script);
        output::bytes(&script);
        Ok(0)
    }
}
