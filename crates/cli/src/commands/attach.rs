//! Making a sandbox with networks and ports, for `run`, `sandbox create` and `sandbox adopt`.

use clap::Args;
use pontoon::files::resolv_conf::Overrides;
use pontoon::files::{ExtraHost, NameServer};
use pontoon::{
    Attach, Controller, EndpointSpec, Error, NetworkSpec, NetworkTarget, Owner, PortSpec, Sandbox, SandboxSpec,
};

use crate::args::Format;
use crate::errors::Failure;
use crate::settings::Settings;
use crate::values::{Joining, Ports, Rates};

/// The network that is used when none is named.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// What stands in the files of a sandbox.
#[derive(Args, Clone, Debug)]
pub(crate) struct Files {
    /// A host to be found by name inside, as NAME:ADDRESS; ADDRESS `host-gateway` is that of the gateway; may be repeated
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<ExtraHost>,
    /// A name server to ask in the place of the host's; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<NameServer>,
    /// A domain to search in the place of the host's, `.` for none; may be repeated
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// A resolver option in the place of the host's, such as ndots:2; may be repeated
    #[arg(long = "dns-opt", visible_alias = "dns-option", value_name = "OPTION")]
    dns_options: Vec<String>,
}

impl Files {
    fn overrides(&self) -> Overrides {
        Overrides { name_servers: self.dns.clone(), search: self.dns_search.clone(), options: self.dns_options.clone() }
    }

    /// Returns the first flag that was given.
    fn given(&self) -> Option<&'static str> {
        let Self { add_host, dns, dns_search, dns_options } = self;
        let flags = [
            ("--add-host", add_host.is_empty()),
            ("--dns", dns.is_empty()),
            ("--dns-search", dns_search.is_empty()),
            ("--dns-opt", dns_options.is_empty()),
        ];
        flags.into_iter().find(|(_, empty)| !empty).map(|(flag, _)| flag)
    }
}

/// What a sandbox is connected to.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wiring {
    /// A network to join, as NET[,ip=A][,ip6=A][,mac=M][,ifname=I][,gw-priority=N][,alias=N][,link=S:A][,link-local-ip=A][,opt=K=V]; may be
    /// repeated
    #[arg(long = "network", visible_alias = "net", value_name = "NET")]
    pub(crate) networks: Vec<Joining>,
    /// A port to publish, as [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]; may be repeated
    #[arg(short = 'p', long = "publish", value_name = "SPEC")]
    ports: Vec<Ports>,
    /// A kernel setting of every interface, as net.X.Y.IFNAME.Z=V with IFNAME for the interface's name; may be repeated
    #[arg(long = "sysctl", value_name = "NAME=VALUE")]
    sysctls: Vec<String>,
    #[command(flatten)]
    rates: Rates,
    /// The host name inside
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    #[command(flatten)]
    files: Files,
}

impl Wiring {
    /// Returns the first flag that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let Self { networks, ports, sysctls, rates, hostname, files } = self;
        let flags = [
            ("--network", networks.is_empty()),
            ("--publish", ports.is_empty()),
            ("--sysctl", sysctls.is_empty()),
            ("--hostname", hostname.is_none()),
        ];
        let given = flags.into_iter().find(|(_, empty)| !empty).map(|(flag, _)| flag);
        given.or_else(|| rates.given()).or_else(|| files.given())
    }

    /// Returns the networks to join that were named, with the settings of the interfaces there.
    pub(crate) fn named(&self) -> Result<Vec<Joining>, Failure> {
        match self.of_interfaces() {
            Some(flag) if self.networks.is_empty() => {
                Err(Failure::usage(format!("{flag} cannot be used without --network: no interface is made")))
            }
            _ => Ok(self.joining(&self.networks)),
        }
    }

    /// Returns the ports to publish.
    pub(crate) fn ports(&self) -> Vec<PortSpec> {
        self.ports.iter().flat_map(|ports| ports.0.clone()).collect()
    }

    /// Returns the sandbox that is asked for.
    pub(crate) fn spec(&self, name: &str, owner: Option<Owner>) -> SandboxSpec {
        SandboxSpec {
            name: name.to_owned(),
            hostname: self.hostname.clone(),
            extra_hosts: self.files.add_host.clone(),
            dns: self.files.overrides(),
            ports: self.ports(),
            owner,
            ..SandboxSpec::default()
        }
    }

    /// Refuses what would stand in the files of another sandbox.
    pub(crate) fn no_files(&self, sandbox: &str) -> Result<(), Failure> {
        match self.files.given() {
            None => Ok(()),
            Some(flag) => Err(Failure::usage(format!(
                "{flag} cannot be used with --network sandbox:{sandbox}: its files are shared, and stay as they are"
            ))),
        }
    }

    /// Returns networks to join, with the settings of the interfaces there.
    pub(crate) fn joining(&self, networks: &[Joining]) -> Vec<Joining> {
        let with = |mut joining: Joining| {
            joining.endpoint.sysctls.extend(self.sysctls.iter().cloned());
            Joining { endpoint: self.rates.limit(joining.endpoint), ..joining }
        };
        networks.iter().cloned().map(with).collect()
    }

    /// Refuses settings of interfaces where none is made.
    pub(crate) fn no_settings(&self, network: &str) -> Result<(), Failure> {
        match self.of_interfaces() {
            None => Ok(()),
            Some(flag) => {
                Err(Failure::usage(format!("{flag} cannot be used with --network {network}: it makes no interface")))
            }
        }
    }

    /// Returns the first flag that is about interfaces.
    fn of_interfaces(&self) -> Option<String> {
        let setting = self.sysctls.first().map(|text| format!("--sysctl {text}"));
        setting.or_else(|| self.rates.given().map(str::to_owned))
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
    let endpoint =
        |joining: &Joining| Ok((target(controller, &joining.network)?, named(&sandbox.name, joining.endpoint.clone())));
    let endpoints = networks.iter().map(endpoint).collect::<Result<_, Error>>()?;
    controller.attach(Attach { sandbox, endpoints })
}

/// Names a sandbox's endpoint after it: others find it by that name first, then by its aliases.
pub(crate) fn named(sandbox: &str, endpoint: EndpointSpec) -> EndpointSpec {
    let mut dns_names = vec![sandbox.to_owned()];
    dns_names.extend(endpoint.dns_names);
    EndpointSpec { name: sandbox.to_owned(), dns_names, ..endpoint }
}

/// Finds a network; the default one is created when it is first used.
pub(crate) fn target(controller: &Controller, name: &str) -> Result<NetworkTarget, Error> {
    match name {
        DEFAULT_NETWORK => Ok(NetworkTarget::create_if_missing(NetworkSpec::new(DEFAULT_NETWORK))),
        name => Ok((&controller.find_network(name)?).into()),
    }
}
