//! `pontoon repair`.

use clap::Args;
use pontoon::{Config, Controller, Kind, Repaired};
use serde::Serialize;

use crate::confirm::confirm;
use crate::context::Context;
use crate::errors::{FAILED, Failure, Outcome};
use crate::output;
use crate::progress::Spinner;
use crate::rootless::Membership;

/// Make the host what it should be, and print what was changed
#[derive(Args, Debug)]
pub(crate) struct Repair {
    /// Remove every network, endpoint and sandbox, and everything on the host that is Pontoon's
    #[arg(long)]
    purge: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    stale: Vec<String>,
    done: Vec<String>,
    failed: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    step: String,
    reason: String,
}

impl Repair {
    pub(crate) fn run(&self, context: &Context, membership: Option<&Membership>) -> Outcome {
        if context.settings.plan {
            return self.plan(context);
        }
        let warning = "WARNING! This will remove all networks, endpoints and sandboxes, and cut off what uses them.";
        if self.purge && !self.force && !confirm(context.settings.format, warning)? {
            return Err(Failure::new("nothing was removed")
                .hinted("answer with y, or give --force")
                .of_kind(Kind::Forbidden));
        }
        let controller = context.open_as(self.config(context))?;
        let restored = controller.restored().clone();
        let spinner = Spinner::start("repairing", context.settings.quiet);
        let repaired = if self.purge { controller.purge() } else { controller.repair() };
        drop(spinner);
        drop(controller.stop()?);
        if let Some(membership) = membership.filter(|_| self.purge) {
            membership.release();
        }
        let document = document(restored.stale, &restored.repaired, &repaired?);
        self.print(context, &document);
        Ok(if document.failed.is_empty() { 0 } else { FAILED })
    }

    fn plan(&self, context: &Context) -> Outcome {
        let work = |controller: &Controller| if self.purge { controller.purge() } else { controller.repair() };
        context.change_as(self.config(context), "", work)?;
        Ok(0)
    }

    /// To remove everything is the one thing that may be done to what another state directory left.
    fn config(&self, context: &Context) -> Config {
        let config = context.settings.config();
        if self.purge { config.take_over() } else { config }
    }

    fn print(&self, context: &Context, document: &Document) {
        if context.json() {
            return output::json(document);
        }
        document.stale.iter().for_each(|name| output::line(format_args!("removed the stale sandbox {name}")));
        document.done.iter().for_each(output::line);
        for step in &document.failed {
            output::line(format_args!("FAILED: {}: {}", step.step, step.reason));
        }
        if document.stale.is_empty() && document.done.is_empty() && document.failed.is_empty() {
            output::line("nothing to repair");
        }
    }
}

fn document(stale: Vec<String>, at_start: &Repaired, now: &Repaired) -> Document {
    let rounds = [at_start, now];
    Document {
        stale,
        done: rounds.iter().flat_map(|round| &round.done).map(ToString::to_string).collect(),
        // What failed at the start was tried again.
        failed: now.failed.iter().map(|(op, error)| Step { step: op.to_string(), reason: error.to_string() }).collect(),
    }
}
