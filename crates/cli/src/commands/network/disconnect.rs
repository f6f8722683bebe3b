//! `pontoon network disconnect`.

use clap::Args;
use pontoon::{Controller, Endpoint, EndpointError, Error, Kind, Network};
use serde_json::json;

use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;

/// Disconnect a sandbox from a network
#[derive(Args, Debug)]
pub(crate) struct Disconnect {
    /// Name or id of the network
    network: String,
    /// Name or id of the sandbox
    sandbox: String,
    /// Disconnect even if the sandbox is not there any more
    #[arg(short, long)]
    force: bool,
}

impl Disconnect {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let disconnected = context.change("disconnecting", |controller| self.disconnect(controller))?;
        match disconnected {
            Some(None) => {
                Err(Failure::new(format!("sandbox {} is not connected to network {}", self.sandbox, self.network))
                    .hinted(format!("`pontoon network inspect {}` shows who is", self.network))
                    .of_kind(Kind::NotFound))
            }
            Some(Some(name)) if context.json() => {
                output::json(&json!({ "EndpointsDeleted": [name] }));
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    /// Returns the name of the endpoint that there was.
    fn disconnect(&self, controller: &Controller) -> Result<Option<String>, Error> {
        let network = controller.find_network(&self.network)?;
        let Some(endpoint) = self.endpoint(controller, &network)? else {
            return Ok(None);
        };
        let name = endpoint.record()?.spec.name.clone();
        endpoint.delete(true)?;
        Ok(Some(name))
    }

    fn endpoint(&self, controller: &Controller, network: &Network) -> Result<Option<Endpoint>, Error> {
        let sandbox = match controller.find_sandbox(&self.sandbox) {
            Err(_) if self.force => return named(network, &self.sandbox),
            found => found?.id(),
        };
        let attached = |endpoint: &Endpoint| endpoint.info().is_ok_and(|info| info.sandbox == Some(sandbox));
        match network.endpoints().into_iter().find(attached) {
            // What has the sandbox's name and no sandbox is what a program left that made the two apart.
            None if self.force => named(network, &self.sandbox),
            found => Ok(found),
        }
    }
}

/// Returns the endpoint that a sandbox of that name would have.
fn named(network: &Network, name: &str) -> Result<Option<Endpoint>, Error> {
    match network.endpoint_by_name(name) {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(Error::Endpoint(EndpointError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}
