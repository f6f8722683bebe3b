//! Spans under the names that upstream's traces have, so that dashboards made for those find ours.

use tracing::{Span, info_span};

use crate::model::{Endpoint, EndpointId, Network, NetworkId, NetworkSpec, SandboxId};

/// The span of creating a network.
pub(super) fn create_network(spec: &NetworkSpec, nid: NetworkId) -> Span {
    info_span!("libnetwork.Controller.NewNetwork", %nid, net = %spec.name)
}

/// The span of making an endpoint, as the network's driver would name it.
pub(super) fn create_endpoint(network: &Network, eid: EndpointId) -> Span {
    let nid = network.id;
    match network.spec.driver.as_str() {
        "bridge" => info_span!("libnetwork.drivers.bridge.CreateEndpoint", %nid, %eid),
        driver => info_span!("libnetwork.drivers.CreateEndpoint", driver, %nid, %eid),
    }
}

/// The span of attaching an endpoint to a sandbox.
pub(super) fn join(network: &Network, eid: EndpointId, sandbox: SandboxId) -> Span {
    let nid = network.id;
    let key = sandbox.short();
    match network.spec.driver.as_str() {
        "bridge" => info_span!("libnetwork.drivers.bridge.Join", %nid, %eid, sboxKey = key),
        driver => info_span!("libnetwork.drivers.Join", driver, %nid, %eid, sboxKey = key),
    }
}

/// The span of giving an endpoint the ports it publishes.
pub(super) fn program_external_connectivity(network: &Network, endpoint: &Endpoint) -> Span {
    let (nid, eid) = (network.id, endpoint.id);
    match network.spec.driver.as_str() {
        "bridge" => info_span!("libnetwork.drivers.bridge.ProgramExternalConnectivity", %nid, %eid),
        driver => info_span!("libnetwork.drivers.ProgramExternalConnectivity", driver, %nid, %eid),
    }
}
