//! What containers call each other, and what their neighbours are told: a function of the state, for whoever answers and tells.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::state::State;
use super::{files, gateway};
use crate::drivers::advertise;
use crate::files::NameServer;
use crate::files::resolv_conf::{ContainerResolvConf, SingleLabels};
use crate::model::{
    Endpoint, EndpointId, IfName, MacAddr, NamespaceSource, Network, NetworkId, Phase, Sandbox, SandboxId,
    is_link_local,
};
use crate::objects::Advertise;

/// Who is told what containers call each other.
pub trait NameService: Send + Sync {
    /// Makes known what `latest` returns, and returns when it is known. Called after every change; a failure is the service's
    /// own to report, for what was changed stands.
    fn publish(&self, latest: &dyn Fn() -> Names);
}

/// Who is called what, and who sees it; and whose addresses are announced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// The networks of the sandboxes below.
    pub networks: BTreeMap<NetworkId, NetworkNames>,
    /// The sandboxes that have a resolver.
    pub sandboxes: BTreeMap<SandboxId, SandboxNames>,
    /// What is announced of each sandbox's interfaces, whether it has a resolver or not.
    pub announced: BTreeMap<SandboxId, BTreeMap<EndpointId, Announced>>,
}

/// The names of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkNames {
    /// Its name.
    pub name: String,
    /// What its endpoints are called; those without a name are left out.
    pub endpoints: BTreeMap<EndpointId, EndpointNames>,
}

/// What an endpoint is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointNames {
    /// Its names, the one that its addresses lead back to first.
    pub names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// What one sandbox sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxNames {
    /// Its networks, the best gateway first.
    pub networks: Vec<Seen>,
    /// Whether it reaches beyond its networks.
    pub external_access: bool,
    /// The servers to ask for other names, reached from the sandbox; none means those of the host, reached from there.
    pub servers: Option<Vec<NameServer>>,
    /// What becomes of a name without dots that no network knows.
    pub keeps_single_labels: bool,
}

/// What the neighbours of an interface are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// The interface's name inside the sandbox.
    pub link: IfName,
    /// The MAC address to which its addresses lead.
    pub mac: MacAddr,
    /// Its addresses, without link-local ones.
    pub addresses: Vec<IpAddr>,
    /// How often and how fast.
    pub advertise: Advertise,
}

/// A network as one sandbox sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The network.
    pub network: NetworkId,
    /// What this sandbox alone calls others on it: alias to name.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

impl Names {
    /// Returns the names that hold in a state. What is still being made has none yet.
    pub fn of(state: &State) -> Self {
        let mut names = Self::default();
        for sandbox in state.sandboxes().filter(|sandbox| sandbox.phase != Phase::Creating) {
            if wants_resolver(state, sandbox) && sandbox.spec.namespace != NamespaceSource::Later {
                names.sandboxes.insert(sandbox.id, SandboxNames::of(state, sandbox));
            }
        }
        for endpoint in state.endpoints().filter(|endpoint| endpoint.phase != Phase::Creating) {
            if let Some((sandbox, announced)) = Announced::of(state, endpoint) {
                names.announced.entry(sandbox).or_default().insert(endpoint.id, announced);
            }
        }
        for seen in names.sandboxes.values().flat_map(|sandbox| &sandbox.networks) {
            names.networks.entry(seen.network).or_insert_with(|| NetworkNames::of(state, seen.network));
        }
        names
    }

    /// Returns whether there is anything to do for a sandbox.
    pub fn concern(&self, sandbox: SandboxId) -> bool {
        self.sandboxes.contains_key(&sandbox) || self.announced.contains_key(&sandbox)
    }

    /// Returns whether there is nothing to do for anybody.
    pub fn is_empty(&self) -> bool {
        self.sandboxes.is_empty() && self.announced.is_empty()
    }
}

impl Announced {
    /// Returns what is announced of an attached endpoint, and in which sandbox. One that has addresses and no interface is found
    /// out by whoever announces them.
    fn of(state: &State, endpoint: &Endpoint) -> Option<(SandboxId, Self)> {
        let attached = endpoint.attached.as_ref()?;
        let source = &state.sandbox(attached.sandbox)?.spec.namespace;
        let is_inside = !matches!(source, NamespaceSource::Host | NamespaceSource::Later);
        // Options that make no sense were refused with the network.
        let advertise = advertise::read(&state.network(endpoint.network)?.spec.options).ok().flatten()?;
        let addresses = endpoint.addresses.iter().map(IpNet::addr).filter(|address| !is_link_local(*address));
        let (link, mac, addresses) = (attached.ifname.clone(), endpoint.mac, addresses.collect::<Vec<_>>());
        (is_inside && !addresses.is_empty()).then_some((attached.sandbox, Self { link, mac, addresses, advertise }))
    }
}

impl NetworkNames {
    fn of(state: &State, id: NetworkId) -> Self {
        let name = state.network(id).map(|network| network.spec.name.clone()).unwrap_or_default();
        let endpoints = state.endpoints_of(id).filter(|endpoint| endpoint.phase != Phase::Creating);
        let endpoints = endpoints.filter_map(|endpoint| Some((endpoint.id, EndpointNames::of(endpoint)?))).collect();
        Self { name, endpoints }
    }
}

impl EndpointNames {
    /// Returns what an attached endpoint is called: last by the beginning of its sandbox's id, if by anything.
    fn of(endpoint: &Endpoint) -> Option<Self> {
        let attached = endpoint.attached.as_ref()?;
        if endpoint.spec.dns_names.is_empty() {
            return None;
        }
        let mut names = Vec::new();
        for name in endpoint.spec.dns_names.iter().cloned().chain([attached.sandbox.short().to_string()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Some(Self { names, addresses: endpoint.addresses.iter().map(IpNet::addr).collect() })
    }
}

impl SandboxNames {
    fn of(state: &State, sandbox: &Sandbox) -> Self {
        let ordered = gateway::ordered(state, sandbox.id);
        let beyond = |v6| ordered.iter().any(|(endpoint, network)| !network.spec.internal && endpoint.leads_out(v6));
        let external_access = beyond(false) || beyond(true);
        let networks = ordered
            .iter()
            .filter(|(endpoint, network)| !endpoint.automatic && has_names(network))
            .map(|(endpoint, network)| Seen {
                network: network.id,
                links: endpoint.spec.links.iter().cloned().collect(),
            })
            .collect();
        let servers = Some(sandbox.spec.dns.name_servers.clone()).filter(|servers| !servers.is_empty());
        // A file that cannot be understood was refused before the sandbox was made.
        let keeps = |conf: ContainerResolvConf| conf.single_labels() == SingleLabels::Kept;
        let keeps_single_labels = files::resolv_conf(state, sandbox).is_ok_and(keeps);
        Self { networks, external_access, servers, keeps_single_labels }
    }
}

/// Returns whether the sandboxes of a network know each other by name: there are addresses that a name could stand for.
pub fn has_names(network: &Network) -> bool {
    !network.pools.is_empty()
}

/// Returns whether a sandbox has a resolver: it was asked for, or a network of its has names. In the host's namespace there is
/// none.
pub fn wants_resolver(state: &State, sandbox: &Sandbox) -> bool {
    let networks = || state.attached_to(sandbox.id).filter_map(|endpoint| state.network(endpoint.network));
    sandbox.spec.namespace != NamespaceSource::Host
        && sandbox.spec.resolver.unwrap_or_else(|| networks().any(|network| has_names(network)))
}
