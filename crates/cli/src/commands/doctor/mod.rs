//! `pontoon doctor`: what could be wrong, and what to do about it. It only reads.
//!
//! ```text
//! kernel      privileges and abilities        advertisements  of routers, ignored while forwarding
//! firewalls   those of others                 networks        conflicts with routes, MTU
//! state       the store, debts, differences      names           who answers sandboxes
//! ```

mod advertisements;
mod firewalls;
mod kernel;
mod names;
mod networks;
mod state;

use std::fs;

use anstyle::{AnsiColor, Style};
use clap::Args;
use pontoon::Controller;
use serde::Serialize;

use crate::context::Context;
use crate::errors::{FAILED, Failure, Outcome};
use crate::output;
use crate::progress::Spinner;

/// Check the kernel, other firewalls, conflicts and the state, and say what to do
///
/// Succeeds if nothing is wrong; remarks are no failure.
#[derive(Args, Debug)]
pub(crate) struct Doctor {}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Note,
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Finding {
    level: Level,
    text: String,
    /// What to do; nothing if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(text: impl Into<String>) -> Self {
        Self { level: Level::Ok, text: text.into(), advice: None }
    }

    fn note(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Note, text: text.into(), advice: Some(advice.into()) }
    }

    fn wrong(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Wrong, text: text.into(), advice: Some(advice.into()) }
    }

    fn print(&self) {
        let (style, word) = match self.level {
            Level::Ok => (AnsiColor::Green.on_default(), "ok"),
            Level::Note => (AnsiColor::Yellow.on_default(), "note"),
            Level::Wrong => (Style::new().bold().fg_color(Some(AnsiColor::Red.into())), "WRONG"),
        };
        let advice = self.advice.as_deref().map(|advice| format!(": {advice}")).unwrap_or_default();
        output::line(format_args!("{style}{word:<5}{style:#}  {}{advice}", self.text));
    }
}

impl Doctor {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let findings = self.look(context)?;
        if context.json() {
            output::json(&findings);
        } else {
            let shown = |finding: &&Finding| !context.settings.quiet || finding.level == Level::Wrong;
            findings.iter().filter(shown).for_each(Finding::print);
        }
        let wrong = findings.iter().any(|finding| finding.level == Level::Wrong);
        Ok(if wrong { FAILED } else { 0 })
    }

    fn look(&self, context: &Context) -> Result<Vec<Finding>, Failure> {
        let mut findings = kernel::privileges(&context.settings);
        // Without the state much can still be said.
        let opened = context.open_read_only();
        let _spinner = Spinner::start("looking", context.settings.quiet);
        findings.extend(kernel::abilities());
        findings.extend(advertisements::find());
        findings.extend(firewalls::find());
        match opened {
            Ok(controller) => {
                let found = with_state(&controller);
                drop(controller.stop()?);
                findings.extend(found?);
            }
            Err(failure) => findings.push(Finding::wrong(failure.sentence(), failure.advice())),
        }
        Ok(findings)
    }
}

fn with_state(controller: &Controller) -> Result<Vec<Finding>, Failure> {
    let mut findings = kernel::surveyed(&controller.survey()?);
    findings.extend(networks::find(controller)?);
    findings.extend(state::find(controller));
    findings.extend(names::find(controller));
    Ok(findings)
}

/// Reads a file of the kernel's; one that is not there says nothing.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
