//! `pontoon publish`.

use clap::Args;
use pontoon::{Controller, Error, PortBinding, PortSpec};

use super::attach::note_ports;
use super::port;
use crate::context::Context;
use crate::errors::Outcome;
use crate::values::Ports;

/// Publish ports of a sandbox that is there
///
/// All of them, or none. They go with the sandbox, or with `pontoon unpublish`.
#[derive(Args, Debug)]
pub(crate) struct Publish {
    /// Name or id of the sandbox
    sandbox: String,
    /// A port, as [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]
    #[arg(required = true, value_name = "SPEC")]
    ports: Vec<Ports>,
}

impl Publish {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let ports = all(&self.ports);
        let published = context.change("publishing", |controller| self.publish(controller, &ports))?;
        if let Some((sandbox, bindings, is_open)) = published {
            note_ports(&context.settings, &ports);
            port::print(context, &sandbox, &bindings);
            if !is_open {
                note_waiting(context, &sandbox, &ports, &bindings);
            }
        }
        Ok(0)
    }

    /// Returns the sandbox's name, the bindings, and whether a network has ports open by the sandbox's own address.
    fn publish(&self, controller: &Controller, ports: &[PortSpec]) -> Result<(String, Vec<PortBinding>, bool), Error> {
        let sandbox = controller.find_sandbox(&self.sandbox)?;
        let bindings = sandbox.publish(ports)?;
        let is_open = sandbox.endpoints().iter().any(|one| one.info().is_ok_and(|info| !info.opened.is_empty()));
        Ok((sandbox.info()?.spec.name.clone(), bindings, is_open))
    }
}

/// Returns the ports of all words.
pub(super) fn all(words: &[Ports]) -> Vec<PortSpec> {
    words.iter().flat_map(|ports| ports.0.clone()).collect()
}

/// Names ports that are reached nowhere so far.
fn note_waiting(context: &Context, sandbox: &str, ports: &[PortSpec], bindings: &[PortBinding]) {
    if context.settings.quiet || context.json() {
        return;
    }
    for port in ports.iter().filter(|port| !bindings.iter().any(|binding| binding.request == **port)) {
        anstream::eprintln!("note: {port} waits for a network that leads out of sandbox {sandbox}");
    }
}
