//! The gateway network: what leads out of a sandbox while none of its own networks does.

use std::cell::OnceCell;
use std::sync::Arc;

use super::networks::Survey;
use super::target::{DrawnTarget, NetworkTarget};
use crate::drivers::gateway_network;
use crate::engine::{Draft, Engine, RecordKey, gateway};
use crate::error::{Error, NetworkError};
use crate::model::{Endpoint, EndpointId, EndpointSpec, Network, Sandbox, SandboxId};

/// The name of the network. One of this name that is there already is used as it is.
pub const GATEWAY_NETWORK: &str = "pontoon_gwbridge";

/// What a sandbox's way out would be made of. Drawn when it is first needed, and once: an edit may run several times.
#[derive(Default)]
pub(super) struct Spare(OnceCell<(DrawnTarget, EndpointId)>);

impl Engine {
    /// Gives a sandbox what follows from its endpoints: a way out, and its ports on those that lead out.
    pub(super) fn settle(
        &self,
        draft: &mut Draft<'_>,
        sandbox: SandboxId,
        spare: &Spare,
        survey: &Survey<'_>,
    ) -> Result<(), Error> {
        // Whoever cannot have IPv6 is no gateway of it, and answers for no port.
        draft.give_up_ipv6(sandbox);
        let members = gateway::ordered(draft.state(), sandbox);
        let automatic = members.iter().find(|(endpoint, _)| endpoint.automatic).map(|(endpoint, _)| endpoint.id);
        match (lacks_way_out(&members), automatic) {
            (true, None) => {
                let made = self.draft_way_out(draft, sandbox, spare, survey);
                made.map_err(|error| Error::GatewayNetwork { network: GATEWAY_NETWORK, source: Box::new(error) })?;
            }
            (false, Some(endpoint)) => {
                draft.endpoint(endpoint)?;
                draft.remove(RecordKey::Endpoint(endpoint));
            }
            (true, Some(_)) | (false, None) => {}
        }
        self.bind_ports(draft, sandbox)
    }

    /// Joins a sandbox to the gateway network, which is created when it is first needed. Then the host is looked at while
    /// others wait: once in the life of a host.
    fn draft_way_out(
        &self,
        draft: &mut Draft<'_>,
        sandbox: SandboxId,
        Spare(drawn): &Spare,
        survey: &Survey<'_>,
    ) -> Result<(), Error> {
        let (network, endpoint) = drawn.get_or_init(|| {
            let network = NetworkTarget::create_if_missing(gateway_network(GATEWAY_NETWORK));
            (self.draw_target(network), self.new_endpoint_id())
        });
        let network = self.draft_target(draft, network, survey)?;
        let name = endpoint_name(&*draft.sandbox(sandbox)?);
        self.draft_endpoint(draft, network, &EndpointSpec::new(name), *endpoint)?;
        self.draft_join(draft, *endpoint, sandbox)?;
        let joined = draft.endpoint(*endpoint)?;
        if !joined.leads_out(false) && !joined.leads_out(true) {
            return Err(NetworkError::NoWayOut { name: GATEWAY_NETWORK.to_owned() }.into());
        }
        draft.put_endpoint(Endpoint { automatic: true, ..(*joined).clone() });
        Ok(())
    }
}

/// Returns whether a sandbox has a network that is to lead out, and none that does.
fn lacks_way_out(members: &[(Arc<Endpoint>, Arc<Network>)]) -> bool {
    let wants = |endpoint: &Endpoint, network: &Network| {
        let service = endpoint.attached.as_ref().is_some_and(|attached| attached.routing.gateway_service);
        service && !endpoint.automatic && !network.spec.internal
    };
    let leads_out = |endpoint: &Endpoint| endpoint.leads_out(false) || endpoint.leads_out(true);
    let mut plain = members.iter().filter(|(endpoint, network)| wants(endpoint, network)).peekable();
    plain.peek().is_some() && !plain.any(|(endpoint, _)| leads_out(endpoint))
}

/// Returns the name of a sandbox's endpoint on the gateway network, as upstream gives it: `gateway_` with the container's id if
/// it is short, with the beginning of the sandbox's otherwise.
fn endpoint_name(sandbox: &Sandbox) -> String {
    match sandbox.spec.name.as_str() {
        short if short.len() <= 12 => format!("gateway_{short}"),
        _ => format!("gateway_{}", sandbox.id.short()),
    }
}
