//! The same steps on the fake and, by `ip` and `nft`, on the kernel: outcomes and what is there afterwards must be equal.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::engine::{Host, HostError};
use pontoon_core::firewall::ruleset as real_ruleset;
use pontoon_core::model::{IfName, SandboxId};
use pontoon_core::objects::{Bridge, Element, Namespace, Object, Objects, Op, Place, Plan, Route, Veth};
use pontoon_core::ports::PortProto::{self, Tcp, Udp};
use pontoon_core::ports::PortRange;
use pontoon_testkit::{FakeHost, Feature, TestEnvironment, ip_json, isolated, nft_json, require, run};
use serde_json::Value;

use crate::dice::Dice;
use crate::things::{
    PAIRS, SANDBOXES, add, address, bridge, held, inside, name, observe, remove, route, ruleset, sandbox, take,
};

/// Marks routes as ours.
const PROTOCOL: &str = "100";

/// Does by command what a step says; the error is what the command said.
fn on_kernel(op: &Op) -> Result<(), String> {
    match op {
        Op::Add(Object::Namespace(o)) => ip(&format!("netns add {}", o.sandbox.short())),
        Op::Remove(Object::Namespace(o)) => {
            ip(&format!("netns delete {}", o.sandbox.short()))?;
            settle(o.sandbox);
            Ok(())
        }
        Op::Add(Object::Bridge(o)) => {
            ip(&format!("link add {} type bridge", o.name))?;
            // A bridge whose MTU nobody ever changed takes the least of its ports' (`br_mtu_auto_adjust`).
            ip(&format!("link set {} mtu 1499", o.name))?;
            on_kernel(&Op::Change { from: o.clone().into(), to: o.clone().into() })
        }
        Op::Change { to: Object::Bridge(o), .. } => {
            ip(&format!("link set {} address {} mtu {} up", o.name, o.mac, o.mtu.bytes()))?;
            write(&format!("/proc/sys/net/ipv4/conf/{}/route_localnet", o.name), o.route_localnet);
            write(&format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", o.name), !o.ipv6);
            Ok(())
        }
        Op::Add(Object::Veth(o)) => {
            let (netns, mtu, bridge) = (o.sandbox.short(), o.mtu.bytes(), bridge_of(o));
            // Where the step is refused depends on which name is looked up first; the model has the bridge first.
            ip(&format!("link show {bridge}"))?;
            ip(&format!(
                "link add {} mtu {mtu} type veth peer name {} netns {netns} mtu {mtu} address {}",
                o.name, o.peer, o.mac
            ))?;
            ip(&format!("-n {netns} link set {} up", o.peer))?;
            ip(&format!("link set {} master {bridge} up", o.name))?;
            port_flags(o)
        }
        Op::Change { from: Object::Veth(from), to: Object::Veth(o) } => {
            let (netns, mtu, bridge) = (o.sandbox.short(), o.mtu.bytes(), bridge_of(o));
            ip(&format!("link show {bridge}"))?;
            if from.peer != o.peer {
                ip(&format!("-n {netns} link set {} name {}", from.peer, o.peer))?;
            }
            ip(&format!("-n {netns} link set {} address {} mtu {mtu}", o.peer, o.mac))?;
            ip(&format!("link set {} mtu {mtu} master {bridge}", o.name))?;
            port_flags(o)
        }
        Op::Remove(Object::Bridge(Bridge { name, .. }) | Object::Veth(Veth { name, .. })) => {
            ip(&format!("link delete {name}"))
        }
        Op::Add(Object::Address(o)) => ip(&format!("{}address add {} dev {} nodad", at(o.place), o.prefix, o.link)),
        Op::Remove(Object::Address(o)) => ip(&format!("{}address delete {} dev {}", at(o.place), o.prefix, o.link)),
        Op::Add(Object::Route(o)) => ip(&route_command("add", o)),
        Op::Change { to: Object::Route(o), .. } => ip(&route_command("replace", o)),
        Op::Remove(Object::Route(o)) => ip(&format!("{}route delete {} proto {PROTOCOL}", at(o.place), o.to)),
        Op::Add(Object::Element(o)) => nft(&format!("add element inet pontoon {}", element_text(o))),
        Op::Remove(Object::Element(o)) => nft(&format!("delete element inet pontoon {}", element_text(o))),
        other => panic!("no command for {other}"),
    }
}

/// The kernel destroys a namespace in the background; the host ends of its pairs go then.
fn settle(of: SandboxId) {
    let ends = PAIRS.iter().filter(|(_, digit)| sandbox(*digit) == of);
    for (end, _) in ends {
        let deadline = Instant::now() + Duration::from_secs(20);
        while ip(&format!("link show {end}")).is_ok() {
            assert!(Instant::now() < deadline, "{end} outlives its namespace");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn bridge_of(veth: &Veth) -> &IfName {
    veth.bridge.as_ref().expect("the dice ask for ports of bridges")
}

fn port_flags(veth: &Veth) -> Result<(), String> {
    let word = |on| if on { "on" } else { "off" };
    ip(&format!(
        "link set {} type bridge_slave isolated {} hairpin {}",
        veth.name,
        word(veth.isolated),
        word(veth.hairpin)
    ))
}

fn at(place: Place) -> String {
    match place {
        Place::Host => String::new(),
        Place::Sandbox(id) => format!("-n {} ", id.short()),
    }
}

fn route_command(verb: &str, route: &Route) -> String {
    let via = route.via.map(|via| format!("via {via} ")).unwrap_or_default();
    format!("{}route {verb} {} {via}dev {} proto {PROTOCOL}", at(route.place), route.to, route.link)
}

/// Turns `element set key : data` into `set { key : data }`.
fn element_text(element: &Element) -> String {
    let text = element.to_string();
    let (set, rest) = text.strip_prefix("element ").unwrap().split_once(' ').unwrap();
    format!("{set} {{ {rest} }}")
}

fn ip(arguments: &str) -> Result<(), String> {
    execute(Command::new("ip").args(arguments.split(' ')))
}

fn nft(command: &str) -> Result<(), String> {
    execute(Command::new("nft").arg(command))
}

fn execute(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn write(path: &str, on: bool) {
    // Below an MTU of 1280 there is no such file.
    let _ = fs::write(path, u8::from(on).to_string());
}

/// Returns whether a command's words mean a refusal of the fake. `ip` hides the number behind the kernel's sentence.
fn means(said: &str, error: &HostError) -> bool {
    let words: &[&str] = match error {
        HostError::Missing { .. } => {
            &["Cannot find device", "does not exist", "Invalid \"netns\"", "Cannot open network namespace"]
        }
        HostError::Foreign { .. } => &["File exists", "already assigned"],
        HostError::Kernel { errno: 2, .. } => &["No such file"],
        HostError::Kernel { errno: 13, .. } => &["IPv6 is disabled", "Permission denied"],
        HostError::Kernel { errno: 17, .. } => {
            &["File exists", "already assigned", "overlaps", "conflicting intervals"]
        }
        HostError::Kernel { errno: 19, .. } => &["No such device"],
        HostError::Kernel { errno: 22, .. } => {
            &["Invalid argument", "Nexthop has invalid gateway", "Invalid prefix", "can not be a local address"]
        }
        HostError::Kernel { errno: 101, .. } => &["Nexthop has invalid gateway", "Network is unreachable"],
        HostError::Kernel { errno: 113, .. } => &["No route to host"],
        _ => &[],
    };
    words.iter().any(|word| said.contains(word))
}

/// Adding what is there and removing what is not are no errors of ours.
fn is_idempotent(op: &Op, said: &str) -> bool {
    let words: &[&str] = match op {
        Op::Add(_) => &["File exists", "already assigned"],
        Op::Remove(_) => &[
            "Cannot find device",
            "Cannot assign requested address",
            "No such",
            "Cannot open network namespace",
            "Cannot remove namespace",
            "Address not found",
            "address not found",
            "Invalid prefix",
            "element does not exist",
            "FIB table does not exist",
            "IPv6 is disabled",
        ],
        Op::Change { .. } => &[],
    };
    words.iter().any(|word| said.contains(word))
}

/// Takes a step on both and compares; returns whether it changed anything.
fn both(host: &FakeHost, op: &Op) -> bool {
    let before = host.snapshot();
    let kernel = on_kernel(op);
    let fake = host.apply(&Plan::of(vec![op.clone()])).map_err(|error| error.cause);
    let agree = match (&fake, &kernel) {
        (Ok(_), Ok(())) => true,
        (Ok(_), Err(said)) => is_idempotent(op, said) && host.snapshot() == before,
        (Err(error), Err(said)) => means(said, error),
        (Err(_), Ok(())) => false,
    };
    assert!(agree, "{op}\nfake: {fake:?}\nkernel: {kernel:?}\n{before}");
    host.snapshot() != before
}

/// Reads from the kernel what the fake should hold, elements apart.
fn on_the_kernel(host: &FakeHost) -> Objects {
    let mut objects = Objects::new();
    let places = SANDBOXES.iter().filter(|digit| is_there(**digit)).map(|digit| inside(*digit));
    for place in [Place::Host].into_iter().chain(places) {
        let links = ip_json(&words(place, "link show"));
        for link in links.as_array().unwrap() {
            link_objects(link, place, host, &mut objects);
        }
        for link in ip_json(&words(place, "address show")).as_array().unwrap() {
            address_objects(link, place, &mut objects);
        }
        for family in ["-4", "-6"] {
            let routes = ip_json(&words(place, &format!("{family} route show proto {PROTOCOL}")));
            routes.as_array().unwrap().iter().for_each(|route| objects.set(route_object(route, family, place)));
        }
        if place != Place::Host {
            let Place::Sandbox(sandbox) = place else { continue };
            objects.set(Namespace { sandbox, source: Default::default() });
        }
    }
    objects
}

fn is_there(digit: char) -> bool {
    fs::exists(format!("/run/netns/{}", sandbox(digit).short())).unwrap()
}

fn words(place: Place, rest: &str) -> Vec<&'static str> {
    // The helper takes borrowed words; a few leaked ones in a test process do not matter.
    format!("{}{rest}", at(place)).leak().split(' ').collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn link_objects(link: &Value, place: Place, host: &FakeHost, objects: &mut Objects) {
    let (of, kind) = (text(&link["ifname"]), text(&link["linkinfo"]["info_kind"]));
    let mtu = || link["mtu"].as_i64().unwrap().try_into().unwrap();
    let setting = |path: String| fs::read_to_string(path).is_ok_and(|value| value.trim() == "1");
    if kind == "bridge" {
        objects.set(Bridge {
            name: name(of),
            mac: text(&link["address"]).parse().unwrap(),
            mtu: mtu(),
            route_localnet: setting(format!("/proc/sys/net/ipv4/conf/{of}/route_localnet")),
            ipv6: !setting(format!("/proc/sys/net/ipv6/conf/{of}/disable_ipv6")),
            flaw: None,
        });
    } else if kind == "veth" && place == Place::Host {
        // Who the other end is, the kernel says by index only: the name is taken from the fake and looked up.
        let key = Object::from(bridge(of)).key();
        let Some(Object::Veth(known)) = observe(host, &[]).get(&key).cloned() else {
            panic!("the kernel has {of}, the fake has not:\n{}", host.snapshot());
        };
        let peer = ip_json(&words(Place::Sandbox(known.sandbox), &format!("link show {}", known.peer)));
        let port = &link["linkinfo"]["info_slave_data"];
        objects.set(Veth {
            mtu: mtu(),
            bridge: link["master"].as_str().map(name),
            mac: text(&peer[0]["address"]).parse().unwrap(),
            isolated: port["isolated"].as_bool().unwrap_or(false),
            hairpin: port["hairpin"].as_bool().unwrap_or(false),
            ..known
        });
    }
}

fn address_objects(link: &Value, place: Place, objects: &mut Objects) {
    for info in link["addr_info"].as_array().unwrap() {
        let local = text(&info["local"]);
        if info["scope"] == "global" && local != "127.0.0.1" {
            objects.set(address(place, text(&link["ifname"]), &format!("{local}/{}", info["prefixlen"])));
        }
    }
}

fn route_object(of: &Value, family: &str, place: Place) -> Object {
    let (zero, length) = if family == "-6" { ("::/0", 128) } else { ("0.0.0.0/0", 32) };
    let to = match text(&of["dst"]) {
        "default" => zero.to_owned(),
        prefix if prefix.contains('/') => prefix.to_owned(),
        host => format!("{host}/{length}"),
    };
    route(place, &to, of["gateway"].as_str().unwrap_or(""), text(&of["dev"]))
}

#[test]
fn random_steps_end_alike() {
    isolated(|| {
        if ![Feature::Bridge, Feature::Veth, Feature::Ipv6].into_iter().all(require) {
            return;
        }
        let steps = std::env::var("PONTOON_STEPS").map_or(200, |steps| steps.parse().unwrap());
        let seed = std::env::var("PONTOON_SEED").map_or(1, |seed| seed.parse().unwrap());
        let (host, dice) = (FakeHost::new(), Dice(TestEnvironment::new(seed)));
        let (mut history, mut taken) = (String::new(), 0);
        for _ in 0..steps {
            let op = dice.op(&host);
            history += &format!("{op}\n");
            taken += usize::from(both(&host, &op));
            let (kernel, fake) = (on_the_kernel(&host), observe(&host, &SANDBOXES));
            let only = |one: &Objects, other: &Objects| -> Vec<String> {
                one.iter().filter(|o| other.get(&o.key()) != Some(o)).map(ToString::to_string).collect()
            };
            let (kernel, fake) = (only(&kernel, &fake), only(&fake, &kernel));
            assert!(kernel == fake, "{history}only the kernel: {kernel:#?}\nonly the fake: {fake:#?}");
        }
        assert!(taken > steps / 4, "only {taken} of {steps} steps did anything");
    });
}

#[test]
fn elements_collide_alike() {
    isolated(|| {
        if !require(Feature::NfTables) {
            return;
        }
        let host = FakeHost::new();
        let subnet = |prefix: &str| Element::Subnet(prefix.parse().unwrap());
        both(&host, &add(subnet("10.1.0.0/16")));
        fs::write("/run/ruleset", real_ruleset::text()).unwrap();
        run("nft", &["-f", "/run/ruleset"]);
        take(&host, [add(ruleset())]);
        let on_link = |prefix: &str, link| Element::OnLink(prefix.parse().unwrap(), name(link));
        let ip = "10.1.0.2".parse().unwrap();
        let open = |first, last| Element::Open { ip, proto: Tcp, ports: PortRange::new(first, last).unwrap() };
        let publish = |first, last, port, to: &str| {
            let (to, ports) = (to.parse().unwrap(), PortRange::new(first, last).unwrap());
            Element::Publish { host: None, proto: Tcp, ports, to, port }
        };
        let elements = [
            vec![subnet("10.1.0.0/16"), subnet("10.1.1.0/24"), subnet("10.0.0.0/8"), subnet("10.2.0.0/16")],
            vec![on_link("10.1.0.0/16", "br0"), on_link("10.1.0.0/16", "br1"), on_link("10.1.1.0/24", "br0")],
            vec![on_link("10.0.0.0/8", "br0"), on_link("10.1.0.0/24", "br0"), on_link("10.1.255.0/24", "br0")],
            vec![open(9100, 9200), open(9000, 9999), open(9150, 9160), open(9200, 9300), open(80, 80), open(79, 81)],
            vec![publish(80, 80, Some(80), "10.1.0.2"), publish(80, 80, Some(80), "10.1.0.3")],
            vec![
                publish(90, 99, None, "10.1.0.2"),
                publish(95, 105, None, "10.1.0.2"),
                publish(80, 99, None, "10.1.0.2"),
            ],
        ]
        .concat();
        let again = elements.iter().flat_map(|element| [add(element.clone()), add(element.clone())]);
        for op in again.chain(elements.iter().rev().chain(&elements).map(|element| remove(element.clone()))) {
            both(&host, &op);
            assert_eq!(elements_on_the_kernel(), observe(&host, &[]).len() - 1, "{op}");
        }
        assert_eq!(elements_on_the_kernel(), 0);
        run("nft", &["flush", "ruleset"]);
        host.flush_ruleset();
        both(&host, &add(subnet("10.1.0.0/16")));
    });
}

fn elements_on_the_kernel() -> usize {
    let listed = nft_json(&["list", "table", "inet", "pontoon"]);
    let things = listed["nftables"].as_array().unwrap();
    let sets = things.iter().filter_map(|thing| thing.get("set").or_else(|| thing.get("map")));
    sets.map(|set| set["elem"].as_array().map_or(0, Vec::len)).sum()
}

#[test]
fn ports_collide_alike() {
    isolated(|| {
        // So that an IPv6 socket takes IPv6 only, as those of ours do.
        fs::write("/proc/sys/net/ipv6/bindv6only", "1").unwrap();
        let addresses = ["0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::1", "192.0.2.1"];
        let pairs = addresses.iter().flat_map(|one| addresses.iter().map(move |other| (*one, *other)));
        for (proto, (one, other)) in
            [Tcp, Udp].into_iter().flat_map(|proto| pairs.clone().map(move |pair| (proto, pair)))
        {
            let host = FakeHost::new();
            let first = bind(proto, one);
            let on_fake = |ip| match host.apply(&Plan::of(vec![add(held(proto, ip, 5000, 1))])) {
                Ok(_) => 0,
                Err(error) if matches!(error.cause, HostError::PortBusy { .. }) => 98,
                Err(error) => error.cause.errno().unwrap(),
            };
            assert_eq!(on_fake(one), first.number, "{proto} {one}");
            let second = if one == other { continue } else { bind(proto, other) };
            assert_eq!(on_fake(other), second.number, "{proto} {one} then {other}");
        }
    });
}

struct Bound {
    number: i32,
    _socket: Option<Box<dyn std::any::Any>>,
}

fn bind(proto: PortProto, ip: &str) -> Bound {
    let address = SocketAddr::new(ip.parse().unwrap(), 5000);
    let socket = match proto {
        Tcp => TcpListener::bind(address).map(|socket| Box::new(socket) as Box<dyn std::any::Any>),
        _ => UdpSocket::bind(address).map(|socket| Box::new(socket) as Box<dyn std::any::Any>),
    };
    let number = socket.as_ref().err().map_or(0, |error| error.raw_os_error().unwrap());
    Bound { number, _socket: socket.ok() }
}
