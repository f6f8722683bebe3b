//! From records to objects: what each part of the state asks of the host.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::files;
use super::names;
use super::state::{RecordKey, State};
use super::{gateway, interface};
use crate::drivers::{EndpointView, NetworkView, Registry};
use crate::error::{Error, NetworkError};
use crate::firewall::lower;
use crate::model::{EndpointId, NamespaceSource, Network, NetworkId, SandboxId, StaticRoute};
use crate::objects::{Key, Namespace, Object, Objects, Op, Place, Plan, RESOLVER_PORT, Redirect, Route};

/// A part of the state that contributes objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Network(NetworkId),
    Sandbox(SandboxId),
    Endpoint(EndpointId),
}

/// Returns the steps from the state before a draft to the state after it.
///
/// Only what the draft can have changed is rendered: a sandbox with its endpoints, a network with its endpoints.
pub(super) fn plan(draft: &Draft<'_>, registry: &Registry) -> Result<Plan, Error> {
    let scopes = closure(draft);
    let mut before = render(&draft.base, registry, &scopes)?;
    let mut after = render(draft.state(), registry, &scopes)?;
    let shared = |objects: &Objects| -> BTreeSet<Key> {
        objects.iter().filter(|object| object.is_shared()).map(Object::key).collect()
    };
    let only_before = &shared(&before) - &shared(&after);
    let only_after = &shared(&after) - &shared(&before);
    contributed_elsewhere(draft.state(), registry, &scopes, only_before, &mut after)?;
    contributed_elsewhere(&draft.base, registry, &scopes, only_after, &mut before)?;
    Ok(Plan::between(&before, &after))
}

/// Returns everything that the state asks for.
pub(super) fn all(state: &State, registry: &Registry) -> Result<Objects, Error> {
    let networks = state.networks().map(|network| Scope::Network(network.id));
    let sandboxes = state.sandboxes().map(|sandbox| Scope::Sandbox(sandbox.id));
    let endpoints = state.endpoints().map(|endpoint| Scope::Endpoint(endpoint.id));
    render(state, registry, &networks.chain(sandboxes).chain(endpoints).collect())
}

/// Returns the records that ask for something that the steps make or change, each as its kind and name. What several
/// records may ask for tells nothing.
pub(super) fn asking(state: &State, registry: &Registry, steps: &[Op]) -> Result<Vec<String>, Error> {
    let made = steps.iter().filter(|step| !matches!(step, Op::Remove(_))).map(Op::object);
    let made: BTreeSet<Key> = made.filter(|object| !object.is_shared()).map(Object::key).collect();
    let network_name = |id| state.network(id).map_or_else(|| id.to_string(), |network| network.spec.name.clone());
    let networks = state.networks().map(|one| (Scope::Network(one.id), format!("network {}", one.spec.name)));
    let sandboxes = state.sandboxes().map(|one| (Scope::Sandbox(one.id), format!("sandbox {}", one.spec.name)));
    let endpoints = state.endpoints().map(|one| {
        let name = format!("endpoint {} of network {}", one.spec.name, network_name(one.network));
        (Scope::Endpoint(one.id), name)
    });
    let mut asking = Vec::new();
    for (scope, name) in networks.chain(sandboxes).chain(endpoints) {
        let objects = render(state, registry, &BTreeSet::from([scope]))?;
        if objects.iter().any(|object| made.contains(&object.key())) {
            asking.push(name);
        }
    }
    Ok(asking)
}

fn closure(draft: &Draft<'_>) -> BTreeSet<Scope> {
    let mut scopes = BTreeSet::new();
    for state in [&draft.base, draft.state()] {
        for key in draft.touched() {
            match key {
                RecordKey::Network(id) => {
                    scopes.insert(Scope::Network(*id));
                    scopes.extend(state.endpoints_of(*id).map(|endpoint| Scope::Endpoint(endpoint.id)));
                }
                RecordKey::Endpoint(id) => {
                    scopes.insert(Scope::Endpoint(*id));
                    if let Some(attached) = state.endpoint(*id).and_then(|endpoint| endpoint.attached.as_ref()) {
                        sandbox_scopes(state, attached.sandbox, &mut scopes);
                    }
                }
                RecordKey::Sandbox(id) => sandbox_scopes(state, *id, &mut scopes),
                RecordKey::Debt(_) | RecordKey::Ledger(_) => {}
            }
        }
    }
    scopes
}

