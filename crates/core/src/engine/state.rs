//! The state: records under keys, and what is derived from them.
//!
//! Which addresses, ports and names are taken is never stored: it follows from the records, so the two cannot disagree.

use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ipam::{AddressSet, Pool};
use crate::model::{Endpoint, EndpointId, Network, NetworkId, Phase, Sandbox, SandboxId};
use crate::objects::{Object, Op};
use crate::ports::PortIndex;

/// A step that is still to be taken: something that could not be removed or undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// The step.
    pub op: Op,
    /// Why it failed the last time.
    pub reason: String,
    /// The records whose addresses, ports and names stay taken until it is paid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Claim>,
}

/// Something that only one may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// An address, with its subnet's prefix length.
    Address(IpNet),
    /// Host ports.
    Ports(std::net::IpAddr, crate::ports::PortProto, crate::ports::PortRange),
    /// A subnet.
    Subnet(IpNet),
}

/// What an unmarked object was before it became ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The object as we want it.
    pub object: Object,
    /// Its value before.
    pub original: String,
}

/// What identifies a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// A network.
    Network(NetworkId),
    /// An endpoint.
    Endpoint(EndpointId),
    /// A sandbox.
    Sandbox(SandboxId),
    /// A debt, by the text of its object's key.
    Debt(String),
    /// A ledger entry, by the text of its object's key.
    Ledger(String),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A network.
    Network(Arc<Network>),
    /// An endpoint.
    Endpoint(Arc<Endpoint>),
    /// A sandbox.
    Sandbox(Arc<Sandbox>),
    /// A debt.
    Debt(Arc<Debt>),
    /// A ledger entry.
    Ledger(Arc<LedgerEntry>),
}

impl Record {
    /// Returns it in another phase; debts and ledger entries have none.
    #[must_use]
    pub(super) fn in_phase(&self, phase: Phase) -> Self {
        match self {
            Self::Network(r) => Self::Network(Arc::new(Network { phase, ..(**r).clone() })),
            Self::Endpoint(r) => Self::Endpoint(Arc::new(Endpoint { phase, ..(**r).clone() })),
            Self::Sandbox(r) => Self::Sandbox(Arc::new(Sandbox { phase, ..(**r).clone() })),
            other => other.clone(),
        }
    }
}

/// All records, and their indexes. A clone costs a few pointers.
#[derive(Clone, Debug, Default)]
pub struct State {
    networks: OrdMap<NetworkId, Arc<Network>>,
    endpoints: OrdMap<EndpointId, Arc<Endpoint>>,
    sandboxes: OrdMap<SandboxId, Arc<Sandbox>>,
    debts: OrdMap<String, Arc<Debt>>,
    ledger: OrdMap<String, Arc<LedgerEntry>>,
    network_names: OrdMap<Arc<str>, NetworkId>,
    sandbox_names: OrdMap<Arc<str>, SandboxId>,
    endpoint_names: OrdMap<(NetworkId, Arc<str>), EndpointId>,
    attached: OrdMap<(SandboxId, EndpointId), ()>,
    /// By subnet: networks that share one must not give an address twice.
    addresses: OrdMap<IpNet, AddressSet>,
    /// By subnet: the address that an endpoint got last.
    last_given: OrdMap<IpNet, std::net::IpAddr>,
    ports: PortIndex,
}

