//! `pontoon completion SHELL`.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::errors::Outcome;

/// Print the completion script of a shell
#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> Outcome {
        clap_complete::generate(self.shell, &mut Cli::command(), "pontoon", &mut io::stdout());
        Ok(0)
    }
}
