//! A host with networks, sandboxes on them and an outside world, and questions that are asked with real packets.

#![allow(dead_code, reason = "each test program uses a part of it")]

mod probe;
#[path = "../wire/mod.rs"]
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use expect_test::Expect;
use pontoon::{
    Attach, Config, Controller, EndpointInfo, EndpointSpec, Network, NetworkSpec, PortProto, Sandbox, SandboxSpec,
};
use pontoon_netlink::netns::{Namespace, Visit, Visitor};
use pontoon_testkit::{Feature, isolated, require, run};

use probe::{Proto, Question};
use wire::Wire;

/// The port that every place serves; nobody publishes it.
pub(crate) const OPEN: u16 = 7000;

/// A controller on the kernel, `host` and `outside` beside it.
///
/// ```text
/// sandboxes ── bridges ── host 192.0.2.1, .11, .12 ── 192.0.2.2 outside
///                              2001:db8::1, ::11        2001:db8::2
/// ```
///
/// The outside sends everything to the host, so it can try to reach containers by their own addresses.
pub(crate) struct Lab {
    pub(crate) controller: Controller,
    visitor: Arc<Visitor>,
    places: BTreeMap<String, Namespace>,
}

/// Runs a test with a lab in namespaces of its own, if the kernel has what that needs.
pub(crate) fn lab(test: impl FnOnce(Lab)) {
    isolated(|| {
        let needed = [Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables, Feature::Conntrack];
        if needed.into_iter().all(require) {
            test(Lab::new());
        }
    });
}

impl Lab {
    fn new() -> Self {
        run("ip", &["netns", "add", "outside"]);
        run("ip", &["link", "add", "out0", "type", "veth", "peer", "name", "eth0", "netns", "outside"]);
        for (namespace, link, addresses) in [
            ("", "out0", &["192.0.2.1/24", "192.0.2.11/24", "192.0.2.12/24", "2001:db8::1/64", "2001:db8::11/64"][..]),
            ("outside", "eth0", &["192.0.2.2/24", "2001:db8::2/64"][..]),
        ] {
            // A link-local address is usable at once, so that neighbours can be asked for.
            set_sysctl(namespace, &format!("net.ipv6.conf.{link}.accept_dad"), "0");
            for address in addresses {
                let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                ip(namespace, &[&["address", "add", address, "dev", link], nodad].concat());
            }
            ip(namespace, &["link", "set", link, "up"]);
        }
        // Deprecated: nothing new leaves under it (RFC 6724 section 5, rule 3).
        ip("", &["address", "change", "2001:db8::11/64", "dev", "out0", "preferred_lft", "0"]);
        ip("outside", &["link", "set", "lo", "up"]);
        ip("outside", &["route", "add", "default", "via", "192.0.2.1"]);
        ip("outside", &["-6", "route", "add", "default", "via", "2001:db8::1"]);
        let visitor = Visitor::new(NonZeroUsize::new(48).expect("not zero")).expect("a visitor");
        let controller = Controller::builder(config()).driver(Wire).open().expect("the controller opens");
        let mut lab = Self { controller, visitor: Arc::new(visitor), places: BTreeMap::new() };
        let host = lab.visitor.home().clone();
        lab.places.insert("host".to_owned(), host);
        lab.places.insert("outside".to_owned(), Namespace::open("/run/netns/outside").expect("made above"));
        lab.serve("host", Proto::Tcp, OPEN);
        lab.serve("outside", Proto::Tcp, OPEN);
        lab.serve("outside", Proto::Udp, OPEN);
        lab
    }

    pub(crate) fn network(&self, spec: NetworkSpec) -> Network {
        self.controller.create_network(spec).expect("a network")
    }

    /// Makes a network with `web`, which publishes ports, and its neighbour `near`.
    pub(crate) fn neighbours(&mut self, spec: NetworkSpec, ports: &[&str]) -> Network {
        let network = self.network(spec);
        self.sandbox("web", &network, ports);
        self.sandbox("near", &network, &[]);
        network
    }

    /// Attaches a new sandbox to a network and makes it a place; it serves [`OPEN`] and what it publishes.
    pub(crate) fn sandbox(&mut self, name: &str, network: &Network, ports: &[&str]) -> Sandbox {
        let published = ports.iter().map(|port| port.parse().expect("a port")).collect();
        let sandbox = SandboxSpec { ports: published, resolver: Some(true), ..SandboxSpec::new(name) };
        let endpoints = vec![(network.id().into(), EndpointSpec::new(name))];
        let sandbox = self.controller.attach(Attach { sandbox, endpoints }).expect("attaches");
        self.enter(name);
        self.await_gateways(name, network);
        sandbox
    }

