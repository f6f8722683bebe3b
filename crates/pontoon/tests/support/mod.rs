//! Worlds to do things in, and things to do: every public operation as one scenario.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod picture;
#[path = "../wire/mod.rs"]
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use pontoon::{Attach, Config, Controller, EndpointSpec, Error, NetworkSpec, NetworkTarget, SandboxSpec};
use pontoon_core::engine::{Host, Store};
use pontoon_core::objects::Op;
use pontoon_host::store::MemoryStore;
use pontoon_testkit::TestEnvironment;
use pontoon_testkit::fake::FakeHost;

use wire::{Wire, wire};

/// A host, a store and an environment that outlive controllers.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) host: FakeHost,
    pub(crate) store: MemoryStore,
    pub(crate) environment: TestEnvironment,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { host: FakeHost::new(), store: MemoryStore::new(), environment: TestEnvironment::new(7) }
    }

    pub(crate) fn open(&self) -> Controller {
        self.open_through(Arc::new(self.host.clone()), Arc::new(self.store.clone()))
    }

    pub(crate) fn open_through(&self, host: Arc<dyn Host>, store: Arc<dyn Store>) -> Controller {
        self.open_as(Config::new("unused"), host, store)
    }

    /// Opens a controller that only looks.
    pub(crate) fn open_read_only(&self) -> Controller {
        let config = Config::new("unused").read_only();
        self.open_as(config, Arc::new(self.host.clone()), Arc::new(self.store.clone()))
    }

    fn open_as(&self, config: Config, host: Arc<dyn Host>, store: Arc<dyn Store>) -> Controller {
        let builder = Controller::builder(config).host(host).store(store);
        builder.environment(Arc::new(self.environment.clone())).driver(Wire).open().expect("the controller opens")
    }

    /// Returns the steps that a start will take, without host ports, having checked that looking for them changes nothing.
    pub(crate) fn foreseen(&self) -> Vec<Op> {
        let before = self.picture();
        let controller = self.open_read_only();
        let foreseen = controller.pending().expect("the host can be read").steps;
        let preview = controller.preview(Controller::repair).expect("nothing fails that does not happen");
        let told: Vec<_> = preview.recovery.iter().map(|step| step.0.clone()).collect();
        assert_eq!(told, foreseen.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(preview.steps, [], "after a recovery there is nothing to repair");
        drop(controller);
        assert_eq!(self.picture(), before, "looking changed something");
        lasting(&foreseen)
    }

    /// Returns everything in the store.
    pub(crate) fn records(&self) -> BTreeMap<String, String> {
        let all = self.store.scan("").expect("memory can be read");
        all.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value).into_owned())).collect()
    }

    /// Returns everything that can be told of the world: host and store.
    pub(crate) fn picture(&self) -> String {
        let records: Vec<String> = self.records().into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!("{}\n{}", self.host.snapshot(), records.join("\n"))
    }
}

/// Returns steps except for those on host ports, which who leaves at once does not hold.
pub(crate) fn lasting(steps: &[Op]) -> Vec<Op> {
    steps.iter().filter(|step| !step.object().is_volatile()).cloned().collect()
}

/// Writes what the kernel begins with: forwarding stays on once it was needed.
pub(crate) fn forget_settings() {
    for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding"] {
        std::fs::write(format!("/proc/sys/net/{setting}"), "0").expect("the namespace is ours");
    }
}

/// One public operation and what it needs to be there.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) before: fn(&Controller),
    pub(crate) operation: fn(&Controller) -> Result<(), Error>,
}

fn network(controller: &Controller, name: &str) {
    controller.create_network(dual_stack(name)).unwrap();
}

fn dual_stack(name: &str) -> NetworkSpec {
    NetworkSpec::new(name).ipv6(true).subnet("fd00:1::/64".parse().unwrap())
}

fn two_networks(controller: &Controller) {
    network(controller, "one");
    controller.create_network(NetworkSpec::new("two").internal(true)).unwrap();
}

fn attached(controller: &Controller) {
    two_networks(controller);
    attach(controller).unwrap();
}

fn attach(controller: &Controller) -> Result<(), Error> {
    attach_to(controller, (&controller.network_by_name("one")?).into(), (&controller.network_by_name("two")?).into())
}

fn attach_to(controller: &Controller, one: NetworkTarget, two: NetworkTarget) -> Result<(), Error> {
    let sandbox = SandboxSpec { resolver: Some(true), ..SandboxSpec::new("box") }
        .publish("8080:80".parse()?)
        .publish("9000-9009:9000-9009/udp".parse()?);
    let endpoints = vec![(one, EndpointSpec::new("a").publish("53/udp".parse()?)), (two, EndpointSpec::new("b"))];
    controller.attach(Attach { sandbox, endpoints }).map(drop)
}

fn attach_creating(controller: &Controller) -> Result<(), Error> {
    let two = NetworkTarget::create_if_missing(NetworkSpec::new("two").internal(true));
    attach_to(controller, NetworkTarget::create_if_missing(dual_stack("one")), two)
}

