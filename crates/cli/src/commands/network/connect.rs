//! `pontoon network connect`.

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::Args;
use ipnet::IpNet;
use pontoon::{Controller, Endpoint, EndpointSpec, Error, IfName, MacAddr};

use crate::commands::attach;
use crate::context::Context;
use crate::errors::Outcome;
use crate::output;
use crate::values::{Rates, alias, ifname, ipv4, ipv6, key_value, link, link_local, mac};

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
    /// Its interface's name inside the sandbox; the network's prefix and a number otherwise
    #[arg(long, value_name = "NAME", value_parser = ifname)]
    ifname: Option<IfName>,
    /// The connection of highest priority leads out
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    gw_priority: i32,
    /// A driver option, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    driver_opt: Vec<(String, String)>,
    /// Another name by which others find it on the network; may be repeated
    #[arg(long, value_name = "NAME", value_parser = alias)]
    alias: Vec<String>,
    /// A name by which it alone finds another sandbox on the network; may be repeated
    #[arg(long, value_name = "SANDBOX[:NAME]", value_parser = link)]
    link: Vec<(String, String)>,
    /// A link-local address of its interface; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = link_local)]
    link_local_ip: Vec<IpNet>,
    /// A kernel setting of its interface, as net.X.Y.IFNAME.Z=V with IFNAME for the interface's name; may be repeated
    #[arg(long = "sysctl", value_name = "NAME=VALUE")]
    sysctls: Vec<String>,
    #[command(flatten)]
    rates: Rates,
}

impl Connect {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let connected = context.change("connecting", |controller| self.connect(controller))?;
        if let Some(endpoint) = connected.filter(|_| context.json()) {
            output::created(context.settings.format, endpoint.id(), &endpoint.record()?.spec.name);
        }
        Ok(0)
    }

    fn connect(&self, controller: &Controller) -> Result<Endpoint, Error> {
        let network = attach::target(controller, &self.network)?;
        let sandbox = controller.find_sandbox(&self.sandbox)?;
        let spec = EndpointSpec {
            options: self.driver_opt.iter().cloned().collect(),
            ipv4: self.ip,
            ipv6: self.ip6,
            mac: self.mac_address,
            ifname: self.ifname.clone(),
            priority: self.gw_priority,
            dns_names: self.alias.clone(),
            links: self.link.clone(),
            link_local: self.link_local_ip.clone(),
            sysctls: self.sysctls.clone(),
            ..EndpointSpec::default()
        };
        sandbox.connect(network, attach::named(&sandbox.info()?.spec.name, self.rates.limit(spec)))
    }
}
