//! `pontoon demo`: a small world in namespaces of its own, looked at with real packets.
//!
//! ```text
//! stage     the world: an outside, a host, networks and sandboxes, and taking it down again
//! checks    what must hold, one function each
//! probe     the packets: echo requests, connections, and the servers that answer
//! report    the picture, the list of checks, the timings
//! ```

mod checks;
mod directory;
mod probe;
mod report;
mod stage;

use clap::Args;

use crate::args::{Format, Global};
use crate::context::Context;
use crate::errors::{FAILED, Failure, Outcome};
use crate::progress::Spinner;
use crate::settings::{Settings, is_privileged};
use crate::signals::Watch;
use crate::{output, rootless};
use directory::Directory;
use report::Report;
use stage::Stage;

/// Show networks at work, in namespaces of their own that end with the command
///
/// Makes networks and sandboxes and an outside world, checks with real packets what reaches what, and removes everything. It
/// touches nothing on the machine and needs no privileges. Succeeds only if every check held.
#[derive(Args, Debug)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        if global.plan {
            match global.format {
                Format::Json => Context::new(Settings::of(global)?).print_plan(&[], &[]),
                Format::Table => {
                    output::line("demo makes everything in namespaces of its own: nothing here would change");
                }
            }
            return Ok(0);
        }
        // Namespaces come first: a process with several threads cannot have a user namespace of its own.
        rootless::isolate(!is_privileged())?;
        pontoon::loopback_up()?;
        let signals = Watch::start().map_err(|error| Failure::because("cannot take signals", error))?;
        let directory = Directory::make()?;
        let spinner = Spinner::start("sending packets", global.quiet);
        let report = play(&directory, &signals);
        drop(spinner);
        directory.remove()?;
        let report = report?;
        match global.format {
            Format::Json => output::json(&report),
            Format::Table => report.print(),
        }
        Ok(if report.held() { 0 } else { FAILED })
    }
}

fn play(directory: &Directory, signals: &Watch) -> Result<Report, Failure> {
    let mut stage = Stage::set(directory)?;
    let mut report = Report { picture: stage.picture()?, ..Report::default() };
    let servers = stage.serve()?;
    for check in checks::all(&stage)? {
        if signals.ending().is_some() {
            break;
        }
        report.checks.push(check.run());
    }
    drop(servers);
    report.checks.extend(stage.strike()?);
    report.timings = stage.timings();
    match signals.ending() {
        Some(_) => Err(Failure::new("interrupted; everything was removed")),
        None => Ok(report),
    }
}