fn sandbox_scopes(state: &State, id: SandboxId, scopes: &mut BTreeSet<Scope>) {
    scopes.insert(Scope::Sandbox(id));
    scopes.extend(state.attached_to(id).map(|endpoint| Scope::Endpoint(endpoint.id)));
}

/// Adds to `objects` the shared ones of `missing` that a network outside `scopes` asks for too.
fn contributed_elsewhere(
    state: &State,
    registry: &Registry,
    scopes: &BTreeSet<Scope>,
    mut missing: BTreeSet<Key>,
    objects: &mut Objects,
) -> Result<(), Error> {
    for network in state.networks().filter(|network| !scopes.contains(&Scope::Network(network.id))) {
        if missing.is_empty() {
            break;
        }
        for object in network_objects(network, registry)? {
            if missing.remove(&object.key()) {
                objects.add(object)?;
            }
        }
    }
    Ok(())
}

fn render(state: &State, registry: &Registry, scopes: &BTreeSet<Scope>) -> Result<Objects, Error> {
    let mut objects = Objects::new();
    for scope in scopes {
        let part = match scope {
            Scope::Network(id) => match state.network(*id) {
                Some(network) => network_objects(network, registry)?,
                None => continue,
            },
            Scope::Sandbox(id) => sandbox_objects(state, *id)?,
            Scope::Endpoint(id) => endpoint_objects(state, registry, *id)?,
        };
        part.into_iter().try_for_each(|object| objects.add(object))?;
    }
    Ok(lower(objects)?)
}

fn network_objects(network: &Network, registry: &Registry) -> Result<Objects, Error> {
    if network.spec.config_only {
        return Ok(Objects::new());
    }
    let driver = registry
        .get(&network.spec.driver)
        .ok_or_else(|| NetworkError::NoDriver { driver: network.spec.driver.clone() })?;
    Ok(driver.network(network)?)
}

fn sandbox_objects(state: &State, id: SandboxId) -> Result<Objects, Error> {
    let mut objects = Objects::new();
    let Some(sandbox) = state.sandbox(id) else { return Ok(objects) };
    files::of(state, sandbox)?.into_iter().for_each(|file| objects.set(file));
    if sandbox.spec.namespace == NamespaceSource::Later {
        return Ok(objects);
    }
    objects.set(Namespace { sandbox: id, source: sandbox.spec.namespace.clone() });
    if sandbox.spec.namespace == NamespaceSource::Host {
        return Ok(objects);
    }
    if names::wants_resolver(state, sandbox) {
        objects.set(Redirect { sandbox: id, port: RESOLVER_PORT });
    }
    let gateways = gateway::of(state, id);
    for v6 in [false, true] {
        let endpoint = gateways.of(v6).and_then(|id| state.endpoint(id));
        let attached = endpoint.and_then(|endpoint| endpoint.attached.as_ref());
        let route = attached.and_then(|attached| Some((attached, attached.routing.default_route(v6)?)));
        if let Some((attached, StaticRoute { to, via })) = route {
            objects.set(Route { place: Place::Sandbox(id), to, via, link: attached.ifname.clone() });
        }
    }
    Ok(objects)
}

fn endpoint_objects(state: &State, registry: &Registry, id: EndpointId) -> Result<Objects, Error> {
    let Some(endpoint) = state.endpoint(id) else { return Ok(Objects::new()) };
    let (Some(attached), Some(network)) = (&endpoint.attached, state.network(endpoint.network)) else {
        return Ok(Objects::new());
    };
    let sandbox = state.sandbox(attached.sandbox);
    if sandbox.is_some_and(|sandbox| sandbox.spec.namespace == NamespaceSource::Later) {
        return Ok(Objects::new());
    }
    let driver = registry
        .get(&network.spec.driver)
        .ok_or_else(|| NetworkError::NoDriver { driver: network.spec.driver.clone() })?;
    let gateways = gateway::of(state, attached.sandbox);
    let view = EndpointView {
        endpoint,
        network: NetworkView { network, config: &() },
        sandbox: sandbox.map(|sandbox| &**sandbox),
        gateway4: gateways.v4 == Some(id),
        gateway6: gateways.v6 == Some(id),
    };
    let mut objects = driver.endpoint(&view)?;
    interface::furnish(&mut objects, endpoint, attached, network, sandbox.map(|sandbox| &**sandbox))?;
    Ok(objects)
}
