//! `pontoon stats`.

use clap::Args;
use pontoon::{Controller, InterfaceStatistics};
use serde::Serialize;

use super::sandbox::chosen;
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;

/// Show what the interfaces of sandboxes have passed
#[derive(Args, Debug)]
pub(crate) struct Stats {
    /// The sandbox [default: all]
    sandbox: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    sandbox: String,
    interface: String,
    network: String,
    rx_bytes: u64,
    rx_packets: u64,
    rx_dropped: u64,
    rx_errors: u64,
    tx_bytes: u64,
    tx_packets: u64,
    tx_dropped: u64,
    tx_errors: u64,
}

const HEADINGS: [&str; 11] = [
    "SANDBOX",
    "INTERFACE",
    "NETWORK",
    "RX BYTES",
    "PACKETS",
    "DROPPED",
    "ERRORS",
    "TX BYTES",
    "PACKETS",
    "DROPPED",
    "ERRORS",
];

impl Stats {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let rows = context.look(|controller| self.rows(controller))?;
        match context.json() {
            true => output::json(&rows),
            false => output::table(HEADINGS, rows.into_iter().map(Row::cells)),
        }
        Ok(0)
    }

    fn rows(&self, controller: &Controller) -> Result<Vec<Row>, Failure> {
        let sandboxes = chosen(controller, self.sandbox.as_deref())?;
        let mut rows = Vec::new();
        for sandbox in &sandboxes {
            let name = &sandbox.info()?.spec.name;
            rows.extend(sandbox.statistics()?.into_iter().map(|of| Row::of(name, of)));
        }
        rows.sort_by(|a, b| (&a.sandbox, &a.interface).cmp(&(&b.sandbox, &b.interface)));
        Ok(rows)
    }
}

impl Row {
    fn of(sandbox: &str, InterfaceStatistics { ifname, network, counters, .. }: InterfaceStatistics) -> Self {
        Self {
            sandbox: sandbox.to_owned(),
            interface: ifname.to_string(),
            network,
            rx_bytes: counters.rx_bytes,
            rx_packets: counters.rx_packets,
            rx_dropped: counters.rx_dropped,
            rx_errors: counters.rx_errors,
            tx_bytes: counters.tx_bytes,
            tx_packets: counters.tx_packets,
            tx_dropped: counters.tx_dropped,
            tx_errors: counters.tx_errors,
        }
    }

    fn cells(self) -> [String; 11] {
        let received = [self.rx_bytes, self.rx_packets, self.rx_dropped, self.rx_errors].map(|n| n.to_string());
        let sent = [self.tx_bytes, self.tx_packets, self.tx_dropped, self.tx_errors].map(|n| n.to_string());
        let ([a, b, c, d], [e, f, g, h]) = (received, sent);
        [self.sandbox, self.interface, self.network, a, b, c, d, e, f, g, h]
    }
}
