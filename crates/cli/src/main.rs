//! The `pontoon` binary: reads the command line, does one thing, and leaves.
//!
//! ```text
//! args       what can be written        settings   where things are
//! context    opening the controller     output     tables and documents
//! commands   one file each              errors     what went wrong, and the exit status
//! rootless   a user namespace of one's own          enter, signals   running a command in a sandbox
//! ```
#![forbid(unsafe_code)]

mod args;
mod commands;
mod confirm;
mod context;
mod enter;
mod errors;
mod logging;
mod output;
mod progress;
mod rootless;
mod settings;
mod signals;
mod time;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(errors::USAGE));
        }
    };
    logging::start(&cli.global);
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.status())
        }
    }
}
