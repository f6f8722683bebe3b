//! Which endpoint leads out of a sandbox: a function of the state, so that a gateway that moves needs no code.

use std::cmp::Reverse;
use std::sync::Arc;

use super::state::State;
use crate::model::{Endpoint, EndpointId, Network, SandboxId};

/// The endpoints that lead out of a sandbox, per family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gateways {
    /// For IPv4.
    pub v4: Option<EndpointId>,
    /// For IPv6.
    pub v6: Option<EndpointId>,
}

impl Gateways {
    /// Returns the gateway of a family.
    pub fn of(self, v6: bool) -> Option<EndpointId> {
        if v6 { self.v6 } else { self.v4 }
    }
}

/// Returns a sandbox's endpoints, the best gateway first: higher priority, those that somebody asked for, networks that lead
/// out, more families that do, then the network's name.
pub fn ordered(state: &State, sandbox: SandboxId) -> Vec<(Arc<Endpoint>, Arc<Network>)> {
    let mut endpoints: Vec<_> = state
        .attached_to(sandbox)
        .filter_map(|endpoint| Some((endpoint.clone(), state.network(endpoint.network)?.clone())))
        .collect();
    endpoints.sort_by_cached_key(|(endpoint, network)| {
        let families = [false, true].into_iter().filter(|v6| endpoint.leads_out(*v6)).count();
        let name = network.spec.name.clone();
        (Reverse(endpoint.spec.priority), endpoint.automatic, network.spec.internal, Reverse(families), name)
    });
    endpoints
}

/// Returns the gateways of a sandbox.
pub fn of(state: &State, sandbox: SandboxId) -> Gateways {
    let endpoints = ordered(state, sandbox);
    let first = |v6| endpoints.iter().find(|(endpoint, _)| endpoint.leads_out(v6)).map(|(endpoint, _)| endpoint.id);
    Gateways { v4: first(false), v6: first(true) }
}
