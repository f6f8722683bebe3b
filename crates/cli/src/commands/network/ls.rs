//! `pontoon network ls`.

use std::sync::Arc;

use clap::Args;
use pontoon::{Labels, NetworkRecord};
use serde::Serialize;

use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::values::key_value;
use crate::{output, time};

/// List networks
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Show only networks that match: name=TEXT, driver=NAME, id=PREFIX, label=KEY[=VALUE]; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    filter: Vec<(String, String)>,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    driver: String,
    scope: &'static str,
    #[serde(rename = "IPv4")]
    ipv4: bool,
    #[serde(rename = "IPv6")]
    ipv6: bool,
    internal: bool,
    labels: Labels,
    created_at: String,
}

impl Ls {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        self.check()?;
        let mut rows = context.look(|controller| {
            let records = controller.networks().into_iter().map(|network| network.info());
            Ok(records.collect::<Result<Vec<_>, _>>()?)
        })?;
        rows.retain(|record| self.filter.iter().all(|(key, value)| matches(record, key, value)));
        rows.sort_by(|a, b| (&a.spec.name, a.id).cmp(&(&b.spec.name, b.id)));
        let rows = rows.iter().map(row);
        if context.json() {
            output::json(&rows.collect::<Vec<_>>());
        } else if context.settings.quiet {
            rows.for_each(|row| output::line(output::short(&row.id, self.no_trunc)));
        } else {
            output::table(
                ["NETWORK ID", "NAME", "DRIVER", "SCOPE"],
                rows.map(|row| [output::short(&row.id, self.no_trunc), row.name, row.driver, row.scope.to_owned()]),
            );
        }
        Ok(0)
    }

    fn check(&self) -> Result<(), Failure> {
        let known = ["name", "driver", "id", "label"];
        match self.filter.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                Err(Failure::usage(format!("invalid filter {key:?}")).hinted("filter by name, driver, id or label"))
            }
        }
    }
}

fn matches(record: &NetworkRecord, key: &str, value: &str) -> bool {
    match key {
        "name" => record.spec.name.contains(value),
        "driver" => record.spec.driver == value,
        "id" => record.id.to_string().starts_with(value),
        _ => has_label(&record.spec.labels, value),
    }
}

/// Returns whether there is a label `KEY`, or `KEY=VALUE`.
pub(super) fn has_label(labels: &Labels, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|present| present == value),
        None => labels.contains_key(wanted),
    }
}

fn row(record: &Arc<NetworkRecord>) -> Row {
    Row {
        id: record.id.to_string(),
        name: record.spec.name.clone(),
        driver: record.spec.driver.clone(),
        scope: "local",
        ipv4: record.spec.ipv4,
        ipv6: record.spec.ipv6,
        internal: record.spec.internal,
        labels: record.spec.labels.clone(),
        created_at: time::rfc3339(record.created),
    }
}
