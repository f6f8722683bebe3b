//! Publishing on a sandbox that is there: an edit of what its record asks for, after which the ports are settled anew.

use tracing::info_span;

use super::gateway_network::Spare;
use crate::engine::{Draft, Engine, gateway};
use crate::error::{Error, SandboxError};
use crate::model::{NamespaceSource, PortBinding, Sandbox, SandboxId, SandboxSpec};
use crate::ports::PortSpec;

impl Engine {
    /// Publishes more ports of a sandbox, all or none, and returns their bindings. They follow its gateways: while nothing
    /// leads out of it there are none, and they come with the endpoint that does.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotFound`], [`SandboxError::PortTwice`], [`SandboxError::Publishes`],
    /// [`SandboxError::HostNamespace`], [`SandboxError::Waits`], [`crate::ports::PortError`] for ports that cannot be had, or
    /// a host that refuses.
    pub fn publish_ports(&self, id: SandboxId, ports: &[PortSpec]) -> Result<Vec<PortBinding>, Error> {
        let _span = info_span!("publish", sid = %id).entered();
        let (spare, survey) = (Spare::default(), self.survey());
        self.transact(&format!("publish ports of sandbox {id:?}"), |draft| {
            let sandbox = draft.sandbox(id)?;
            check_new(draft, &sandbox, ports)?;
            let all = sandbox.spec.ports.iter().chain(ports).cloned().collect();
            draft.put_sandbox(asking_for(&sandbox, all));
            self.settle(draft, id, &spare, &survey)?;
            Ok(bindings(draft, id, ports))
        })
    }

    /// Takes published ports of a sandbox back, all or none, and returns the bindings they had. A port is named as it was
    /// asked for, whatever host port it got. Tracked flows of theirs are forgotten.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotFound`], [`SandboxError::NotPublished`], or a host that refuses.
    pub fn unpublish_ports(&self, id: SandboxId, ports: &[PortSpec]) -> Result<Vec<PortBinding>, Error> {
        let _span = info_span!("unpublish", sid = %id).entered();
        let (spare, survey) = (Spare::default(), self.survey());
        self.transact(&format!("unpublish ports of sandbox {id:?}"), |draft| {
            let sandbox = draft.sandbox(id)?;
            let mut left = sandbox.spec.ports.clone();
            for port in ports {
                let place = left.iter().position(|present| present == port);
                left.remove(place.ok_or_else(|| not_published(&sandbox, port))?);
            }
            let gone = bindings(draft, id, ports);
            draft.put_sandbox(asking_for(&sandbox, left));
            self.settle(draft, id, &spare, &survey)?;
            Ok(gone)
        })
    }
}

fn asking_for(sandbox: &Sandbox, ports: Vec<PortSpec>) -> Sandbox {
    Sandbox { spec: SandboxSpec { ports, ..sandbox.spec.clone() }, ..sandbox.clone() }
}

/// Returns what is in force of requests, that of the best gateway first.
fn bindings(draft: &Draft<'_>, id: SandboxId, ports: &[PortSpec]) -> Vec<PortBinding> {
    let members = gateway::ordered(draft.state(), id);
    let all = members.iter().flat_map(|(endpoint, _)| &endpoint.bindings);
    all.filter(|binding| ports.contains(&binding.request)).cloned().collect()
}

fn check_new(draft: &Draft<'_>, sandbox: &Sandbox, ports: &[PortSpec]) -> Result<(), SandboxError> {
    let name = || sandbox.spec.name.clone();
    let Some(first) = ports.first() else { return Ok(()) };
    match sandbox.spec.namespace {
        NamespaceSource::Host => return Err(SandboxError::HostNamespace { name: name(), port: first.to_string() }),
        NamespaceSource::Later => return Err(SandboxError::Waits { name: name(), port: first.to_string() }),
        NamespaceSource::New | NamespaceSource::Adopted(_) => {}
    }
    for (index, port) in ports.iter().enumerate() {
        if ports[..index].contains(port) {
            return Err(SandboxError::PortTwice { port: port.to_string() });
        }
        let of_endpoint = || draft.state().attached_to(sandbox.id).any(|member| member.spec.publish.contains(port));
        if sandbox.spec.ports.contains(port) || of_endpoint() {
            return Err(SandboxError::Publishes { name: name(), port: port.to_string() });
        }
    }
    Ok(())
}

fn not_published(sandbox: &Sandbox, port: &PortSpec) -> SandboxError {
    let published = sandbox.spec.ports.iter().map(ToString::to_string).collect();
    SandboxError::NotPublished { name: sandbox.spec.name.clone(), port: port.to_string(), published }
}
