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

use crate::args::{Cli, Format};
use crate::errors::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unreadable(&error),
    };
    logging::start(&cli.global);
    let format = cli.global.format;
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure.print(format);
            ExitCode::from(failure.status())
        }
    }
}

/// Says why a command line cannot be read, or the help or version that it asks for.
fn unreadable(error: &clap::Error) -> ExitCode {
    match Format::guess(std::env::args_os()) {
        Format::Json if error.use_stderr() => Failure::unreadable(error).print(Format::Json),
        _ => {
            // Nobody is left to tell if the terminal is gone.
            let _ = error.print();
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(errors::USAGE))
}
