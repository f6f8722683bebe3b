//! From names that are written down to what the resolver looks up: only what differs is changed.

use std::collections::{BTreeMap, HashMap};

use pontoon_core::files::NameServer;
use pontoon_core::model::{EndpointId, NetworkId};
use pontoon_dns::{Endpoint, Registration, SharedZone, View, Zone};

use super::upstream;
use super::{EndpointNames, NetworkNames, SandboxNames};

/// The zones of all networks, with what is in them.
#[derive(Default)]
pub(super) struct Zones(BTreeMap<NetworkId, (NetworkNames, SharedZone)>);

impl Zones {
    /// Makes the zones those of `networks`. Views that have them see the change.
    pub(super) fn follow(&mut self, networks: &BTreeMap<NetworkId, NetworkNames>) {
        self.0.retain(|id, _| networks.contains_key(id));
        for (id, wanted) in networks {
            let (present, zone) = self.0.entry(*id).or_insert_with(|| {
                let empty = NetworkNames { name: wanted.name.clone(), endpoints: BTreeMap::new() };
                (empty, SharedZone::new(Zone::new(&wanted.name)))
            });
            if present != wanted {
                zone.publish(changed(&zone.load(), present, wanted));
                present.clone_from(wanted);
            }
        }
    }

    /// Returns what a sandbox sees.
    pub(super) fn view(&self, names: &SandboxNames, of_host: &[NameServer]) -> View {
        let endpoints = names.networks.iter().filter_map(|seen| {
            let (_, zone) = self.0.get(&seen.network)?;
            Some(Endpoint { zone: zone.clone(), aliases: seen.links.clone().into_iter().collect() })
        });
        View {
            endpoints: endpoints.collect(),
            servers: upstream::of_sandbox(names, of_host),
            overrides: HashMap::new(),
            ndots: names.keeps_single_labels.then_some(1),
            external_access: names.external_access,
        }
    }
}

fn changed(zone: &Zone, present: &NetworkNames, wanted: &NetworkNames) -> Zone {
    let mut zone = zone.clone();
    for id in present.endpoints.keys().filter(|id| !wanted.endpoints.contains_key(id)) {
        zone.remove(&id.to_string());
    }
    for (id, endpoint) in &wanted.endpoints {
        if present.endpoints.get(id) != Some(endpoint) {
            zone.insert(registration(*id, endpoint));
        }
    }
    zone
}

fn registration(id: EndpointId, endpoint: &EndpointNames) -> Registration {
    let EndpointNames { names, addresses } = endpoint.clone();
    Registration { owner: id.to_string(), names, addresses, ..Registration::default() }
}
