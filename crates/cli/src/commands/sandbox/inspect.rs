//! `pontoon sandbox inspect`.

use clap::Args;
use pontoon::{Controller, NamespaceSource, Sandbox};
use serde_json::{Value, json};

use crate::commands::{endpoint, network::inspect_all};
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::time;

/// Show everything about sandboxes
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

impl Inspect {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        inspect_all(context, &self.sandboxes, |controller, name| {
            Ok(vec![describe(controller, &controller.find_sandbox(name)?)?])
        })
    }
}

fn describe(controller: &Controller, sandbox: &Sandbox) -> Result<Value, Failure> {
    let record = sandbox.info()?;
    let spec = &record.spec;
    let (source, adopted) = match &spec.namespace {
        NamespaceSource::New => ("new", None),
        NamespaceSource::Adopted(path) => ("adopted", Some(path)),
        NamespaceSource::Host => ("host", None),
        NamespaceSource::Later => ("later", None),
    };
    let endpoints: Result<Vec<_>, _> =
        sandbox.endpoints().iter().map(|one| endpoint::describe(controller, one)).collect();
    let gateways = sandbox.gateways();
    Ok(json!({
        "ID": sandbox.id().to_string(),
        "Name": spec.name,
        "Created": time::rfc3339(record.created),
        "Hostname": spec.hostname,
        "Domainname": spec.domainname,
        "Namespace": { "Source": source, "Path": adopted, "Key": sandbox.key() },
        "HostsPath": sandbox.files().hosts,
        "ResolvConfPath": sandbox.files().resolv_conf,
        "ExtraHosts": spec.extra_hosts,
        "DNS": spec.dns,
        "Ports": spec.ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Labels": spec.labels,
        "OwnerPid": spec.owner.map(|owner| owner.pid),
        "GatewayEndpoint": gateways.v4.map(|id| id.to_string()),
        "IPv6GatewayEndpoint": gateways.v6.map(|id| id.to_string()),
        "Endpoints": endpoints?,
    }))
}
