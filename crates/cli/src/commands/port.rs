//! `pontoon port`.

use clap::Args;
use pontoon::{Controller, PortBinding, Sandbox};
use serde::Serialize;

use super::sandbox::chosen;
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;

/// Show published ports
#[derive(Args, Debug)]
pub(crate) struct Port {
    /// The sandbox [default: all]
    sandbox: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    sandbox: String,
    proto: String,
    container_port: u16,
    #[serde(rename = "ContainerIP")]
    container_ip: String,
    host_port: u16,
    #[serde(rename = "HostIP")]
    host_ip: String,
    count: u16,
    #[serde(skip)]
    inside: String,
    #[serde(skip)]
    outside: String,
}

impl Port {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let rows = context.look(|controller| self.rows(controller))?;
        if context.json() {
            output::json(&rows);
        } else if self.sandbox.is_some() {
            lines(&rows);
        } else {
            output::table(
                ["SANDBOX", "PORT", "HOST"],
                rows.into_iter().map(|row| [row.sandbox, row.inside, row.outside]),
            );
        }
        Ok(0)
    }

    fn rows(&self, controller: &Controller) -> Result<Vec<Row>, Failure> {
        let sandboxes = chosen(controller, self.sandbox.as_deref())?;
        let mut rows = Vec::new();
        for sandbox in &sandboxes {
            let name = &sandbox.info()?.spec.name;
            rows.extend(bindings(sandbox)?.into_iter().map(|binding| row(name, &binding)));
        }
        Ok(in_order(rows))
    }
}

/// Prints what a command published or took back on a sandbox, as `port` shows it.
pub(crate) fn print(context: &Context, sandbox: &str, bindings: &[PortBinding]) {
    let rows = in_order(bindings.iter().map(|binding| row(sandbox, binding)).collect());
    match context.json() {
        true => output::json(&rows),
        false => lines(&rows),
    }
}

fn lines(rows: &[Row]) {
    rows.iter().for_each(|row| output::line(format_args!("{} -> {}", row.inside, row.outside)));
}

fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| (&a.sandbox, a.container_port, &a.outside).cmp(&(&b.sandbox, b.container_port, &b.outside)));
    rows
}

/// Returns what a sandbox publishes, on all its endpoints.
pub(crate) fn bindings(sandbox: &Sandbox) -> Result<Vec<PortBinding>, Failure> {
    let mut bindings = Vec::new();
    for endpoint in sandbox.endpoints() {
        bindings.extend(endpoint.info()?.ports);
    }
    Ok(bindings)
}

/// Returns the ports in the container, and the address and ports on the host.
pub(crate) fn describe(binding: &PortBinding) -> (String, String) {
    let range = |first: u16| match binding.count {
        1 => first.to_string(),
        count => format!("{first}-{}", first + (count - 1)),
    };
    let host = match binding.host_ip {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    };
    (format!("{}/{}", range(binding.container_port), binding.proto), format!("{host}:{}", range(binding.host_port)))
}

fn row(sandbox: &str, binding: &PortBinding) -> Row {
    let (inside, outside) = describe(binding);
    Row {
        sandbox: sandbox.to_owned(),
        proto: binding.proto.to_string(),
        container_port: binding.container_port,
        container_ip: binding.container_ip.to_string(),
        host_port: binding.host_port,
        host_ip: binding.host_ip.to_string(),
        count: binding.count,
        inside,
        outside,
    }
}
