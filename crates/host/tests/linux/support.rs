//! What the tests of the Linux host share: objects to make, and what others say about them.

use std::net::IpAddr;
use std::path::Path;

use pontoon_core::engine::{Host, Observe, Query};
use pontoon_core::firewall::{lower, ruleset};
use pontoon_core::model::{IfName, Mtu, NamespaceSource, SandboxId};
use pontoon_core::objects::{
    Access, Address, Bridge, FirewallBridge, FirewallSubnet, Held, Leaves, Namespace, Object, Objects, Place, Plan,
    Published, Route, Sysctl, Veth,
};
use pontoon_core::ports::PortProto;
use pontoon_host::linux::{LinuxConfig, LinuxHost};
use pontoon_testkit::{Feature, ip_json, isolated, nft_json, require, run};
use serde_json::Value;

pub(crate) const RUN: &str = "/run/pontoon";

/// Runs a test in namespaces of its own, with a host, and checks that the host can be read.
pub(crate) fn on_kernel(test: impl FnOnce(LinuxHost)) {
    isolated(|| {
        let needed = [Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables];
        if needed.into_iter().all(require) {
            test(LinuxHost::open(LinuxConfig::new(RUN)).unwrap());
        }
    });
}

pub(crate) fn name(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

pub(crate) fn id(number: u8) -> SandboxId {
    SandboxId::draw(|bytes| {
        bytes.fill(0xab);
        bytes[1] = number;
    })
}

pub(crate) fn mtu() -> Mtu {
    Mtu::try_from(1400).unwrap()
}

/// What a network with two families asks for, without forwarding.
pub(crate) fn network() -> Objects {
    let bridge = name("br0");
    let mut objects = Objects::new();
    objects.set(ruleset::ruleset());
    objects.set(Bridge {
        name: bridge.clone(),
        mac: "02:00:00:00:01:01".parse().unwrap(),
        mtu: mtu(),
        route_localnet: true,
        ipv6: true,
        flaw: None,
    });
    let subnets = ["10.9.0.0/16", "fd09::/64"].map(|net| FirewallSubnet {
        prefix: net.parse().unwrap(),
        access: Access::Closed,
        leaves: Leaves::Masqueraded,
    });
    objects.set(FirewallBridge {
        bridge: bridge.clone(),
        internal: false,
        icc: true,
        trusted: Vec::new(),
        subnets: subnets.to_vec(),
    });
    for prefix in ["10.9.0.1/16", "fd09::1/64"] {
        objects.set(Address { place: Place::Host, link: bridge.clone(), prefix: prefix.parse().unwrap() });
    }
    lower(objects).unwrap()
}

/// What a container asks for that publishes one TCP port.
pub(crate) fn container(number: u8) -> Objects {
    let (sandbox, link) = (id(number), name("eth0"));
    let place = Place::Sandbox(sandbox);
    let mut objects = Objects::new();
    objects.set(Namespace { sandbox, source: NamespaceSource::New });
    objects.set(Veth {
        name: name(&format!("pnv{number}")),
        bridge: Some(name("br0")),
        mtu: mtu(),
        sandbox,
        peer: link.clone(),
        mac: format!("02:00:00:00:02:{number:02x}").parse().unwrap(),
        isolated: false,
        hairpin: true,
        advertise: None,
        flaw: None,
    });
    objects.set(Sysctl::ipv6(place, &link, true));
    for (address, gateway, everywhere) in [("10.9.1.", "10.9.0.1", "0.0.0.0/0"), ("fd09::1:", "fd09::1", "::/0")] {
        let length = if everywhere == "::/0" { 64 } else { 16 };
        let prefix = format!("{address}{number}/{length}").parse().unwrap();
        objects.set(Address { place, link: link.clone(), prefix });
        let via = Some(gateway.parse().unwrap());
        objects.set(Route { place, to: everywhere.parse().unwrap(), via, link: link.clone() });
    }
    let port = 8000 + u16::from(number);
    let any: IpAddr = "0.0.0.0".parse().unwrap();
    objects.set(Held { proto: PortProto::Tcp, ip: any, port, count: 1 });
    objects.set(Published {
        proto: PortProto::Tcp,
        host_ip: any,
        host_port: port,
        container_ip: format!("10.9.1.{number}").parse().unwrap(),
        container_port: 80,
        count: 1,
    });
    lower(objects).unwrap()
}

pub(crate) fn add(objects: &Objects) -> Plan {
    Plan::between(&Objects::new(), objects)
}

pub(crate) fn both(one: &Objects, other: &Objects) -> Objects {
    one.iter().chain(other.iter()).cloned().collect()
}

/// Takes everything away as the engine does: what can be undone, then the final steps.
pub(crate) fn remove(host: &LinuxHost, objects: &Objects) {
    let (revertible, finals) = Plan::between(objects, &Objects::new()).split();
    host.apply(&revertible).unwrap();
    host.apply(&finals).unwrap();
    host.settle().unwrap();
}

/// Everything that could be left behind, as others see it.
pub(crate) fn snapshot() -> Value {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let files = |directory: &str| {
        let listed = std::fs::read_dir(Path::new(RUN).join(directory)).unwrap();
        let mut names: Vec<String> = listed.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Value::from(names)
    };
    let mut all = Value::Array(vec![
        ip_json(&["link", "show"]),
        ip_json(&["address", "show"]),
        ip_json(&["route", "show", "table", "all"]),
        ip_json(&["-6", "route", "show", "table", "all"]),
        nft_json(&["list", "ruleset"]),
        Value::from(mounts.lines().filter(|line| line.contains(RUN)).count()),
        files("netns"),
        files("sandboxes"),
        Value::from(run("ss", &["-Htuln"])),
    ]);
    strip(&mut all);
    all
}

/// Removes what differs between equal things: numbers, timers, and what a carrier that comes and goes brings about.
pub(crate) fn strip(value: &mut Value) {
    const OF_A_CARRIER: [&str; 6] = ["NO-CARRIER", "LOWER_UP", "linkdown", "dead", "fe80::", "ff00::/8"];
    let gone = |value: &Value| {
        let address = value["local"].as_str().or(value["dst"].as_str()).or(value.as_str()).unwrap_or_default();
        OF_A_CARRIER.iter().any(|word| address.starts_with(word))
    };
    match value {
        Value::Array(all) => {
            all.retain(|one| !gone(one));
            all.iter_mut().for_each(strip);
        }
        Value::Object(fields) => {
            let varies = ["handle", "packets", "bytes", "ifindex", "operstate", "tso_max_size"];
            fields.retain(|name, _| !varies.contains(&name.as_str()) && !name.ends_with("_timer"));
            fields.values_mut().for_each(strip);
        }
        _ => {}
    }
}

/// Waits until everything is as it was before: a bridge that loses its last port loses its carrier a moment later, and the
/// kernel's own IPv6 routes follow that.
pub(crate) fn assert_back_to(before: &Value) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while snapshot() != *before && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_same(before, &snapshot());
}

