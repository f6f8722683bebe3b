//! `pontoon network inspect`.

use std::collections::BTreeMap;

use clap::Args;
use pontoon::{Controller, Labels, Network, NetworkRecord, Options, StaticRoute};
use serde::Serialize;
use serde_json::Value;

use super::inspect_all;
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::time;

/// Show everything about networks
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// The field names are those of Docker's API.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    name: &'a str,
    id: String,
    created: String,
    scope: &'static str,
    driver: &'a str,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom<'a>,
    config_only: bool,
    containers: BTreeMap<String, Container>,
    options: &'a Options,
    labels: &'a Labels,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam<'a> {
    driver: &'a str,
    options: &'a Options,
    config: Vec<Pool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    ip_range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    auxiliary_addresses: BTreeMap<String, String>,
}

/// Docker's networks have no static routes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Route {
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom<'a> {
    network: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

impl Inspect {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        inspect_all(context, &self.networks, |controller, name| {
            Ok(vec![describe(controller, &controller.find_network(name)?)?])
        })
    }
}

impl Route {
    fn of(route: &StaticRoute) -> Self {
        Self { destination: route.to.to_string(), gateway: route.via.map(|via| via.to_string()) }
    }
}

fn describe(controller: &Controller, network: &Network) -> Result<Value, Failure> {
    let record = network.info()?;
    let spec = &record.spec;
    let document = Document {
        name: &spec.name,
        id: record.id.to_string(),
        created: time::rfc3339(record.created),
        scope: "local",
        driver: &spec.driver,
        enable_ipv4: spec.ipv4,
        enable_ipv6: spec.ipv6,
        ipam: Ipam { driver: &spec.ipam.driver, options: &spec.ipam.options, config: pools(&record) },
        routes: spec.routes.iter().map(Route::of).collect(),
        internal: spec.internal,
        attachable: spec.attachable,
        ingress: false,
        config_from: ConfigFrom { network: spec.config_from.as_deref().unwrap_or_default() },
        config_only: spec.config_only,
        containers: containers(controller, network)?,
        options: &spec.options,
        labels: &spec.labels,
    };
    serde_json::to_value(document).map_err(|error| Failure::because("cannot describe the network", error))
}

fn pools(record: &NetworkRecord) -> Vec<Pool> {
    let pool = |pool: &pontoon::NetworkPool| Pool {
        subnet: pool.prefix.to_string(),
        ip_range: pool.range.map(|range| range.to_string()),
        gateway: pool.gateway.map(|gateway| gateway.to_string()),
        auxiliary_addresses: pool.aux.iter().map(|(name, address)| (name.clone(), address.to_string())).collect(),
    };
    record.pools.iter().map(pool).collect()
}

fn containers(controller: &Controller, network: &Network) -> Result<BTreeMap<String, Container>, Failure> {
    let mut containers = BTreeMap::new();
    for endpoint in network.endpoints() {
        let info = endpoint.info()?;
        let Some(id) = info.sandbox else { continue };
        let address = |v6: bool| {
            let found = info.addresses.iter().find(|prefix| prefix.addr().is_ipv6() == v6);
            found.map(ToString::to_string).unwrap_or_default()
        };
        let container = Container {
            name: controller.sandbox_by_id(&id.to_string())?.info()?.spec.name.clone(),
            endpoint_id: info.id.to_string(),
            mac_address: info.mac.to_string(),
            ipv4_address: address(false),
            ipv6_address: address(true),
        };
        containers.insert(id.to_string(), container);
    }
    Ok(containers)
}
