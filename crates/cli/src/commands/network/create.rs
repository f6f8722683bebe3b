//! `pontoon network create`.

use std::net::IpAddr;

use clap::{ArgAction, Args};
use ipnet::IpNet;
use pontoon::{IpamSpec, NetworkSpec, PoolSpec, StaticRoute};

use super::forwarding::watched;
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;
use crate::values::{address, key_value, label, named_address, static_route, subnet};

/// Create a network, and print its id
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Its name
    name: String,
    /// What kind of network it is: bridge, host or null
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    driver: String,
    /// A subnet, as ADDRESS/LENGTH; may be given once for each family
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    subnet: Vec<IpNet>,
    /// The part of a subnet that addresses are chosen from
    #[arg(long, value_name = "RANGE", value_parser = subnet)]
    ip_range: Vec<IpNet>,
    /// The gateway's address in a subnet
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    gateway: Vec<IpAddr>,
    /// An address to keep free, as NAME=ADDRESS
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = named_address)]
    aux_address: Vec<(String, IpAddr)>,
    /// A static route of its sandboxes, as PREFIX,NEXTHOP, or PREFIX alone for what is on the network itself
    #[arg(long, value_name = "PREFIX[,NEXTHOP]", value_parser = static_route)]
    route: Vec<StaticRoute>,
    /// Whether endpoints get IPv6 addresses
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    ipv6: bool,
    /// Whether endpoints get IPv4 addresses
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true")]
    ipv4: bool,
    /// No way out: neither a gateway nor published ports
    #[arg(long)]
    internal: bool,
    /// A driver option, as KEY=VALUE
    #[arg(short, long = "opt", value_name = "KEY=VALUE", value_parser = key_value)]
    opt: Vec<(String, String)>,
    /// A label, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Let containers of a cluster be attached by hand
    #[arg(long)]
    attachable: bool,
    /// Only lend the configuration to other networks
    #[arg(long)]
    config_only: bool,
    /// The network to take the configuration from
    #[arg(long, value_name = "NETWORK")]
    config_from: Option<String>,
    /// Where addresses come from
    #[arg(long, value_name = "DRIVER", default_value = "default")]
    ipam_driver: String,
    /// An option for where addresses come from, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    ipam_opt: Vec<(String, String)>,
    /// Not supported yet: the scope is local
    #[arg(long, value_name = "SCOPE", hide = true)]
    scope: Option<String>,
    /// Not supported yet
    #[arg(long, hide = true)]
    ingress: bool,
}

impl Create {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let spec = self.spec()?;
        let created =
            watched(context, || context.change("creating the network", |controller| controller.create_network(spec)))?;
        if let Some(network) = created {
            output::created(context.settings.format, network.id(), &self.name);
        }
        Ok(0)
    }

    fn spec(&self) -> Result<NetworkSpec, Failure> {
        if let Some(scope) = self.scope.as_deref().filter(|scope| *scope != "local") {
            return Err(Failure::usage(format!(
                "scope {scope} is not supported yet: this version has local networks only"
            )));
        }
        if self.ingress {
            return Err(Failure::usage("--ingress is not supported yet: this version has local networks only"));
        }
        check_name(&self.name)?;
        let pools = self.pools()?;
        let (v6, v4) = pools.into_iter().partition(|pool| pool.subnet.is_some_and(|subnet| subnet.addr().is_ipv6()));
        Ok(NetworkSpec {
            driver: self.driver.clone(),
            options: self.opt.iter().cloned().collect(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            internal: self.internal,
            attachable: self.attachable,
            config_only: self.config_only,
            config_from: self.config_from.clone(),
            routes: self.route.clone(),
            labels: self.label.iter().cloned().collect(),
            ipam: IpamSpec {
                driver: self.ipam_driver.clone(),
                options: self.ipam_opt.iter().cloned().collect(),
                v4,
                v6,
            },
            ..NetworkSpec::new(&self.name)
        })
    }

    /// Ranges, gateways and auxiliary addresses belong to the subnet that holds them. A lone IPv4 gateway or range stays with
    /// a pool whose subnet is still to be chosen: the address manager says what it thinks of that.
    fn pools(&self) -> Result<Vec<PoolSpec>, Failure> {
        let mut pools: Vec<PoolSpec> =
            self.subnet.iter().map(|subnet| PoolSpec { subnet: Some(*subnet), ..PoolSpec::default() }).collect();
        for range in &self.ip_range {
            let pool = owner(&mut pools, range.addr(), "range", range)?;
            once(pool.range.replace(*range), "range", pool)?;
        }
        for gateway in &self.gateway {
            let pool = owner(&mut pools, *gateway, "gateway", gateway)?;
            once(pool.gateway.replace(*gateway), "gateway", pool)?;
        }
        for (name, address) in &self.aux_address {
            owner(&mut pools, *address, "auxiliary address", address)?.aux.insert(name.clone(), *address);
        }
        Ok(pools)
    }
}

/// Refuses names that `--network` could not take, because it reads them as something else.
fn check_name(name: &str) -> Result<(), Failure> {
    let meaning = match name {
        "host" => "the host's own namespace",
        "none" => "no network",
        _ if name.starts_with("sandbox:") => "the namespace of another sandbox",
        _ if name.starts_with("container:") => "the namespace of another container",
        _ if name.contains(',') => "a network with options after the comma",
        _ => return Ok(()),
    };
    Err(Failure::usage(format!("invalid network name {name:?}: --network {name} would mean {meaning}"))
        .hinted("choose another name"))
}

/// Finds the subnet that holds an address.
fn owner<'a>(
    pools: &'a mut [PoolSpec],
    address: IpAddr,
    what: &str,
    value: &dyn std::fmt::Display,
) -> Result<&'a mut PoolSpec, Failure> {
    let found = pools.iter_mut().find(|pool| pool.subnet.is_some_and(|subnet| subnet.contains(&address)));
    found.ok_or_else(|| {
        Failure::usage(format!("{what} {value} is in none of the subnets"))
            .hinted("give --subnet with a subnet that holds it")
    })
}

fn once<T: std::fmt::Display>(before: Option<T>, what: &str, pool: &PoolSpec) -> Result<(), Failure> {
    match (before, pool.subnet) {
        (Some(before), Some(subnet)) => Err(Failure::usage(format!("subnet {subnet} has a {what} already, {before}"))
            .hinted(format!("give one {what} a subnet"))),
        _ => Ok(()),
    }
}
