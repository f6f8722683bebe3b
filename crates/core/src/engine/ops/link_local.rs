//! Which link-local addresses an endpoint may have.

use ipnet::IpNet;

use crate::engine::Draft;
use crate::error::EndpointError;
use crate::model::{Endpoint, EndpointSpec, InterfaceSetting, NetworkId, SandboxId, is_link_local};

/// Checks those of a new endpoint against each other and against those of its network.
pub(super) fn check(
    draft: &Draft<'_>,
    network: NetworkId,
    spec: &EndpointSpec,
    settings: &[InterfaceSetting],
) -> Result<(), EndpointError> {
    for (number, prefix) in spec.link_local.iter().enumerate() {
        let address = prefix.addr();
        let refuse = |reason| Err(EndpointError::LinkLocal { address, reason });
        if !is_link_local(address) {
            return refuse("it is not in 169.254.0.0/16 or fe80::/10");
        }
        let is_range = prefix.prefix_len() < prefix.max_prefix_len();
        if is_range && (address == prefix.network() || address.is_ipv4() && address == prefix.broadcast()) {
            return refuse("it is that of the whole link");
        }
        if address.is_ipv6() && (spec.disable_ipv6 || settings.iter().any(InterfaceSetting::switches_ipv6_off)) {
            return refuse("the endpoint has IPv6 switched off");
        }
        if spec.link_local[..number].iter().any(|other| other.addr() == address) {
            return refuse("it is asked for twice");
        }
        if let Some(other) = draft.state().endpoints_of(network).find(|other| has(other, *prefix)) {
            return Err(EndpointError::LinkLocalTaken { address, other: other.spec.name.clone() });
        }
    }
    Ok(())
}

/// Checks those of an endpoint against those that its sandbox has on other networks. Those of IPv6 may be the same on several
/// links.
pub(super) fn check_join(draft: &Draft<'_>, endpoint: &Endpoint, sandbox: SandboxId) -> Result<(), EndpointError> {
    for prefix in endpoint.spec.link_local.iter().filter(|prefix| prefix.addr().is_ipv4()) {
        if let Some(other) = draft.state().attached_to(sandbox).find(|other| has(other, *prefix)) {
            return Err(EndpointError::LinkLocalTaken { address: prefix.addr(), other: other.spec.name.clone() });
        }
    }
    Ok(())
}

fn has(endpoint: &Endpoint, prefix: IpNet) -> bool {
    let own = endpoint.spec.link_local.iter().chain(&endpoint.addresses);
    own.into_iter().any(|other| other.addr() == prefix.addr())
}
