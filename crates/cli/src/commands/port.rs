//! `pontoon port`.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use pontoon::{Controller, PortBinding, PortProto, Sandbox};
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
    host_port: Option<u16>,
    #[serde(rename = "HostIP")]
    host_ip: Option<String>,
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
            rows.extend(published(sandbox)?.into_iter().map(|port| row(name, &port)));
        }
        Ok(in_order(rows))
    }
}

/// Prints what a command published or took back on a sandbox, as `port` shows it.
pub(crate) fn print(context: &Context, sandbox: &str, bindings: &[PortBinding]) {
    let rows = in_order(bindings.iter().map(|binding| row(sandbox, &Published::from(binding))).collect());
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

/// Consecutive ports that a sandbox publishes.
pub(crate) struct Published {
    proto: PortProto,
    container: SocketAddr,
    count: u16,
    /// Where on the host; none if they are open by the container's own address.
    host: Option<SocketAddr>,
}

impl From<&PortBinding> for Published {
    fn from(binding: &PortBinding) -> Self {
        Self {
            proto: binding.proto,
            container: SocketAddr::new(binding.container_ip, binding.container_port),
            count: binding.count,
            host: Some(SocketAddr::new(binding.host_ip, binding.host_port)),
        }
    }
}

/// Returns what a sandbox publishes, on all its endpoints.
pub(crate) fn published(sandbox: &Sandbox) -> Result<Vec<Published>, Failure> {
    let mut ports = Vec::new();
    for endpoint in sandbox.endpoints() {
        let info = endpoint.info()?;
        ports.extend(info.ports.iter().map(Published::from));
        ports.extend(info.opened.into_iter().map(|port| Published {
            proto: port.proto,
            container: SocketAddr::new(port.ip, port.port),
            count: port.count,
            host: None,
        }));
    }
    Ok(ports)
}

/// Returns the ports in the container, and the address and ports by which others reach them.
pub(crate) fn describe(port: &Published) -> (String, String) {
    let range = |first: u16| match port.count {
        1 => first.to_string(),
        count => format!("{first}-{}", first + (count - 1)),
    };
    let outside = port.host.unwrap_or(port.container);
    let host = match outside.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let inside = format!("{}/{}", range(port.container.port()), port.proto);
    (inside, format!("{host}:{}", range(outside.port())))
}

fn row(sandbox: &str, port: &Published) -> Row {
    let (inside, outside) = describe(port);
    Row {
        sandbox: sandbox.to_owned(),
        proto: port.proto.to_string(),
        container_port: port.container.port(),
        container_ip: port.container.ip().to_string(),
        host_port: port.host.map(|host| host.port()),
        host_ip: port.host.map(|host| host.ip().to_string()),
        count: port.count,
        inside,
        outside,
    }
}