/// Compares line by line, for a difference that can be read.
pub(crate) fn assert_same(before: &Value, after: &Value) {
    let lines = |all: &Value| serde_json::to_string_pretty(all).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(before), lines(after));
    if before != after {
        let only = |one: &[String], other: &[String]| {
            one.iter().filter(|line| !other.contains(line)).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        panic!("gone: {:#?}\nnew: {:#?}", only(&before, &after), only(&after, &before));
    }
}

pub(crate) fn observed(host: &LinuxHost, wanted: &Objects) -> Objects {
    let sandboxes = wanted.iter().filter_map(|object| match object {
        Object::Namespace(namespace) => Some(namespace.sandbox),
        _ => None,
    });
    let unmarked = wanted.iter().filter(|object| object.is_unmarked()).map(Object::key);
    host.observe(&Query::of(sandboxes, unmarked)).unwrap()
}

pub(crate) fn assert_observed(host: &LinuxHost, wanted: &Objects) {
    assert_eq!(observed(host, wanted).to_string(), wanted.to_string());
    assert_eq!(&observed(host, wanted), wanted);
}

pub(crate) fn inside(number: u8, arguments: &[&str]) -> Value {
    let namespace = format!("{RUN}/netns/{}", id(number).short());
    let net = format!("--net={namespace}");
    let text = run("nsenter", &[&[net.as_str(), "ip", "-json", "-details"], arguments].concat());
    if text.trim().is_empty() { Value::Array(Vec::new()) } else { serde_json::from_str(&text).unwrap() }
}
