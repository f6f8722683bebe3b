//! `pontoon network connect`.

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::Args;
use pontoon::{Controller, Endpoint, EndpointSpec, Error, MacAddr};

use crate::commands::attach;
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;
use crate::values::{ipv4, ipv6, key_value, mac, not_yet};

/// Connect a sandbox to a network
#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// Name or id of the network
    network: String,
    /// Name or id of the sandbox
    sandbox: String,
    /// Its IPv4 address
    #[arg(long, value_name = "ADDRESS", value_parser = ipv4)]
    ip: Option<Ipv4Addr>,
    /// Its IPv6 address
    #[arg(long, value_name = "ADDRESS", value_parser = ipv6)]
    ip6: Option<Ipv6Addr>,
    /// Its MAC address
    #[arg(long, value_name = "ADDRESS", value_parser = mac)]
    mac_address: Option<MacAddr>,
    /// The connection of highest priority leads out
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    gw_priority: i32,
    /// A driver option, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    driver_opt: Vec<(String, String)>,
    /// Not supported yet: needs a name service
    #[arg(long, value_name = "NAME", hide = true)]
    alias: Vec<String>,
    /// Not supported yet: needs a name service
    #[arg(long, value_name = "SANDBOX[:NAME]", hide = true)]
    link: Vec<String>,
    /// Not supported yet
    #[arg(long, value_name = "ADDRESS", hide = true)]
    link_local_ip: Vec<String>,
}

impl Connect {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        self.refuse_later()?;
        let connected = context.change("connecting", |controller| self.connect(controller))?;
        if let Some(endpoint) = connected.filter(|_| context.json()) {
            output::created(context.settings.format, endpoint.id(), &endpoint.record()?.spec.name);
        }
        Ok(0)
    }

    fn refuse_later(&self) -> Result<(), Failure> {
        let given = [("--alias", &self.alias), ("--link", &self.link)];
        if let Some((option, _)) = given.into_iter().find(|(_, values)| !values.is_empty()) {
            return Err(Failure::usage(not_yet(option)));
        }
        match self.link_local_ip.is_empty() {
            true => Ok(()),
            false => {
                Err(Failure::usage("--link-local-ip is not supported yet: addresses come from the network's subnets"))
            }
        }
    }

    fn connect(&self, controller: &Controller) -> Result<Endpoint, Error> {
        let network = attach::target(controller, &self.network)?;
        let sandbox = controller.find_sandbox(&self.sandbox)?;
        let spec = EndpointSpec {
            options: self.driver_opt.iter().cloned().collect(),
            ipv4: self.ip,
            ipv6: self.ip6,
            mac: self.mac_address,
            priority: self.gw_priority,
            ..EndpointSpec::new(&sandbox.info()?.spec.name)
        };
        sandbox.connect(network, spec)
    }
}