    /// Makes the namespace that a sandbox has now a place, and lets it serve there.
    pub(crate) fn enter(&mut self, name: &str) {
        let sandbox = self.controller.sandbox_of(name).expect("a sandbox");
        self.places.insert(name.to_owned(), Namespace::open(sandbox.key()).expect("its namespace"));
        let infos = sandbox.endpoints().into_iter().map(|endpoint| endpoint.info().expect("an endpoint"));
        let ports = |info: EndpointInfo| {
            let on_host = info.ports.into_iter().map(|binding| (binding.proto, binding.container_port, binding.count));
            on_host.chain(info.opened.into_iter().map(|open| (open.proto, open.port, open.count))).collect::<Vec<_>>()
        };
        let published = infos.flat_map(ports).flat_map(|(proto, port, count)| {
            let proto = if proto == PortProto::Udp { Proto::Udp } else { Proto::Tcp };
            (0..count).map(move |more| (proto, port + more))
        });
        // Of each there is a binding for either family.
        let served: BTreeSet<(Proto, u16)> = published.chain([(Proto::Tcp, OPEN)]).collect();
        served.into_iter().for_each(|(proto, port)| self.serve(name, proto, port));
    }

    /// Waits until packets pass: the kernel starts an interface's queue a moment after it was set up.
    fn await_gateways(&self, name: &str, network: &Network) {
        let gateways = network.info().expect("a record").pools.clone().into_iter().filter_map(|pool| pool.gateway);
        let addresses = run("ip", &["-oneline", "address"]);
        for gateway in gateways.filter(|gateway| addresses.contains(&format!(" {gateway}/"))) {
            let question = format!("{name} ping {gateway}");
            let passes = |_| self.answers(&[&question]).ends_with("answered\n");
            assert!((0..10).any(passes), "{name} does not reach its gateway");
        }
    }

    /// Returns a place's address: a sandbox's own, or the one by which host and outside know each other.
    pub(crate) fn address(&self, place: &str, v6: bool) -> Option<IpAddr> {
        match place {
            "host" => Some(if v6 { "2001:db8::1" } else { "192.0.2.1" }.parse().expect("an address")),
            "outside" => Some(if v6 { "2001:db8::2" } else { "192.0.2.2" }.parse().expect("an address")),
            sandbox => {
                let sandbox = self.controller.sandbox_of(sandbox).expect("a sandbox");
                let record = sandbox.endpoints().first()?.record().expect("an endpoint");
                record.address(v6).map(|prefix| prefix.addr())
            }
        }
    }

    /// Answers whoever connects to a port of a place, until the test ends.
    fn serve(&self, place: &str, proto: Proto, port: u16) {
        let name = format!("{place}:{port}");
        let opened = self.visitor.visit(&self.places[place], move || proto.open(port));
        proto.serve(opened.expect("a visit").expect("the port is free there"), name);
    }

