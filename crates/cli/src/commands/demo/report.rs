//! What is shown: the picture, the checks, the timings.

use std::net::IpAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use ipnet::IpNet;
use pontoon::{Controller, Network};
use serde::Serialize;

use super::checks::Verdict;
use super::stage::PUBLISHED;
use crate::errors::Failure;
use crate::output::line;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Everything that is shown.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Report {
    pub(super) picture: Vec<String>,
    pub(super) checks: Vec<Verdict>,
    pub(super) timings: Timings,
}

/// Medians, in milliseconds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Timings {
    attach: f64,
    detach: f64,
}

impl Timings {
    /// Returns the medians.
    pub(super) fn of(attached: &[Duration], detached: &[Duration]) -> Self {
        Self { attach: median(attached), detach: median(detached) }
    }
}

fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |time| (time.as_secs_f64() * 100_000.0).round() / 100.0)
}

impl Report {
    /// Returns whether every check held.
    pub(super) fn held(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// Prints it for people.
    pub(super) fn print(&self) {
        self.picture.iter().for_each(line);
        line("");
        for check in &self.checks {
            match check.ok {
                true => line(format_args!("{GOOD}ok{GOOD:#}      {}", check.name)),
                false => line(format_args!("{BAD}FAILED{BAD:#}  {}: {}", check.name, check.detail)),
            }
        }
        let held = self.checks.iter().filter(|check| check.ok).count();
        line("");
        line(format_args!("attach {:.2} ms, detach {:.2} ms (medians)", self.timings.attach, self.timings.detach));
        line(format_args!("{held} of {} checks held", self.checks.len()));
    }
}

/// Draws the networks as a tree below the host and the outside.
pub(super) fn draw(
    controller: &Controller,
    outside: &[IpAddr],
    host: &[IpAddr],
    networks: &[Network],
) -> Result<Vec<String>, Failure> {
    let mut lines = vec![
        row("outside", outside),
        "  |".to_owned(),
        format!("{}   port {} -> web:{}", row("host", host), PUBLISHED.0, PUBLISHED.1),
        "  |".to_owned(),
    ];
    for (i, network) in networks.iter().enumerate() {
        let stem = if i + 1 == networks.len() { " " } else { "|" };
        let record = network.info()?;
        let internal = if record.spec.internal { "   internal" } else { "" };
        let subnets: Vec<_> = record.pools.iter().map(|pool| pool.prefix).collect();
        lines.push(format!("  +-- {}{internal}", row(&record.spec.name, &subnets)));
        for endpoint in network.endpoints() {
            let info = endpoint.info()?;
            let sandbox = controller.sandbox_by_id(&info.sandbox.map(|id| id.to_string()).unwrap_or_default())?;
            let addresses: Vec<_> = info.addresses.iter().map(IpNet::addr).collect();
            lines.push(format!("  {stem}     +-- {}", row(&sandbox.info()?.spec.name, &addresses)));
        }
    }
    Ok(lines)
}

fn row(name: &str, values: &[impl ToString]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    format!("{name:<8}{}", values.join("  "))
}
