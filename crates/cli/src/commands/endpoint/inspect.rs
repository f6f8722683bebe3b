//! `pontoon endpoint inspect`.

use std::collections::BTreeMap;

use clap::Args;
use pontoon::{Controller, Endpoint, OpenPort, PortBinding};
use serde::Serialize;
use serde_json::{Value, json};

use super::find;
use crate::commands::network::inspect_all;
use crate::context::Context;
use crate::errors::{Failure, Outcome};

/// Show everything about endpoints
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Names or ids
    #[arg(required = true, value_name = "ENDPOINT")]
    endpoints: Vec<String>,
}

impl Inspect {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        inspect_all(context, &self.endpoints, |controller, name| {
            find(controller, name)?.iter().map(|endpoint| describe(controller, endpoint)).collect()
        })
    }
}

/// Returns everything about an endpoint.
pub(crate) fn describe(controller: &Controller, endpoint: &Endpoint) -> Result<Value, Failure> {
    let info = endpoint.info()?;
    let record = endpoint.record()?;
    let network = controller.network_by_id(&info.network.to_string())?.info()?;
    Ok(json!({
        "ID": info.id.to_string(),
        "Name": info.name,
        "NetworkID": info.network.to_string(),
        "Network": network.spec.name,
        "SandboxID": info.sandbox.map(|id| id.to_string()),
        "Interface": info.ifname.map(|name| name.to_string()),
        "HostInterface": record.host_ifname().to_string(),
        "MacAddress": info.mac.to_string(),
        "Addresses": info.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "LinkLocal": record.spec.link_local.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Sysctls": record.spec.sysctls,
        "RateIn": record.spec.rate_in.map(|rate| rate.bits()),
        "RateOut": record.spec.rate_out.map(|rate| rate.bits()),
        "Gateway": info.gateway4,
        "IPv6Gateway": info.gateway6,
        "GwPriority": record.spec.priority,
        "DNSNames": record.spec.dns_names,
        "Links": record.spec.links.iter().cloned().collect::<BTreeMap<_, _>>(),
        "DriverOpts": record.spec.options,
        "Ports": info.ports.iter().map(PortDocument::of).collect::<Vec<_>>(),
        "OpenPorts": info.opened.iter().map(OpenPortDocument::of).collect::<Vec<_>>(),
    }))
}

#[derive(Serialize)]
struct PortDocument {
    #[serde(rename = "Proto")]
    proto: String,
    #[serde(rename = "HostIP")]
    host_ip: String,
    #[serde(rename = "HostPort")]
    host_port: u16,
    #[serde(rename = "ContainerIP")]
    container_ip: String,
    #[serde(rename = "ContainerPort")]
    container_port: u16,
    #[serde(rename = "Count")]
    count: u16,
}

impl PortDocument {
    fn of(binding: &PortBinding) -> Self {
        Self {
            proto: binding.proto.to_string(),
            host_ip: binding.host_ip.to_string(),
            host_port: binding.host_port,
            container_ip: binding.container_ip.to_string(),
            container_port: binding.container_port,
            count: binding.count,
        }
    }
}

#[derive(Serialize)]
struct OpenPortDocument {
    #[serde(rename = "Proto")]
    proto: String,
    #[serde(rename = "IP")]
    ip: String,
    #[serde(rename = "Port")]
    port: u16,
    #[serde(rename = "Count")]
    count: u16,
}

impl OpenPortDocument {
    fn of(open: &OpenPort) -> Self {
        Self { proto: open.proto.to_string(), ip: open.ip.to_string(), port: open.port, count: open.count }
    }
}
