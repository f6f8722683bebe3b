//! Flows that are forgotten in the background: looking for them takes the kernel milliseconds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pontoon_core::engine::HostError;
use pontoon_netlink::conntrack::FlowFilter;

use super::worker::Desk;
use crate::linux::firewall::forget_flows;

/// Flows to forget.
#[derive(Debug)]
pub(super) enum Flows {
    /// Those that a filter describes.
    Like(FlowFilter),
    /// Those of addresses that are given up.
    Of(Vec<IpAddr>),
}

/// Addresses that nobody may get yet, and how often each was given up.
#[derive(Debug, Default)]
pub(super) struct Reserved(Mutex<HashMap<IpAddr, usize>>);

impl Reserved {
    pub(super) fn add(&self, addresses: &[IpAddr]) {
        let mut reserved = self.lock();
        addresses.iter().for_each(|address| *reserved.entry(*address).or_default() += 1);
    }

    pub(super) fn has_any(&self, addresses: &[IpAddr]) -> bool {
        let reserved = self.lock();
        addresses.iter().any(|address| reserved.contains_key(address))
    }

    fn remove(&self, addresses: &[IpAddr]) {
        let mut reserved = self.lock();
        for address in addresses {
            match reserved.get_mut(address) {
                Some(times) if *times > 1 => *times -= 1,
                _ => drop(reserved.remove(address)),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets all that came together; addresses share one look at the kernel's table.
pub(super) fn job(reserved: Arc<Reserved>) -> impl FnMut(Vec<Flows>, &Desk<Flows>) -> Result<(), HostError> {
    move |batch, _| {
        let (mut filters, mut addresses) = (Vec::new(), Vec::new());
        for flows in batch {
            match flows {
                Flows::Like(filter) => filters.push(filter),
                Flows::Of(given_up) => addresses.extend(given_up),
            }
        }
        if !addresses.is_empty() {
            filters.push(FlowFilter::Addresses(addresses.clone()));
        }
        forget_flows(&filters);
        reserved.remove(&addresses);
        Ok(())
    }
}
