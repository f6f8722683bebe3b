//! Endpoints: create, join, leave, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::info_span;

use super::gateway_network::Spare;
use super::{addresses, link_local, routes, spans};
use crate::drivers::{self, ErasedDriver};
use crate::engine::{Draft, Engine, RecordKey};
use crate::error::{EndpointError, Error, NetworkError};
use crate::model::{
    Attachment, Endpoint, EndpointId, EndpointSpec, IfName, InterfaceSetting, MacAddr, NameError, NamespaceSource,
    Network, NetworkId, Phase, Sandbox, SandboxId, check_dns_name, check_name,
};

impl Engine {
    /// Creates an endpoint with its addresses.
    ///
    /// # Errors
    ///
    /// A name that is taken, a network that is not there or has no addresses left, an address that is taken or elsewhere.
    pub fn create_endpoint(&self, network: NetworkId, spec: EndpointSpec) -> Result<EndpointId, Error> {
        let id = self.new_endpoint_id();
        let _span =
            info_span!("libnetwork.Network.CreateEndpoint", nid = %network, eid = %id, ep = %spec.name).entered();
        self.transact(&format!("create endpoint {}", spec.name), |draft| {
            self.draft_endpoint(draft, network, &spec, id)
        })?;
        Ok(id)
    }

    pub(super) fn new_endpoint_id(&self) -> EndpointId {
        EndpointId::draw(|bytes| self.random(bytes))
    }

    pub(super) fn draft_endpoint(
        &self,
        draft: &mut Draft<'_>,
        network: NetworkId,
        spec: &EndpointSpec,
        id: EndpointId,
    ) -> Result<(), Error> {
        check_name(&spec.name)?;
        check_dns_names(spec)?;
        let network = draft.network(network)?;
        let _span = spans::create_endpoint(&network, id).entered();
        if network.spec.config_only {
            return Err(EndpointError::ConfigOnly.into());
        }
        if draft.endpoint_named(network.id, &spec.name).is_some() {
            let (name, network) = (spec.name.clone(), network.spec.name.clone());
            return Err(EndpointError::Exists { name, network }.into());
        }
        let driver = self.driver_of(&network)?;
        let spec = drivers::endpoint::read(spec, &**driver)?;
        let settings = InterfaceSetting::read_all(&spec.sysctls)?;
        link_local::check(draft, network.id, &spec, &settings)?;
        let has_addresses = driver.traits().addresses;
        let ipv6 = !spec.disable_ipv6 && !settings.iter().any(InterfaceSetting::switches_ipv6_off);
        let addresses = if has_addresses { addresses::of_endpoint(draft, &network, &spec, ipv6)? } else { Vec::new() };
        draft.put_endpoint(Endpoint {
            id,
            network: network.id,
            mac: spec.mac.unwrap_or_else(|| random_mac(id)),
            spec,
            addresses,
            attached: None,
            automatic: false,
            bindings: Vec::new(),
            opened: Vec::new(),
            phase: Phase::Ready,
        });
        Ok(())
    }

    fn driver_of(&self, network: &Network) -> Result<&Arc<dyn ErasedDriver>, Error> {
        let driver = self.registry().get(&network.spec.driver);
        driver.ok_or_else(|| NetworkError::NoDriver { driver: network.spec.driver.clone() }.into())
    }

    /// Attaches an endpoint to a sandbox: its interface, addresses, routes and ports.
    ///
    /// # Errors
    ///
    /// [`EndpointError::AlreadyAttached`], an interface name or host port that is taken, or a host that refuses.
    pub fn join(&self, endpoint: EndpointId, sandbox: SandboxId) -> Result<(), Error> {
        let _span = info_span!("libnetwork.sbJoin", eid = %endpoint, sid = %sandbox).entered();
        let (spare, survey) = (Spare::default(), self.survey());
        self.transact(&format!("join endpoint {endpoint:?} to sandbox {sandbox:?}"), |draft| {
            self.draft_join(draft, endpoint, sandbox)?;
            self.settle(draft, sandbox, &spare, &survey)
        })
    }

    /// Attaches without settling the way out and the ports, which is done once for all endpoints of a sandbox.
    pub(super) fn draft_join(
        &self,
        draft: &mut Draft<'_>,
        endpoint: EndpointId,
        sandbox: SandboxId,
    ) -> Result<(), Error> {
        let sandbox = draft.sandbox(sandbox)?;
        let endpoint = draft.endpoint(endpoint)?;
        if endpoint.attached.is_some() {
            return Err(EndpointError::AlreadyAttached.into());
        }
        let network = draft.network(endpoint.network)?;
        let _span = spans::join(&network, endpoint.id, sandbox.id).entered();
        self.check_namespace(&sandbox, &network)?;
        link_local::check_join(draft, &endpoint, sandbox.id)?;
        let ifname = self.interface_name(draft, &endpoint, &network, &sandbox)?;
        let routing = self.driver_of(&network)?.routing(&network, &endpoint)?;
        routes::check_join(draft, &endpoint, &network, &routing, &sandbox)?;
        let attached = Some(Attachment { sandbox: sandbox.id, ifname, routing });
        draft.put_endpoint(Endpoint { attached, ..(*endpoint).clone() });
        Ok(())
    }

