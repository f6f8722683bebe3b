//! Who has which address: so that flows of one tenant are never answered to the next.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pontoon_core::model::SandboxId;
use pontoon_core::objects::Veth;
use pontoon_netlink::route::addresses;

use super::PROTOCOL;
use super::reaper::Reaper;
use super::run::Run;

/// The addresses that this process gave to interfaces of sandboxes.
#[derive(Debug, Default)]
pub(super) struct Tenants(Mutex<HashMap<(SandboxId, String), Vec<IpAddr>>>);

impl Tenants {
    /// Writes down who gets addresses, after flows of whoever had them before are forgotten.
    pub(super) fn give(&self, sandbox: SandboxId, given: impl Iterator<Item = (String, IpAddr)>, reaper: &Reaper) {
        let given: Vec<_> = given.collect();
        reaper.await_addresses(given.iter().map(|(_, address)| *address));
        let mut tenants = self.lock();
        for (link, address) in given {
            tenants.entry((sandbox, link)).or_default().push(address);
        }
    }

    fn take(&self, veth: &Veth) -> Option<Vec<IpAddr>> {
        self.lock().remove(&(veth.sandbox, veth.peer.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(SandboxId, String), Vec<IpAddr>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run<'_> {
    /// Returns the addresses that an interface gives up: nobody gets them before their flows are forgotten.
    pub(super) fn end_tenancy(&mut self, veth: &Veth) -> Vec<IpAddr> {
        self.host.tenants.take(veth).unwrap_or_else(|| self.addresses_inside(veth))
    }

    /// Reads the addresses that another process gave; an interface that is gone has none.
    fn addresses_inside(&mut self, veth: &Veth) -> Vec<IpAddr> {
        let Ok(inside) = self.inside(veth.sandbox) else { return Vec::new() };
        let listed = addresses(&mut inside.open.socket, None).unwrap_or_default();
        listed.into_iter().filter(|one| one.protocol == PROTOCOL).map(|one| one.prefix.addr()).collect()
    }
}
