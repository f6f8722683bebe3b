//! `pontoon network prune`.

use clap::Args;
use pontoon::{Network, NetworkRecord};
use serde::Serialize;

use super::ls::has_label;
use super::told;
use crate::confirm::confirm;
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;
use crate::values::key_value;

/// Remove all networks that nothing is connected to
#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Remove only networks with a label: label=KEY[=VALUE], or label!=KEY[=VALUE] for those without
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    filter: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    networks_deleted: Vec<String>,
}

impl Prune {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        if let Some((key, _)) = self.filter.iter().find(|(key, _)| key != "label" && key != "label!") {
            return Err(Failure::usage(format!("invalid filter {key:?}")).hinted("filter by label or label!"));
        }
        let warning = "WARNING! This will remove all networks that no sandbox is connected to.";
        if !context.settings.plan && !self.force && !confirm(context.settings.format, warning)? {
            return Ok(0);
        }
        let mut refused = Vec::new();
        let deleted = context.change("removing", |controller| {
            let mut deleted = Vec::new();
            for network in controller.networks().into_iter().take_while(|_| context.ending().is_none()) {
                let record = network.info()?;
                if self.is_unused(&network, &record) {
                    match network.delete() {
                        Ok(()) => deleted.push(record.spec.name.clone()),
                        Err(error) => refused.push(Failure::from(error)),
                    }
                }
            }
            Ok(deleted)
        })?;
        if let Some(deleted) = deleted {
            print(context, deleted);
        }
        Ok(told(context, &refused))
    }

    /// The host and null networks cannot be removed; a configuration is used by being kept.
    fn is_unused(&self, network: &Network, record: &NetworkRecord) -> bool {
        let special = matches!(record.spec.driver.as_str(), "host" | "null");
        let wanted = |(key, value): &(String, String)| has_label(&record.spec.labels, value) == (key == "label");
        !special && !record.spec.config_only && network.endpoints().is_empty() && self.filter.iter().all(wanted)
    }
}

fn print(context: &Context, networks_deleted: Vec<String>) {
    if context.json() {
        output::json(&Document { networks_deleted });
    } else if !networks_deleted.is_empty() {
        output::line("Deleted Networks:");
        networks_deleted.iter().for_each(output::line);
    }
}
