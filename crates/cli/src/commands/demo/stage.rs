//! The world: built, drawn, and taken down.
//!
//! The outside and the host are a network of Pontoon's too, of a second controller: its one sandbox is the host, and its bridge
//! stands for the world. The process moves into that sandbox, and there the networks of the demonstration are made.
//!
//! ```text
//! first namespace ("outside") ── bridge ── veth ── sandbox "host" ── bridges front, back, vault ── sandboxes
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use pontoon::{Attach, Config, Controller, EndpointSpec, Network, NetworkSpec, Sandbox, SandboxSpec};

use super::checks::Verdict;
use super::directory::Directory;
use super::probe::Server;
use super::report::{Timings, draw};
use crate::commands::attach::named;
use crate::enter::Namespace;
use crate::errors::Failure;
use crate::settings::resolver;

/// Documentation prefixes (RFC 5737, RFC 3849) and the addresses in them.
const WIRE: [(&str, &str); 2] = [("203.0.113.0/24", "203.0.113.2"), ("2001:db8::/64", "2001:db8::2")];
/// The port that is published, and where it leads.
pub(super) const PUBLISHED: (u16, u16) = (8080, 80);
/// A port that is served and not published.
pub(super) const UNPUBLISHED: u16 = 81;
/// What the outside serves.
pub(super) const OUTSIDE: u16 = 7;

/// The world.
pub(super) struct Stage {
    world: Controller,
    controller: Option<Controller>,
    run_dir: PathBuf,
    /// Where the namespaces are, by name; `outside` and `host` among them.
    places: BTreeMap<&'static str, Place>,
    sandboxes: Vec<Sandbox>,
    networks: Vec<Network>,
    attached: Vec<Duration>,
    detached: Vec<Duration>,
}

/// A namespace and the addresses in it.
pub(super) struct Place {
    pub(super) namespace: Namespace,
    pub(super) addresses: Vec<IpAddr>,
}

impl Place {
    /// Returns the first address of a family.
    pub(super) fn address(&self, v6: bool) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv6() == v6)
    }
}

impl Stage {
    /// Builds everything; the calling thread is on the host afterwards.
    pub(super) fn set(directory: &Directory) -> Result<Self, Failure> {
        let v6 = Path::new("/proc/net/if_inet6").exists();
        let world = Controller::open(config(directory, "world"))?;
        let mut places = BTreeMap::new();
        let host = plug(&world, v6, &mut places)?;
        let namespace = namespace(host.key())?;
        namespace.enter().map_err(|error| Failure::because("cannot enter the host's namespace", error))?;
        places.insert("host", Place { namespace, addresses: addresses(&host)? });
        let run_dir = directory.join("host/run");
        let mut stage = Self {
            world,
            controller: Some(Controller::open(config(directory, "host").names(resolver(&run_dir)))?),
            run_dir,
            places,
            sandboxes: Vec::new(),
            networks: Vec::new(),
            attached: Vec::new(),
            detached: Vec::new(),
        };
        stage.furnish(v6)?;
        Ok(stage)
    }

    fn furnish(&mut self, v6: bool) -> Result<(), Failure> {
        for name in ["front", "back", "vault"] {
            let spec = NetworkSpec::new(name).ipv6(v6).internal(name == "vault");
            let network = self.controller()?.create_network(spec)?;
            self.networks.push(network);
        }
        let published = format!("{}:{}", PUBLISHED.0, PUBLISHED.1);
        let published = published.parse().map_err(pontoon::Error::from)?;
        self.attach(SandboxSpec::new("web").publish(published), &["front"])?;
        self.attach(SandboxSpec::new("app"), &["front"])?;
        self.attach(SandboxSpec::new("db"), &["back", "vault"])?;
        self.attach(SandboxSpec::new("safe"), &["vault"])
    }

    fn attach(&mut self, spec: SandboxSpec, networks: &[&str]) -> Result<(), Failure> {
        let name = ["web", "app", "db", "safe"].into_iter().find(|name| *name == spec.name).unwrap_or("sandbox");
        let controller = self.controller()?;
        let endpoint =
            |network: &&str| Ok(((&controller.network_by_name(network)?).into(), named(name, EndpointSpec::default())));
        let endpoints = networks.iter().map(endpoint).collect::<Result<Vec<_>, pontoon::Error>>()?;
        let begun = Instant::now();
        let sandbox = controller.attach(Attach { sandbox: spec, endpoints })?;
        let took = begun.elapsed();
        let place = Place { namespace: namespace(sandbox.key())?, addresses: addresses(&sandbox)? };
        self.attached.push(took);
        self.places.insert(name, place);
        self.sandboxes.push(sandbox);
        Ok(())
    }

    fn controller(&self) -> Result<&Controller, Failure> {
        self.controller.as_ref().ok_or_else(|| Failure::new("the demonstration is over"))
    }

    /// Returns a place by name.
    pub(super) fn place(&self, name: &str) -> Result<&Place, Failure> {
        self.places.get(name).ok_or_else(|| Failure::new(format!("there is no {name}")))
    }

    /// Returns the address of a sandbox on a network.
    pub(super) fn address(&self, sandbox: &str, network: &str, v6: bool) -> Result<Option<IpAddr>, Failure> {
        let controller = self.controller()?;
        let info = controller.network_by_name(network)?.endpoint_by_name(sandbox)?.info()?;
        Ok(info.addresses.iter().map(IpNet::addr).find(|address| address.is_ipv6() == v6))
    }

