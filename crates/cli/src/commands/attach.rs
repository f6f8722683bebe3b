//! Making a sandbox with networks and ports, for `run` and `sandbox create`.

use clap::Args;
use pontoon::{
    Attach, Controller, EndpointSpec, Error, NetworkSpec, NetworkTarget, Owner, PortSpec, Sandbox, SandboxSpec,
};

use crate::args::Format;
use crate::errors::Failure;
use crate::settings::Settings;
use crate::values::{Joining, Ports};

/// The network that is used when none is named.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// What a sandbox is connected to.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wiring {
    /// A network to join, as NET[,ip=A][,ip6=A][,mac=M][,ifname=I][,gw-priority=N][,opt=K=V]; may be repeated
    #[arg(long = "network", visible_alias = "net", value_name = "NET")]
    pub(crate) networks: Vec<Joining>,
    /// A port to publish, as [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]; may be repeated
    #[arg(short = 'p', long = "publish", value_name = "SPEC")]
    ports: Vec<Ports>,
    /// The host name inside
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
}

impl Wiring {
    /// Returns the ports to publish.
    pub(crate) fn ports(&self) -> Vec<PortSpec> {
        self.ports.iter().flat_map(|ports| ports.0.clone()).collect()
    }

    /// Returns the sandbox that is asked for.
    pub(crate) fn spec(&self, name: &str, owner: Option<Owner>) -> SandboxSpec {
        SandboxSpec {
            name: name.to_owned(),
            hostname: self.hostname.clone(),
            ports: self.ports(),
            owner,
            ..SandboxSpec::default()
        }
    }

    /// Refuses what has no network to be published on.
    pub(crate) fn no_ports(&self, network: &str) -> Result<(), Failure> {
        match self.ports().first() {
            None => Ok(()),
            Some(port) => Err(Failure::usage(format!("port {port} cannot be published with --network {network}"))),
        }
    }
}

/// Says once where ports are published, if that is not on the machine.
pub(crate) fn note_ports(settings: &Settings, ports: &[PortSpec]) {
    if settings.rootless && !ports.is_empty() && !settings.quiet && settings.format == Format::Table {
        anstream::eprintln!("note: ports are published in your user namespace only, not on the machine");
    }
}

/// Creates a sandbox with its endpoints, in one transaction.
pub(crate) fn attach(controller: &Controller, sandbox: SandboxSpec, networks: &[Joining]) -> Result<Sandbox, Error> {
    let endpoint = |joining: &Joining| {
        let endpoint = EndpointSpec { name: sandbox.name.clone(), ..joining.endpoint.clone() };
        Ok((target(controller, &joining.network)?, endpoint))
    };
    let endpoints = networks.iter().map(endpoint).collect::<Result<_, Error>>()?;
    controller.attach(Attach { sandbox, endpoints })
}

/// Finds a network; the default one is created when it is first used.
pub(crate) fn target(controller: &Controller, name: &str) -> Result<NetworkTarget, Error> {
    match name {
        DEFAULT_NETWORK => Ok(NetworkTarget::create_if_missing(NetworkSpec::new(DEFAULT_NETWORK))),
        name => Ok((&controller.find_network(name)?).into()),
    }
}