fn connect_creating(controller: &Controller) -> Result<(), Error> {
    let one = NetworkTarget::create_if_missing(dual_stack("one"));
    controller.sandbox_of("box")?.connect(one, EndpointSpec::new("a")).map(drop)
}

fn parts(controller: &Controller) {
    network(controller, "one");
    controller.network_by_name("one").unwrap().create_endpoint(EndpointSpec::new("a")).unwrap();
    controller
        .create_sandbox(
            SandboxSpec { resolver: Some(true), ..SandboxSpec::new("box") }.publish("8080:80".parse().unwrap()),
        )
        .unwrap();
}

fn joined(controller: &Controller) {
    parts(controller);
    join(controller).unwrap();
}

fn join(controller: &Controller) -> Result<(), Error> {
    controller.network_by_name("one")?.endpoint_by_name("a")?.join(&controller.sandbox_of("box")?)
}

fn routed(name: &str) -> NetworkSpec {
    let spec = dual_stack(name).option("com.docker.network.bridge.gateway_mode_ipv4", "routed");
    let spec = spec.option("com.docker.network.host_ipv6", "2001:db8::7");
    let spec = spec.option("com.docker.network.bridge.inhibit_ipv4", "true");
    spec.option("com.docker.network.bridge.gateway_mode_ipv6", "nat-unprotected")
}

fn isolated(name: &str) -> NetworkSpec {
    let spec = NetworkSpec::new(name).internal(true).option("com.docker.network.bridge.gateway_mode_ipv4", "isolated");
    spec.ipv6(true).option("com.docker.network.bridge.gateway_mode_ipv6", "isolated")
}

/// A sandbox on a network that leads nowhere, so that the gateway network leads out, and a network that would.
fn led_out(controller: &Controller) {
    network(controller, "one");
    let quiet = NetworkTarget::create_if_missing(wire("quiet", "none"));
    let sandbox = SandboxSpec::new("box").publish("8080:80".parse().unwrap());
    controller.attach(Attach { sandbox, endpoints: vec![(quiet, EndpointSpec::new("q"))] }).unwrap();
}

fn connect_to_one(controller: &Controller) -> Result<(), Error> {
    controller.sandbox_of("box")?.connect(&controller.network_by_name("one")?, EndpointSpec::new("a")).map(drop)
}

