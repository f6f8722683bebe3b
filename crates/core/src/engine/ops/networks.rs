//! Networks: create and delete.

use std::cell::OnceCell;
use std::sync::Arc;

use tracing::info_span;

use super::{addresses, routes, spans};
use crate::drivers::advertise;
use crate::engine::{Draft, Engine, Host, HostError, HostProfile, RecordKey};
use crate::error::{Error, NetworkError};
use crate::ipam::PoolStatus;
use crate::model::{Network, NetworkId, NetworkSpec, Phase, check_name};

/// A network to be created, with what is drawn once: the edit that creates it may run several times.
pub(super) struct NewNetwork {
    pub(super) id: NetworkId,
    pub(super) spec: NetworkSpec,
    created: u128,
}

/// The host as it is during one operation: looked at when first needed, and once.
pub(super) struct Survey<'a> {
    host: &'a dyn Host,
    profile: OnceCell<HostProfile>,
}

impl Survey<'_> {
    pub(super) fn profile(&self) -> Result<&HostProfile, HostError> {
        if let Some(known) = self.profile.get() {
            return Ok(known);
        }
        let profile = self.host.survey()?;
        Ok(self.profile.get_or_init(|| profile))
    }
}

impl Engine {
    /// Creates a network.
    ///
    /// # Errors
    ///
    /// A name or id that is taken, a specification that makes no sense, pools that overlap or are exhausted, options the
    /// driver refuses, or a host that refuses.
    pub fn create_network(&self, spec: NetworkSpec) -> Result<NetworkId, Error> {
        let new = self.new_network(spec);
        let _span = spans::create_network(&new.spec, new.id).entered();
        let survey = self.survey();
        survey.profile()?;
        self.transact(&format!("create network {}", new.spec.name), |draft| self.draft_network(draft, &new, &survey))?;
        Ok(new.id)
    }

    pub(super) fn new_network(&self, spec: NetworkSpec) -> NewNetwork {
        let id = spec.id.unwrap_or_else(|| NetworkId::draw(|bytes| self.random(bytes)));
        NewNetwork { id, spec, created: self.environment.now() }
    }