    /// Does something in a place.
    pub(crate) fn within<T: Send + 'static>(&self, place: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
        self.visitor.visit(&self.places[place], f).expect("a visit")
    }

    /// Opens a socket in a place that exchanges datagrams with one IPv4 address, so that all of them are one flow.
    pub(crate) fn flow(&self, place: &str, to: SocketAddr) -> UdpSocket {
        let open = move || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|one| one.connect(to).map(|()| one));
        self.visitor.visit(&self.places[place], open).expect("a visit").expect("a socket")
    }

    /// Runs `ip` in a sandbox.
    pub(crate) fn inside(&self, sandbox: &str, program: &[&str]) -> String {
        let key = self.controller.sandbox_of(sandbox).expect("a sandbox").key().display().to_string();
        run("nsenter", &[&[format!("--net={key}").as_str()], program].concat())
    }

    /// Has a place send what is for 127.0.0.0/8 to the host instead of itself.
    pub(crate) fn lead_loopback_to_the_host(&self, place: &str, gateway: &str) {
        let localnet = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet";
        let steps = format!(
            "{localnet}; ip route flush table local 127.0.0.0/8; ip route del local 127.0.0.0/8 table local; \
             ip route del local 127.0.0.1 table local; ip route add 127.0.0.0/8 via {gateway} dev eth0 src \
             $(ip -4 -o address show eth0 | tr -s ' /' ' ' | cut -d' ' -f4)"
        );
        let path = match place {
            "outside" => "/run/netns/outside".to_owned(),
            sandbox => self.controller.sandbox_of(sandbox).expect("a sandbox").key().display().to_string(),
        };
        run("nsenter", &[&format!("--net={path}"), "sh", "-c", &steps]);
    }

    /// Asks questions, such as `outside tcp 192.0.2.1:8080`, all at the same time, and compares the answers.
    pub(crate) fn check(&self, questions: &[&str], expected: Expect) {
        expected.assert_eq(&self.answers(questions));
    }

    /// Returns the answers, one line each.
    pub(crate) fn answers(&self, questions: &[&str]) -> String {
        let asked: Vec<Visit<String>> = questions.iter().map(|text| self.ask(text)).collect();
        questions.iter().zip(asked).fold(String::new(), |mut answers, (question, visit)| {
            writeln!(answers, "{question}: {}", visit.wait().expect("a visit")).expect("a string grows");
            answers
        })
    }

    fn ask(&self, text: &str) -> Visit<String> {
        let (place, question) = text.split_once(' ').expect("a place and a question");
        let question: Question = question.parse().expect("a question");
        self.visitor.start(&self.places[place], move || probe::answer(&question)).expect("a visit")
    }

    /// Compares who reaches whom: `+` by ping and TCP, `p` and `t` by one of them, `.` not at all, a space without an address.
    pub(crate) fn check_reach(&self, places: &[&str], v6: bool, expected: Expect) {
        let rows: Vec<Vec<Option<[Visit<String>; 2]>>> =
            places.iter().map(|from| places.iter().map(|to| self.reach(from, to, v6)).collect()).collect();
        let width = places.iter().map(|place| place.len()).max().unwrap_or_default();
        let mut table = format!("{:width$}", if v6 { "IPv6" } else { "IPv4" });
        places.iter().for_each(|place| table += &format!(" {place}"));
        for (from, row) in places.iter().zip(rows) {
            table += &format!("\n{from:width$}");
            for (to, cell) in places.iter().zip(row) {
                table += &format!(" {:width$}", cell.map_or(' ', symbol), width = to.len());
            }
            table.truncate(table.trim_end().len());
        }
        expected.assert_eq(&(table + "\n"));
    }

    fn reach(&self, from: &str, to: &str, v6: bool) -> Option<[Visit<String>; 2]> {
        let (_, to) = (self.address(from, v6)?, self.address(to, v6)?);
        let ping = self.ask(&format!("{from} ping {to}"));
        Some([ping, self.ask(&format!("{from} tcp {}", std::net::SocketAddr::new(to, OPEN)))])
    }
}

fn symbol(asked: [Visit<String>; 2]) -> char {
    let [ping, tcp] = asked.map(|visit| !probe::is_refusal(&visit.wait().expect("a visit")));
    match (ping, tcp) {
        (true, true) => '+',
        (true, false) => 'p',
        (false, true) => 't',
        (false, false) => '.',
    }
}

fn config() -> Config {
    Config::new(PathBuf::from("/run/state")).run_dir("/run/pontoon")
}

/// Runs `ip` in a namespace that `ip netns` made; the empty name is the host's.
pub(crate) fn ip(namespace: &str, arguments: &[&str]) -> String {
    match namespace {
        "" => run("ip", arguments),
        name => run("ip", &[&["-netns", name], arguments].concat()),
    }
}

fn set_sysctl(namespace: &str, name: &str, value: &str) {
    let setting = format!("echo {value} >/proc/sys/{}", name.replace('.', "/"));
    match namespace {
        "" => run("sh", &["-c", &setting]),
        name => run("ip", &["netns", "exec", name, "sh", "-c", &setting]),
    };
}

/// A dual-stack network `10.N.0.0/24`, `fd00:N::/64`.
pub(crate) fn dual(number: u8) -> NetworkSpec {
    NetworkSpec::new(format!("net{number}"))
        .ipv6(true)
        .subnet(format!("10.{number}.0.0/24").parse().expect("a subnet"))
        .subnet(format!("fd00:{number}::/64").parse().expect("a subnet"))
}

/// Lets bridged packets pass the IP hooks, or not; where `br_netfilter` is loaded, they do by default.
pub(crate) fn bridge_netfilter(on: bool) {
    for family in ["iptables", "ip6tables"] {
        std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), if on { "1" } else { "0" })
            .expect("br_netfilter is there");
    }
}
