//! `pontoon man DIR`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use pontoon::PlannedStep;

use crate::args::{Cli, Global};
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::settings::Settings;

/// Write the manual pages into a directory, one for each command
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The directory; it is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        if global.plan {
            let step = PlannedStep(format!("+ manual pages in {}", self.directory.display()));
            Context::new(Settings::of(global)?).print_plan(&[], &[step]);
            return Ok(0);
        }
        let failed =
            |error| Failure::because(format!("cannot write manual pages to {}", self.directory.display()), error);
        fs::create_dir_all(&self.directory).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.directory).map_err(failed)?;
        Ok(0)
    }
}