    pub(super) fn survey(&self) -> Survey<'_> {
        Survey { host: &**self.host(), profile: OnceCell::new() }
    }

    pub(super) fn draft_network(
        &self,
        draft: &mut Draft<'_>,
        new: &NewNetwork,
        survey: &Survey<'_>,
    ) -> Result<(), Error> {
        let &NewNetwork { id, ref spec, created } = new;
        check_name(&spec.name)?;
        if spec.id.is_some() && draft.network(id).is_ok() {
            return Err(NetworkError::Exists { name: id.to_string() }.into());
        }
        if draft.network_named(&spec.name).is_some() {
            return Err(NetworkError::Exists { name: spec.name.clone() }.into());
        }
        check_config_fields(spec)?;
        let mut network = Network {
            id,
            spec: spec.clone(),
            config: serde_json::Value::Null,
            pools: vec![],
            created,
            phase: Phase::Ready,
        };
        if spec.config_only {
            "null".clone_into(&mut network.spec.driver);
            draft.put_network(network);
            return Ok(());
        }
        if let Some(name) = &spec.config_from {
            let lender = draft.network_named(name).filter(|lender| lender.spec.config_only);
            let lender = lender.ok_or_else(|| NetworkError::NoConfig { name: name.clone() })?;
            take_configuration(&mut network.spec, &lender.spec);
        }
        self.configure(draft, &mut network, survey.profile()?)?;
        draft.put_network(network);
        Ok(())
    }

    /// Fills in what the driver and the address manager decide.
    fn configure(&self, draft: &Draft<'_>, network: &mut Network, host: &HostProfile) -> Result<(), Error> {
        let driver_name = network.spec.driver.clone();
        let driver = self.registry().get(&driver_name);
        let driver = driver.ok_or_else(|| NetworkError::NoDriver { driver: driver_name.clone() })?;
        network.config = match driver.traits().addresses {
            true => {
                advertise::read(&network.spec.options)?;
                driver.configure(&advertise::without(&network.spec.options), host)?
            }
            false => driver.configure(&network.spec.options, host)?,
        };
        let mut others: Vec<Arc<Network>> = draft.state().networks().cloned().collect();
        others.retain(|other| other.spec.driver == driver_name && !other.spec.config_only);
        if driver.traits().special && !others.is_empty() {
            return Err(NetworkError::OnlyOne { driver: driver_name }.into());
        }
        if driver.traits().addresses {
            if network.spec.ipv6 && !host.ipv6 {
                return Err(NetworkError::NoIpv6 { name: network.spec.name.clone() }.into());
            }
            network.pools = addresses::pools(draft, network, &**driver, (host, &self.config.pools))?;
        }
        routes::check(network)?;
        let others: Vec<&Network> = others.iter().map(|other| &**other).collect();
        Ok(driver.check(network, &others, host)?)
    }

    /// Deletes a network that has no endpoints.
    ///
    /// # Errors
    ///
    /// [`NetworkError`]: unknown, in use, or of a kind that cannot be deleted.
    pub fn delete_network(&self, id: NetworkId) -> Result<(), Error> {
        let _span = info_span!("libnetwork.Network.Delete", nid = %id).entered();
        let name = self.snapshot().network(id).map_or_else(|| id.short(), |network| network.spec.name.clone());
        self.transact(&format!("delete network {name}"), |draft| {
            let Ok(network) = draft.network_alone(id) else {
                return Err(NetworkError::Unknown { name: name.clone(), id: id.to_string() }.into());
            };
            self.check_deletable(draft, &network)?;
            draft.remove(RecordKey::Network(id));
            Ok(())
        })
    }

    fn check_deletable(&self, draft: &Draft<'_>, network: &Network) -> Result<(), Error> {
        let spec = &network.spec;
        if spec.config_only {
            let mut others = draft.state().networks();
            return match others.any(|other| other.spec.config_from.as_ref() == Some(&spec.name)) {
                true => Err(NetworkError::ConfigInUse { name: spec.name.clone() }.into()),
                false => Ok(()),
            };
        }
        if self.registry().get(&spec.driver).is_some_and(|driver| driver.traits().special) {
            return Err(NetworkError::Undeletable { driver: spec.driver.clone() }.into());
        }
        let name = |e: &Arc<crate::model::Endpoint>| format!("name:{:?} id:\"{}\"", e.spec.name, e.id.short());
        let endpoints: Vec<String> = draft.state().endpoints_of(network.id).map(name).collect();
        match endpoints.is_empty() {
            true => Ok(()),
            false => {
                Err(NetworkError::ActiveEndpoints { name: spec.name.clone(), id: network.id.to_string(), endpoints }
                    .into())
            }
        }
    }

    /// Returns how full a network's pools are.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotFound`].
    pub fn pool_status(&self, id: NetworkId) -> Result<Vec<(ipnet::IpNet, PoolStatus)>, Error> {
        let state = self.snapshot();
        let network = state.network(id).ok_or_else(|| NetworkError::NotFound { name: id.to_string() })?;
        Ok(network.pools.iter().map(|pool| (pool.prefix, addresses::status(&state, pool))).collect())
    }
}

/// The rules of config-only networks and of those that take their configuration from one.
fn check_config_fields(spec: &NetworkSpec) -> Result<(), NetworkError> {
    if spec.config_only && (spec.internal || spec.attachable) {
        return Err(NetworkError::OperatorFields);
    }
    if spec.config_only && spec.config_from.is_some() {
        return Err(NetworkError::ConfigOnlyFrom);
    }
    if spec.config_from.is_some() {
        let own = !spec.ipv4
            || spec.ipv6
            || !spec.labels.is_empty()
            || spec.ipam != crate::model::IpamSpec::default()
            || !spec.routes.is_empty();
        if own {
            return Err(NetworkError::ConfigFromOwn);
        }
        if !spec.options.is_empty() {
            return Err(NetworkError::ConfigFromOptions);
        }
    }
    Ok(())
}

fn take_configuration(spec: &mut NetworkSpec, lender: &NetworkSpec) {
    spec.ipv4 = lender.ipv4;
    spec.ipv6 = lender.ipv6;
    spec.labels = lender.labels.clone();
    spec.ipam = lender.ipam.clone();
    spec.options = lender.options.clone();
    spec.routes = lender.routes.clone();
}
