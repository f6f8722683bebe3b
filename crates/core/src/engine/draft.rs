//! A draft: the state as an edit wants it, with the locks the edit turned out to need.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::locks::{LockKey, Mode, Wanted, want};
use super::state::{Record, RecordKey, State};
use crate::error::{EndpointError, Error, NetworkError, SandboxError};
use crate::model::{Attachment, Endpoint, EndpointId, IfName, Network, NetworkId, Sandbox, SandboxId};
use crate::ports::BusyPort;

/// What the host refused in earlier rounds of one operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned {
    /// Host ports that other programs hold.
    pub(super) busy: Vec<BusyPort>,
    /// Interfaces that cannot have IPv6, by sandbox and name.
    pub(super) no_ipv6: BTreeSet<(SandboxId, IfName)>,
}

/// The state being edited.
pub struct Draft<'a> {
    pub(super) base: State,
    now: State,
    touched: BTreeSet<RecordKey>,
    wanted: Wanted,
    learned: &'a Learned,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: State, learned: &'a Learned) -> Self {
        let now = base.clone();
        Self { base, now, touched: BTreeSet::new(), wanted: Wanted::new(), learned }
    }

    /// Returns the state with the edits made so far. What it is read for without a lock may change until the edit is run
    /// again under its locks.
    pub(super) fn state(&self) -> &State {
        &self.now
    }

    pub(super) fn busy_ports(&self) -> &'a [BusyPort] {
        &self.learned.busy
    }

    /// Takes the IPv6 addresses and routes of those of a sandbox's endpoints whose interfaces cannot have IPv6. One that has no other
    /// address keeps it, so that the host's refusal is told.
    pub(super) fn give_up_ipv6(&mut self, sandbox: SandboxId) {
        let refused = |endpoint: &Arc<Endpoint>| {
            let attached = endpoint.attached.as_ref();
            attached.is_some_and(|at| self.learned.no_ipv6.contains(&(at.sandbox, at.ifname.clone())))
        };
        let refused: Vec<_> = self.now.attached_to(sandbox).filter(|endpoint| refused(endpoint)).cloned().collect();
        for endpoint in refused {
            let addresses: Vec<_> = endpoint.addresses.iter().filter(|one| one.addr().is_ipv4()).copied().collect();
            if !addresses.is_empty() {
                let attached = endpoint.attached.clone();
                let attached = attached.map(|at| Attachment { routing: at.routing.without_ipv6(), ..at });
                self.put_endpoint(Endpoint { addresses, attached, ..(*endpoint).clone() });
            }
        }
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    pub(super) fn touched(&self) -> &BTreeSet<RecordKey> {
        &self.touched
    }

    /// Returns a network that stays as it is while the operation lasts.
    pub(super) fn network(&mut self, id: NetworkId) -> Result<Arc<Network>, Error> {
        want(&mut self.wanted, LockKey::Network(id), Mode::Shared);
        self.now.network(id).cloned().ok_or_else(|| NetworkError::NotFound { name: id.to_string() }.into())
    }

    /// Returns a network that nobody else uses while the operation lasts.
    pub(super) fn network_alone(&mut self, id: NetworkId) -> Result<Arc<Network>, Error> {
        want(&mut self.wanted, LockKey::Network(id), Mode::Exclusive);
        self.network(id)
    }

    /// Returns an endpoint, with its sandbox if it has one, for this operation alone.
    pub(super) fn endpoint(&mut self, id: EndpointId) -> Result<Arc<Endpoint>, Error> {
        want(&mut self.wanted, LockKey::Endpoint(id), Mode::Exclusive);
        let endpoint = self.now.endpoint(id).cloned();
        let endpoint = endpoint.ok_or_else(|| EndpointError::NotFound { name: id.to_string() })?;
        if let Some(attached) = &endpoint.attached {
            want(&mut self.wanted, LockKey::Sandbox(attached.sandbox), Mode::Exclusive);
        }
        want(&mut self.wanted, LockKey::Network(endpoint.network), Mode::Shared);
        Ok(endpoint)
    }

    /// Returns a sandbox for this operation alone.
    pub(super) fn sandbox(&mut self, id: SandboxId) -> Result<Arc<Sandbox>, Error> {
        want(&mut self.wanted, LockKey::Sandbox(id), Mode::Exclusive);
        self.now.sandbox(id).cloned().ok_or_else(|| SandboxError::NotFound { name: id.to_string() }.into())
    }

    /// Waits for whoever is creating or removing the network of a name, and returns it.
    pub(super) fn network_named(&mut self, name: &str) -> Option<Arc<Network>> {
        let found = self.now.network_named(name).cloned()?;
        want(&mut self.wanted, LockKey::Network(found.id), Mode::Shared);
        Some(found)
    }

    /// Waits for whoever is creating or removing the sandbox of a container, and returns it.
    pub(super) fn sandbox_named(&mut self, name: &str) -> Option<Arc<Sandbox>> {
        let found = self.now.sandbox_named(name).cloned()?;
        want(&mut self.wanted, LockKey::Sandbox(found.id), Mode::Exclusive);
        Some(found)
    }

    /// Waits for whoever is creating or removing a network's endpoint of a name, and returns it.
    pub(super) fn endpoint_named(&mut self, network: NetworkId, name: &str) -> Option<Arc<Endpoint>> {
        let found = self.now.endpoint_named(network, name).cloned()?;
        want(&mut self.wanted, LockKey::Endpoint(found.id), Mode::Exclusive);
        Some(found)
    }

    pub(super) fn put_network(&mut self, network: Network) {
        want(&mut self.wanted, LockKey::Network(network.id), Mode::Exclusive);
        want(&mut self.wanted, LockKey::Shared, Mode::Exclusive);
        self.put(RecordKey::Network(network.id), Record::Network(Arc::new(network)));
    }

    pub(super) fn put_endpoint(&mut self, endpoint: Endpoint) {
        want(&mut self.wanted, LockKey::Endpoint(endpoint.id), Mode::Exclusive);
        self.put(RecordKey::Endpoint(endpoint.id), Record::Endpoint(Arc::new(endpoint)));
    }

    pub(super) fn put_sandbox(&mut self, sandbox: Sandbox) {
        want(&mut self.wanted, LockKey::Sandbox(sandbox.id), Mode::Exclusive);
        self.put(RecordKey::Sandbox(sandbox.id), Record::Sandbox(Arc::new(sandbox)));
    }

    fn put(&mut self, key: RecordKey, record: Record) {
        self.now.set(&key, Some(record));
        self.touched.insert(key);
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, key: RecordKey) {
        if matches!(key, RecordKey::Network(_)) {
            want(&mut self.wanted, LockKey::Shared, Mode::Exclusive);
        }
        self.now.set(&key, None);
        self.touched.insert(key);
    }
}