    fn check_namespace(&self, sandbox: &Sandbox, network: &Network) -> Result<(), Error> {
        let traits = self.driver_of(network)?.traits();
        let in_host = sandbox.spec.namespace == NamespaceSource::Host;
        let reason = match (in_host, traits.host_namespace) {
            (true, false) if traits.addresses => {
                "the sandbox is in the host's namespace, which the host network alone serves"
            }
            (false, true) => "the host network serves sandboxes in the host's namespace",
            _ => return Ok(()),
        };
        let (sandbox, network) = (sandbox.spec.name.clone(), network.spec.name.clone());
        Err(EndpointError::Namespace { sandbox, network, reason }.into())
    }

    /// Returns the name that was asked for, or the network's prefix with the lowest number that is free in the sandbox.
    fn interface_name(
        &self,
        draft: &Draft<'_>,
        endpoint: &Endpoint,
        network: &Network,
        sandbox: &Sandbox,
    ) -> Result<IfName, Error> {
        let taken: BTreeSet<IfName> = draft
            .state()
            .attached_to(sandbox.id)
            .filter_map(|other| other.attached.as_ref().map(|attached| attached.ifname.clone()))
            .collect();
        if let Some(name) = &endpoint.spec.ifname {
            return match taken.contains(name) || name.as_str() == "lo" {
                false => Ok(name.clone()),
                true => {
                    let (ifname, sandbox) = (name.to_string(), sandbox.spec.name.clone());
                    Err(EndpointError::IfNameTaken { ifname, sandbox }.into())
                }
            };
        }
        let prefix = self.driver_of(network)?.interface_prefix(network)?;
        // One more name than there are endpoints: one of them is free.
        for number in 0..=taken.len() {
            let name = IfName::new(format!("{prefix}{number}"))?;
            if !taken.contains(&name) {
                return Ok(name);
            }
        }
        let (ifname, sandbox) = (prefix, sandbox.spec.name.clone());
        Err(EndpointError::IfNameTaken { ifname, sandbox }.into())
    }

    /// Detaches an endpoint from its sandbox; it keeps its addresses.
    ///
    /// # Errors
    ///
    /// [`EndpointError::NotAttached`], [`EndpointError::OtherSandbox`], [`EndpointError::WayOut`], or a host that refuses.
    pub fn leave(&self, endpoint: EndpointId, sandbox: SandboxId) -> Result<(), Error> {
        let _span = info_span!("libnetwork.Endpoint.Leave", eid = %endpoint, sid = %sandbox).entered();
        let (spare, survey) = (Spare::default(), self.survey());
        self.transact(&format!("leave endpoint {endpoint:?} from sandbox {sandbox:?}"), |draft| {
            let record = draft.endpoint(endpoint)?;
            match &record.attached {
                None => return Err(EndpointError::NotAttached.into()),
                Some(attached) if attached.sandbox != sandbox => {
                    let (expected, got) = (attached.sandbox.to_string(), sandbox.to_string());
                    return Err(EndpointError::OtherSandbox { expected, got }.into());
                }
                Some(attached) => refuse_way_out(draft, &record, attached.sandbox)?,
            }
            let (bindings, opened) = (Vec::new(), Vec::new());
            draft.put_endpoint(Endpoint { attached: None, bindings, opened, ..(*record).clone() });
            self.settle(draft, sandbox, &spare, &survey)
        })
    }

    /// Deletes an endpoint; `force` detaches it first.
    ///
    /// # Errors
    ///
    /// [`EndpointError::ActiveContainer`] if it is attached and not forced, [`EndpointError::WayOut`].
    pub fn delete_endpoint(&self, id: EndpointId, force: bool) -> Result<(), Error> {
        let _span = info_span!("libnetwork.Endpoint.Delete", eid = %id).entered();
        let (spare, survey) = (Spare::default(), self.survey());
        self.transact(&format!("delete endpoint {id:?}"), |draft| {
            let endpoint = draft.endpoint(id)?;
            if endpoint.attached.is_some() && !force {
                let (name, id) = (endpoint.spec.name.clone(), id.to_string());
                return Err(EndpointError::ActiveContainer { name, id }.into());
            }
            let Some(attached) = &endpoint.attached else {
                draft.remove(RecordKey::Endpoint(id));
                return Ok(());
            };
            refuse_way_out(draft, &endpoint, attached.sandbox)?;
            draft.remove(RecordKey::Endpoint(id));
            self.settle(draft, attached.sandbox, &spare, &survey)
        })
    }
}

/// What was made because nothing else leads out would be made again at once.
fn refuse_way_out(draft: &Draft<'_>, endpoint: &Endpoint, sandbox: SandboxId) -> Result<(), EndpointError> {
    if !endpoint.automatic {
        return Ok(());
    }
    let sandbox = draft.state().sandbox(sandbox).map(|sandbox| sandbox.spec.name.clone()).unwrap_or_default();
    Err(EndpointError::WayOut { name: endpoint.spec.name.clone(), sandbox })
}

/// The id is random already, so the address needs no randomness of its own.
fn random_mac(id: EndpointId) -> MacAddr {
    MacAddr::draw(|bytes| bytes.copy_from_slice(&id.mac_octets()))
}

/// Refuses names that nobody could ask for. Its own name may be one, such as the 64 digits of a container's id: then it is
/// found by the others.
fn check_dns_names(spec: &EndpointSpec) -> Result<(), NameError> {
    let aliases = spec.links.iter().map(|(alias, _)| alias);
    let mut asked = spec.dns_names.iter().chain(aliases).filter(|name| **name != spec.name);
    asked.try_for_each(|name| check_dns_name(name))
}
