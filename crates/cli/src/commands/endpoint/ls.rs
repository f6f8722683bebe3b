//! `pontoon endpoint ls`.

use clap::Args;
use pontoon::{Controller, EndpointInfo};
use serde::Serialize;

use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;

/// List endpoints
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
}

#[derive(Serialize)]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Network")]
    network: String,
    #[serde(rename = "Sandbox")]
    sandbox: String,
    #[serde(rename = "Interface")]
    interface: String,
    #[serde(rename = "Addresses")]
    addresses: Vec<String>,
}

impl Ls {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let mut rows = context.look(|controller| {
            controller
                .endpoints()
                .iter()
                .map(|endpoint| row(controller, endpoint.info()?))
                .collect::<Result<Vec<_>, _>>()
        })?;
        rows.sort_by(|a, b| (&a.network, &a.name).cmp(&(&b.network, &b.name)));
        if context.json() {
            output::json(&rows);
        } else if context.settings.quiet {
            rows.iter().for_each(|row| output::line(output::short(&row.id, self.no_trunc)));
        } else {
            output::table(
                ["ENDPOINT ID", "NAME", "NETWORK", "SANDBOX", "INTERFACE", "ADDRESSES"],
                rows.into_iter().map(|row| {
                    let addresses = row.addresses.join(", ");
                    [
                        output::short(&row.id, self.no_trunc),
                        row.name,
                        row.network,
                        row.sandbox,
                        row.interface,
                        addresses,
                    ]
                }),
            );
        }
        Ok(0)
    }
}

fn row(controller: &Controller, info: EndpointInfo) -> Result<Row, Failure> {
    let network = controller.network_by_id(&info.network.to_string())?.info()?.spec.name.clone();
    let sandbox = match info.sandbox {
        Some(id) => controller.sandbox_by_id(&id.to_string())?.info()?.spec.name.clone(),
        None => String::new(),
    };
    Ok(Row {
        id: info.id.to_string(),
        name: info.name,
        network,
        sandbox,
        interface: info.ifname.map(|name| name.to_string()).unwrap_or_default(),
        addresses: info.addresses.iter().map(ToString::to_string).collect(),
    })
}
