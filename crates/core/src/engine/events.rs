//! What happened, as typed events.

use super::state::{Record, RecordKey, State};
use crate::model::{EndpointId, NetworkId, SandboxId};

/// Something that happened, told after it was durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A network was created.
    NetworkCreated {
        /// The network.
        id: NetworkId,
        /// Its name.
        name: String,
    },
    /// A network was removed.
    NetworkRemoved {
        /// The network.
        id: NetworkId,
        /// Its name.
        name: String,
    },
    /// An endpoint was created.
    EndpointCreated {
        /// The endpoint.
        id: EndpointId,
        /// Its network.
        network: NetworkId,
        /// Its name.
        name: String,
    },
    /// An endpoint was removed.
    EndpointRemoved {
        /// The endpoint.
        id: EndpointId,
        /// Its network.
        network: NetworkId,
        /// Its name.
        name: String,
    },
    /// An endpoint joined a sandbox.
    Joined {
        /// The endpoint.
        endpoint: EndpointId,
        /// The sandbox.
        sandbox: SandboxId,
    },
    /// An endpoint left a sandbox.
    Left {
        /// The endpoint.
        endpoint: EndpointId,
        /// The sandbox.
        sandbox: SandboxId,
    },
    /// The ports that an endpoint publishes changed.
    PortsChanged {
        /// The endpoint.
        endpoint: EndpointId,
        /// How many bindings to ports of the host there are now.
        bindings: usize,
        /// How many ports, or ranges of ports, are open now by its own addresses.
        opened: usize,
    },
    /// A sandbox was created.
    SandboxCreated {
        /// The sandbox.
        id: SandboxId,
        /// Its name.
        name: String,
    },
    /// A sandbox was removed.
    SandboxRemoved {
        /// The sandbox.
        id: SandboxId,
        /// Its name.
        name: String,
    },
    /// Something on the host differed from what should be, and was put right.
    DriftRepaired {
        /// The step that did it, as text.
        step: String,
    },
    /// Another program removed or changed what is ours in the firewall, and it was put back.
    FirewallRestored {
        /// The name of the program, or `somebody` if it cannot be told.
        by: String,
        /// How many steps it took: the ruleset is one, and each element is.
        steps: usize,
    },
    /// Something could not be removed; it is retried.
    LeftBehind {
        /// The object, as text.
        object: String,
        /// Why.
        reason: String,
    },
    /// The subscriber read too slowly, and events before this one were lost: what they told can be read from the state.
    Lagged {
        /// How many were lost.
        missed: u64,
    },
}

/// Returns what happened to a record.
pub(super) fn between(before: &State, after: &State, key: &RecordKey) -> Vec<Event> {
    match (before.get(key), after.get(key)) {
        (None, Some(Record::Network(n))) => vec![Event::NetworkCreated { id: n.id, name: n.spec.name.clone() }],
        (Some(Record::Network(n)), None) => vec![Event::NetworkRemoved { id: n.id, name: n.spec.name.clone() }],
        (None, Some(Record::Sandbox(s))) => vec![Event::SandboxCreated { id: s.id, name: s.spec.name.clone() }],
        (Some(Record::Sandbox(s)), None) => vec![Event::SandboxRemoved { id: s.id, name: s.spec.name.clone() }],
        (before, after) => endpoint_events(before, after),
    }
}

fn endpoint_events(before: Option<Record>, after: Option<Record>) -> Vec<Event> {
    let endpoint = |record| match record {
        Some(Record::Endpoint(endpoint)) => Some(endpoint),
        _ => None,
    };
    let (before, after) = (endpoint(before), endpoint(after));
    let mut events = Vec::new();
    if let (None, Some(e)) = (&before, &after) {
        events.push(Event::EndpointCreated { id: e.id, network: e.network, name: e.spec.name.clone() });
    }
    let place = |endpoint: &Option<std::sync::Arc<crate::model::Endpoint>>| {
        endpoint.as_ref().and_then(|e| e.attached.as_ref().map(|attached| (e.id, attached.sandbox)))
    };
    let ports = |endpoint: &Option<std::sync::Arc<crate::model::Endpoint>>| {
        endpoint.as_ref().map(|e| (e.bindings.clone(), e.opened.clone())).unwrap_or_default()
    };
    match (place(&before), place(&after)) {
        (None, Some((endpoint, sandbox))) => events.push(Event::Joined { endpoint, sandbox }),
        (Some((endpoint, sandbox)), None) => events.push(Event::Left { endpoint, sandbox }),
        _ => {}
    }
    if let Some(e) = after.as_ref().or(before.as_ref())
        && ports(&before) != ports(&after)
    {
        let (bindings, opened) = ports(&after);
        events.push(Event::PortsChanged { endpoint: e.id, bindings: bindings.len(), opened: opened.len() });
    }
    if let (Some(e), None) = (&before, &after) {
        events.push(Event::EndpointRemoved { id: e.id, network: e.network, name: e.spec.name.clone() });
    }
    events
}
