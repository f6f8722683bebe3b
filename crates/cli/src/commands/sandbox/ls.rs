//! `pontoon sandbox ls`.

use clap::Args;
use pontoon::{Controller, Sandbox};
use serde::Serialize;

use crate::commands::port::{describe, published};
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::{output, time};

/// List sandboxes
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    name: String,
    #[serde(rename = "ID")]
    id: String,
    networks: Vec<String>,
    addresses: Vec<String>,
    ports: Vec<String>,
    created_at: String,
    #[serde(skip)]
    created: u128,
}

impl Ls {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let mut rows = context.look(|controller| {
            controller.sandboxes().iter().map(|sandbox| row(controller, sandbox)).collect::<Result<Vec<_>, _>>()
        })?;
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        if context.json() {
            output::json(&rows);
        } else if context.settings.quiet {
            rows.iter().for_each(|row| output::line(output::short(&row.id, self.no_trunc)));
        } else {
            let now = time::now();
            output::table(
                ["NAME", "ID", "NETWORKS", "ADDRESSES", "PORTS", "CREATED"],
                rows.into_iter().map(|row| {
                    let [networks, addresses, ports] =
                        [row.networks, row.addresses, row.ports].map(|list| list.join(", "));
                    let id = output::short(&row.id, self.no_trunc);
                    [row.name, id, networks, addresses, ports, time::ago(row.created, now)]
                }),
            );
        }
        Ok(0)
    }
}

fn row(controller: &Controller, sandbox: &Sandbox) -> Result<Row, Failure> {
    let record = sandbox.info()?;
    let (mut networks, mut addresses) = (Vec::new(), Vec::new());
    for endpoint in sandbox.endpoints() {
        let info = endpoint.info()?;
        networks.push(controller.network_by_id(&info.network.to_string())?.info()?.spec.name.clone());
        addresses.extend(info.addresses.iter().map(|prefix| prefix.addr().to_string()));
    }
    let ports =
        published(sandbox)?.iter().map(describe).map(|(inside, outside)| format!("{outside}->{inside}")).collect();
    Ok(Row {
        name: record.spec.name.clone(),
        id: sandbox.id().to_string(),
        networks,
        addresses,
        ports,
        created_at: time::rfc3339(record.created),
        created: record.created,
    })
}