impl State {
    /// Returns a network.
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(&id)
    }

    /// Returns an endpoint.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&id)
    }

    /// Returns a sandbox.
    pub fn sandbox(&self, id: SandboxId) -> Option<&Arc<Sandbox>> {
        self.sandboxes.get(&id)
    }

    /// Returns all networks.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values()
    }

    /// Returns all endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }

    /// Returns all sandboxes.
    pub fn sandboxes(&self) -> impl Iterator<Item = &Arc<Sandbox>> {
        self.sandboxes.values()
    }

    /// Returns all debts.
    pub fn debts(&self) -> impl Iterator<Item = (&String, &Arc<Debt>)> {
        self.debts.iter()
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> impl Iterator<Item = (&String, &Arc<LedgerEntry>)> {
        self.ledger.iter()
    }

    /// Returns a ledger entry.
    pub fn ledger_entry(&self, key: &str) -> Option<&Arc<LedgerEntry>> {
        self.ledger.get(key)
    }

    /// Returns the network of a name.
    pub fn network_named(&self, name: &str) -> Option<&Arc<Network>> {
        self.network_names.get(name).and_then(|id| self.networks.get(id))
    }

    /// Returns the sandbox of a container.
    pub fn sandbox_named(&self, name: &str) -> Option<&Arc<Sandbox>> {
        self.sandbox_names.get(name).and_then(|id| self.sandboxes.get(id))
    }

    /// Returns a network's endpoint of a name.
    pub fn endpoint_named(&self, network: NetworkId, name: &str) -> Option<&Arc<Endpoint>> {
        self.endpoint_names.get(&(network, name.into())).and_then(|id| self.endpoints.get(id))
    }

    /// Returns a network's endpoints, by name.
    pub fn endpoints_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoint_names
            .range((network, Arc::from(""))..)
            .take_while(move |((of, _), _)| *of == network)
            .filter_map(|(_, id)| self.endpoints.get(id))
    }

    /// Returns the endpoints attached to a sandbox, by id.
    pub fn attached_to(&self, sandbox: SandboxId) -> impl Iterator<Item = &Arc<Endpoint>> {
        let lowest = EndpointId::lowest();
        self.attached
            .range((sandbox, lowest)..)
            .take_while(move |((of, _), ())| *of == sandbox)
            .filter_map(|((_, id), ())| self.endpoints.get(id))
    }

    /// Returns which addresses of a subnet are taken.
    pub fn addresses_in(&self, subnet: IpNet) -> AddressSet {
        self.addresses.get(&subnet).cloned().unwrap_or_default()
    }

    /// Returns the address of a subnet that an endpoint got last, as far as this process knows.
    pub fn last_given(&self, subnet: IpNet) -> Option<std::net::IpAddr> {
        self.last_given.get(&subnet).copied()
    }

    /// Returns which host ports are taken.
    pub fn ports(&self) -> &PortIndex {
        &self.ports
    }

    /// Returns all pools of networks, and the subnets that debts hold.
    pub fn pools(&self) -> Vec<Pool> {
        let held = self.debts.values().flat_map(|debt| &debt.holds).filter_map(|claim| match claim {
            Claim::Subnet(prefix) => Some(Pool { prefix: *prefix, sub: None }),
            _ => None,
        });
        let of_networks = self.networks.values().filter(|network| !network.spec.config_only);
        of_networks
            .flat_map(|network| network.pools.iter().map(|pool| Pool { prefix: pool.prefix, sub: pool.range }))
            .chain(held)
            .collect()
    }

    /// Returns a record.
    pub fn get(&self, key: &RecordKey) -> Option<Record> {
        match key {
            RecordKey::Network(id) => self.networks.get(id).cloned().map(Record::Network),
            RecordKey::Endpoint(id) => self.endpoints.get(id).cloned().map(Record::Endpoint),
            RecordKey::Sandbox(id) => self.sandboxes.get(id).cloned().map(Record::Sandbox),
            RecordKey::Debt(key) => self.debts.get(key).cloned().map(Record::Debt),
            RecordKey::Ledger(key) => self.ledger.get(key).cloned().map(Record::Ledger),
        }
    }

    /// Sets or removes a record and keeps the indexes in step.
    pub fn set(&mut self, key: &RecordKey, record: Option<Record>) {
        if let Some(old) = self.get(key) {
            self.forget(&old);
        }
        match (key, record) {
            (_, Some(record)) => self.insert(key, record),
            (RecordKey::Network(id), None) => drop(self.networks.remove(id)),
            (RecordKey::Endpoint(id), None) => drop(self.endpoints.remove(id)),
            (RecordKey::Sandbox(id), None) => drop(self.sandboxes.remove(id)),
            (RecordKey::Debt(key), None) => drop(self.debts.remove(key)),
            (RecordKey::Ledger(key), None) => drop(self.ledger.remove(key)),
        }
    }

    fn insert(&mut self, key: &RecordKey, record: Record) {
        match record {
            Record::Network(network) => {
                self.network_names.insert(network.spec.name.as_str().into(), network.id);
                pool_addresses(&network).for_each(|address| self.take(address));
                self.networks.insert(network.id, network);
            }
            Record::Endpoint(endpoint) => {
                self.endpoint_names.insert((endpoint.network, endpoint.spec.name.as_str().into()), endpoint.id);
                if let Some(attached) = &endpoint.attached {
                    self.attached.insert((attached.sandbox, endpoint.id), ());
                }
                for address in &endpoint.addresses {
                    self.take(*address);
                    if !self.endpoints.contains_key(&endpoint.id) {
                        self.last_given.insert(address.trunc(), address.addr());
                    }
                }
                for binding in &endpoint.bindings {
                    self.ports.insert_all(
                        &[binding.host_ip],
                        binding.proto,
                        binding.host_port..=binding.last_host_port(),
                    );
                }
                self.endpoints.insert(endpoint.id, endpoint);
            }
            Record::Sandbox(sandbox) => {
                self.sandbox_names.insert(sandbox.spec.name.as_str().into(), sandbox.id);
                self.sandboxes.insert(sandbox.id, sandbox);
            }
            Record::Debt(debt) => {
                debt.holds.iter().for_each(|claim| self.claim(claim));
                if let RecordKey::Debt(key) = key {
                    self.debts.insert(key.clone(), debt);
                }
            }
            Record::Ledger(entry) => {
                if let RecordKey::Ledger(key) = key {
                    self.ledger.insert(key.clone(), entry);
                }
            }
        }
    }

    fn take(&mut self, address: IpNet) {
        self.addresses.entry(address.trunc()).or_default().insert(address.addr());
    }

    fn give_back(&mut self, address: IpNet) {
        let Some(used) = self.addresses.get_mut(&address.trunc()) else { return };
        used.remove(address.addr());
        if used.is_empty() {
            self.addresses.remove(&address.trunc());
        }
    }

    fn claim(&mut self, claim: &Claim) {
        match claim {
            Claim::Address(address) => self.take(*address),
            Claim::Ports(ip, proto, range) => self.ports.insert_all(&[*ip], *proto, range.iter()),
            Claim::Subnet(_) => {}
        }
    }

    /// Takes an old record out of the indexes.
    fn forget(&mut self, record: &Record) {
        match record {
            Record::Network(network) => {
                self.network_names.remove(network.spec.name.as_str());
                pool_addresses(network).for_each(|address| self.give_back(address));
            }
            Record::Endpoint(endpoint) => {
                self.endpoint_names.remove(&(endpoint.network, endpoint.spec.name.as_str().into()));
                if let Some(attached) = &endpoint.attached {
                    self.attached.remove(&(attached.sandbox, endpoint.id));
                }
                endpoint.addresses.iter().for_each(|address| self.give_back(*address));
                for binding in &endpoint.bindings {
                    self.ports.remove_all(
                        &[binding.host_ip],
                        binding.proto,
                        binding.host_port..=binding.last_host_port(),
                    );
                }
            }
            Record::Sandbox(sandbox) => drop(self.sandbox_names.remove(sandbox.spec.name.as_str())),
            Record::Debt(debt) => {
                for claim in &debt.holds {
                    match claim {
                        Claim::Address(address) => self.give_back(*address),
                        Claim::Ports(ip, proto, range) => self.ports.remove_all(&[*ip], *proto, range.iter()),
                        Claim::Subnet(_) => {}
                    }
                }
            }
            Record::Ledger(_) => {}
        }
    }
}

/// Returns the addresses of a network that no endpoint may have.
fn pool_addresses(network: &Network) -> impl Iterator<Item = IpNet> + '_ {
    network.pools.iter().flat_map(|pool| {
        let with_length = |ip| IpNet::new(ip, pool.prefix.prefix_len()).expect("a pool's own prefix length");
        pool.gateway.into_iter().chain(pool.aux.values().copied()).map(with_length)
    })
}