/// Every public operation.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "create the first network",
        before: |_| {},
        operation: |c| c.create_network(dual_stack("one")).map(drop),
    },
    Scenario {
        name: "create an internal network beside another",
        before: |c| network(c, "one"),
        operation: |c| c.create_network(NetworkSpec::new("two").internal(true)).map(drop),
    },
    Scenario {
        name: "delete the last network",
        before: |c| network(c, "one"),
        operation: |c| c.network_by_name("one")?.delete(),
    },
    Scenario {
        name: "delete one of two networks",
        before: two_networks,
        operation: |c| c.network_by_name("two")?.delete(),
    },
    Scenario {
        name: "create an endpoint",
        before: |c| network(c, "one"),
        operation: |c| c.network_by_name("one")?.create_endpoint(EndpointSpec::new("a")).map(drop),
    },
    Scenario {
        name: "delete an endpoint",
        before: parts,
        operation: |c| c.network_by_name("one")?.endpoint_by_name("a")?.delete(false),
    },
    Scenario {
        name: "create a sandbox",
        before: |_| {},
        operation: |c| c.create_sandbox(SandboxSpec::new("box")).map(drop),
    },
    Scenario { name: "delete an empty sandbox", before: parts, operation: |c| c.sandbox_of("box")?.delete() },
    Scenario { name: "join", before: parts, operation: join },
    Scenario {
        name: "leave",
        before: joined,
        operation: |c| c.network_by_name("one")?.endpoint_by_name("a")?.leave(&c.sandbox_of("box")?),
    },
    Scenario {
        name: "delete an attached endpoint by force",
        before: joined,
        operation: |c| c.network_by_name("one")?.endpoint_by_name("a")?.delete(true),
    },
    Scenario {
        name: "attach with settings and link-local addresses",
        before: two_networks,
        operation: |c| {
            let one = EndpointSpec::new("a").sysctl("net.ipv4.conf.IFNAME.route_localnet=1");
            let one = one.link_local("169.254.7.7".parse().unwrap()).link_local("fe80::7:7".parse().unwrap());
            let two = EndpointSpec::new("b").sysctl("net.ipv6.conf.ifname.disable_ipv6=1");
            let networks = [c.network_by_name("one")?, c.network_by_name("two")?];
            let endpoints = vec![((&networks[0]).into(), one), ((&networks[1]).into(), two)];
            c.attach(Attach { sandbox: SandboxSpec::new("box"), endpoints }).map(drop)
        },
    },
    Scenario {
        name: "attach with limits of rates",
        before: two_networks,
        operation: |c| {
            let one = EndpointSpec::new("a").rate_in("8M".parse().unwrap()).rate_out("1M".parse().unwrap());
            let two = EndpointSpec::new("b").rate_out("64k".parse().unwrap());
            let networks = [c.network_by_name("one")?, c.network_by_name("two")?];
            let endpoints = vec![((&networks[0]).into(), one), ((&networks[1]).into(), two)];
            c.attach(Attach { sandbox: SandboxSpec::new("box"), endpoints }).map(drop)
        },
    },
    Scenario {
        name: "delete a sandbox with limits of rates",
        before: |c| {
            network(c, "one");
            let limited = EndpointSpec::new("a").rate_in("8M".parse().unwrap()).rate_out("1M".parse().unwrap());
            let endpoints = vec![((&c.network_by_name("one").unwrap()).into(), limited)];
            drop(c.attach(Attach { sandbox: SandboxSpec::new("box"), endpoints }).unwrap());
        },
        operation: |c| c.sandbox_of("box")?.delete(),
    },
    Scenario { name: "attach to two networks with ports", before: two_networks, operation: attach },
    Scenario { name: "attach to two networks that it creates", before: |_| {}, operation: attach_creating },
    Scenario {
        name: "connect to a network that it creates",
        before: |c| drop(c.create_sandbox(SandboxSpec::new("box").publish("8080:80".parse().unwrap())).unwrap()),
        operation: connect_creating,
    },
    Scenario {
        name: "connect a sandbox whose files name others",
        before: |c| {
            network(c, "one");
            let extra = ["db:192.0.2.7", "outside:host-gateway"].map(|host| host.parse().unwrap());
            let spec = SandboxSpec { extra_hosts: extra.into(), ..SandboxSpec::new("box").hostname("web") };
            drop(c.create_sandbox(spec).unwrap());
        },
        operation: |c| c.sandbox_of("box")?.connect(&c.network_by_name("one")?, EndpointSpec::new("a")).map(drop),
    },
    Scenario {
        name: "delete a sandbox with two endpoints",
        before: attached,
        operation: |c| c.sandbox_of("box")?.delete(),
    },
    Scenario {
        name: "create a network that routes IPv4 without an address, and leaves under one address by IPv6",
        before: |c| network(c, "two"),
        operation: |c| c.create_network(NetworkSpec { ipam: Default::default(), ..routed("one") }).map(drop),
    },
    Scenario {
        name: "create a network that trusts an interface",
        before: |c| network(c, "one"),
        operation: |c| {
            let spec = NetworkSpec::new("two").option("com.docker.network.bridge.trusted_host_interfaces", "eth0:eth1");
            c.create_network(spec).map(drop)
        },
    },
    Scenario {
        name: "attach to a routed and an isolated network with ports",
        before: |c| {
            c.create_network(routed("one")).unwrap();
            c.create_network(isolated("two")).unwrap();
        },
        operation: attach,
    },
    Scenario {
        name: "delete a sandbox on a routed and an isolated network",
        before: |c| {
            c.create_network(routed("one")).unwrap();
            c.create_network(isolated("two")).unwrap();
            attach(c).unwrap();
        },
        operation: |c| c.sandbox_of("box")?.delete(),
    },
    Scenario {
        name: "connect to a network that leads nowhere",
        before: |c| {
            c.create_network(wire("quiet", "none")).unwrap();
            drop(c.create_sandbox(SandboxSpec::new("box").publish("8080:80".parse().unwrap())).unwrap());
        },
        operation: |c| c.sandbox_of("box")?.connect(&c.network_by_name("quiet")?, EndpointSpec::new("q")).map(drop),
    },
    Scenario {
        name: "connect to a network that leads out instead of the gateway network",
        before: led_out,
        operation: connect_to_one,
    },
    Scenario {
        name: "leave the network that leads out, so that the gateway network does",
        before: |c| {
            led_out(c);
            connect_to_one(c).unwrap();
        },
        operation: |c| c.network_by_name("one")?.endpoint_by_name("a")?.leave(&c.sandbox_of("box")?),
    },
    Scenario {
        name: "attach with static routes",
        before: |c| {
            let spec = dual_stack("one").subnet("10.9.0.0/24".parse().unwrap());
            let spec = spec.route("10.20.0.0/16".parse().unwrap(), Some("10.9.0.7".parse().unwrap()));
            drop(c.create_network(spec.route("fd00:20::/64".parse().unwrap(), None)).unwrap());
        },
        operation: |c| {
            let endpoints = vec![((&c.network_by_name("one")?).into(), EndpointSpec::new("a"))];
            c.attach(Attach { sandbox: SandboxSpec::new("box"), endpoints }).map(drop)
        },
    },
    Scenario {
        name: "publish ports of a live sandbox",
        before: attached,
        operation: |c| {
            let ports = ["8081:81", "9100-9109:9100-9109/udp", "7000-7009:70"];
            let ports: Vec<_> = ports.iter().map(|port| port.parse()).collect::<Result<_, _>>()?;
            c.sandbox_of("box")?.publish(&ports).map(drop)
        },
    },
    Scenario {
        name: "unpublish ports of a live sandbox",
        before: attached,
        operation: |c| c.sandbox_of("box")?.unpublish(&["9000-9009:9000-9009/udp".parse()?]).map(drop),
    },
];
