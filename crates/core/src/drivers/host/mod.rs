//! The `host` driver: the host's own network stack.

use serde::{Deserialize, Serialize};

use super::{Driver, EndpointView, NetworkView, OptionError, OptionReader, Traits};
use crate::engine::HostProfile;
use crate::model::{Endpoint, Options, Routing};
use crate::objects::Objects;

/// Serves sandboxes that live in the host's namespace; there is nothing to set up.
pub struct Host;

/// No options.
#[derive(Debug, Serialize, Deserialize)]
pub struct NoConfig {}

impl Driver for Host {
    type Config = NoConfig;
    const NAME: &'static str = "host";

    fn configure(&self, options: &Options, _: &HostProfile) -> Result<NoConfig, OptionError> {
        OptionReader::new(Self::NAME, options).finish()?;
        Ok(NoConfig {})
    }

    fn network(&self, _: &NetworkView<'_, NoConfig>) -> Objects {
        Objects::new()
    }

    fn endpoint(&self, _: &EndpointView<'_, NoConfig>) -> Objects {
        Objects::new()
    }

    fn routing(&self, _: &NetworkView<'_, NoConfig>, _: &Endpoint) -> Routing {
        Routing::nowhere()
    }

    fn traits(&self) -> Traits {
        Traits { addresses: false, special: true, host_namespace: true }
    }
}