    /// Starts a server in every place that has something to say.
    pub(super) fn serve(&self) -> Result<Vec<Server>, Failure> {
        let served = [
            ("web", PUBLISHED.1),
            ("web", UNPUBLISHED),
            ("db", PUBLISHED.1),
            ("safe", PUBLISHED.1),
            ("outside", OUTSIDE),
        ];
        let mut servers = Vec::new();
        for (name, port) in served {
            let place = self.place(name)?;
            let server = Server::start(place, port);
            servers
                .push(server.map_err(|error| Failure::because(format!("cannot serve port {port} in {name}"), error))?);
        }
        Ok(servers)
    }

    /// Draws the world.
    pub(super) fn picture(&self) -> Result<Vec<String>, Failure> {
        let controller = self.controller()?;
        let [outside, host] = [self.place("outside")?, self.place("host")?];
        draw(controller, &outside.addresses, &host.addresses, &self.networks)
    }

    /// Takes everything down, and says whether anything is left.
    pub(super) fn strike(&mut self) -> Result<Vec<Verdict>, Failure> {
        self.places.retain(|name, _| ["outside", "host"].contains(name));
        for sandbox in std::mem::take(&mut self.sandboxes).iter().rev() {
            let begun = Instant::now();
            sandbox.delete()?;
            self.detached.push(begun.elapsed());
        }
        std::mem::take(&mut self.networks).iter().try_for_each(Network::delete)?;
        let controller = self.controller.take().ok_or_else(|| Failure::new("the demonstration is over"))?;
        controller.settle()?;
        let mut left: Vec<String> =
            controller.diagnose()?.iter().map(|difference| difference.step.to_string()).collect();
        left.extend(controller.debts().into_iter().map(|(object, reason)| format!("{object} ({reason})")));
        drop(controller.stop()?);
        let mut verdicts = vec![Verdict::nothing_left("firewall, addresses, routes: nothing left on the host", left)];
        verdicts.push(Verdict::nothing_left(
            "interfaces: nothing left on the host",
            links(self.place("host")?, &["lo", "eth0"])?,
        ));
        verdicts
            .push(Verdict::nothing_left("namespaces: nothing left on the host", entries(&self.run_dir.join("netns"))?));
        self.strike_world()?;
        verdicts
            .push(Verdict::nothing_left("interfaces: nothing left outside", links(self.place("outside")?, &["lo"])?));
        Ok(verdicts)
    }

    fn strike_world(&mut self) -> Result<(), Failure> {
        self.world.destroy_sandbox("host")?;
        self.world.network_by_name("wire")?.delete()?;
        Ok(self.world.settle()?)
    }

    /// Returns how long attaching and detaching took.
    pub(super) fn timings(&self) -> Timings {
        Timings::of(&self.attached, &self.detached)
    }
}

/// Makes the wire between the outside and the host, and returns the host.
fn plug(world: &Controller, v6: bool, places: &mut BTreeMap<&'static str, Place>) -> Result<Sandbox, Failure> {
    let families = if v6 { &WIRE[..] } else { &WIRE[..1] };
    let mut network = NetworkSpec::new("wire").ipv6(v6);
    let mut endpoint = EndpointSpec::new("host");
    for (subnet, address) in families {
        network = network.subnet(subnet.parse().map_err(|error| Failure::because("not a subnet", error))?);
        endpoint = endpoint.address(address.parse().map_err(|error| Failure::because("not an address", error))?);
    }
    let wire = world.create_network(network)?;
    let gateways = wire.info()?.pools.iter().filter_map(|pool| pool.gateway).collect();
    let outside = Namespace::current().map_err(|error| Failure::because("cannot open this namespace", error))?;
    places.insert("outside", Place { namespace: outside, addresses: gateways });
    Ok(world.attach(Attach { sandbox: SandboxSpec::new("host"), endpoints: vec![(wire.id().into(), endpoint)] })?)
}

fn config(directory: &Directory, name: &str) -> Config {
    Config::new(directory.join(format!("{name}/state"))).run_dir(directory.join(format!("{name}/run")))
}

fn namespace(key: &Path) -> Result<Namespace, Failure> {
    Namespace::open(key)
        .map_err(|error| Failure::because(format!("cannot open the namespace {}", key.display()), error))
}

fn addresses(sandbox: &Sandbox) -> Result<Vec<IpAddr>, Failure> {
    let mut addresses = Vec::new();
    for endpoint in sandbox.endpoints() {
        addresses.extend(endpoint.info()?.addresses.iter().map(IpNet::addr));
    }
    Ok(addresses)
}

/// Returns the interfaces of a place besides those that belong there.
fn links(place: &Place, expected: &[&str]) -> Result<Vec<String>, Failure> {
    // Not `/proc/self`, which would be the namespace of the first thread.
    let read = || fs::read_to_string("/proc/thread-self/net/dev");
    let text = place.namespace.run(read).and_then(|text| text);
    let text = text.map_err(|error| Failure::because("cannot list interfaces", error))?;
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned());
    Ok(names.filter(|name| !expected.contains(&name.as_str())).collect())
}

fn entries(directory: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::because(format!("cannot list {}", directory.display()), error);
    let names = fs::read_dir(directory).map_err(failed)?;
    names.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}
