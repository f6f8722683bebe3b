//! Making a sandbox with networks and ports, for `run` and `sandbox create`.

use clap::Args;
use pontoon::{
    Attach, Controller, EndpointSpec, Error, Kind, Network, NetworkId, NetworkSpec, Owner, PortSpec, Sandbox,
    SandboxSpec,
};

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
    if settings.rootless && !ports.is_empty() && !settings.quiet {
        anstream::eprintln!("note: ports are published in your user namespace only, not on the machine");
    }
}

/// Creates a sandbox with its endpoints, in one transaction.
pub(crate) fn attach(controller: &Controller, sandbox: SandboxSpec, networks: &[Joining]) -> Result<Sandbox, Error> {
    let had_default = controller.find_network(DEFAULT_NETWORK).is_ok();
    let attached = endpoints(controller, &sandbox, networks)
        .and_then(|endpoints| controller.attach(Attach { sandbox, endpoints }));
    if attached.is_err() && !had_default {
        // What was made for a sandbox that there is not, goes; if somebody else uses it by now, it stays.
        let _kept = controller.find_network(DEFAULT_NETWORK).and_then(|network| network.delete());
    }
    attached
}

fn endpoints(
    controller: &Controller,
    sandbox: &SandboxSpec,
    networks: &[Joining],
) -> Result<Vec<(NetworkId, EndpointSpec)>, Error> {
    let endpoint = |joining: &Joining| {
        let network = network(controller, &joining.network)?;
        Ok((network.id(), EndpointSpec { name: sandbox.name.clone(), ..joining.endpoint.clone() }))
    };
    networks.iter().map(endpoint).collect()
}

/// Finds a network; the default one is made when it is first used.
pub(crate) fn network(controller: &Controller, name: &str) -> Result<Network, Error> {
    match controller.find_network(name) {
        Err(error) if error.kind() == Kind::NotFound && name == DEFAULT_NETWORK => {
            controller.create_network(NetworkSpec::new(DEFAULT_NETWORK))
        }
        found => found,
    }
}
