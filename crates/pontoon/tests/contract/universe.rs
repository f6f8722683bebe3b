//! A small world: few names, so that random plans collide.

use std::fmt;

use pontoon_core::firewall::ruleset::ruleset;
use pontoon_core::model::{IfName, NamespaceSource, Rate, SandboxId};
use pontoon_core::objects::{
    Address, Advertise, Bridge, Direction, Element, File, FileName, Held, Key, Limit, Namespace, Object, Objects,
    Place, Redirect, Route, Sysctl, Tenure, Verdict, Veth,
};
use pontoon_core::ports::{PortProto, PortRange};

pub(crate) const BRIDGES: [&str; 2] = ["br0", "br1"];
/// Pairs: the host's end, the sandbox, the sandbox's end.
pub(crate) const PAIRS: [(&str, char, &str); 3] = [("pv0", 'a', "eth0"), ("pv1", 'a', "eth1"), ("pv2", 'b', "eth0")];
pub(crate) const SANDBOXES: [char; 2] = ['a', 'b'];
pub(crate) const SYSCTLS: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

/// An object that prints as its line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Object);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

pub(crate) fn name(name: &str) -> IfName {
    IfName::new(name).expect("a valid name")
}

pub(crate) fn sandbox(letter: char) -> SandboxId {
    letter.to_string().repeat(64).parse().expect("hexadecimal digits")
}

pub(crate) fn inside(letter: char) -> Place {
    Place::Sandbox(sandbox(letter))
}

pub(crate) fn sysctl(name: &str, value: &str) -> Object {
    let (name, value) = (name.to_owned(), value.to_owned());
    Sysctl { place: Place::Host, name, value, tenure: Tenure::Ensure }.into()
}

fn file(letter: char, name: FileName, content: &str) -> Object {
    File { sandbox: sandbox(letter), name, content: Some(content.to_owned()) }.into()
}

fn files() -> Vec<Object> {
    let (hosts, conf) = (FileName::Hosts, FileName::ResolvConf);
    vec![
        file('a', hosts, "127.0.0.1\tlocalhost\n"),
        file('a', hosts, "127.0.0.1\tlocalhost\n10.1.0.2\tweb\n"),
        file('a', hosts, "127.0.0.1\tlocalhost\n10.1.0.2\tweb\n10.2.0.2\tweb\n"),
        file('a', conf, "nameserver 192.0.2.53\n"),
        file('a', conf, "nameserver 127.0.0.11\noptions ndots:0\n"),
        file('b', hosts, ""),
    ]
}

/// Settings of the sandboxes' interfaces. The first of a name is what an address needs.
pub(crate) fn own_settings() -> Vec<Object> {
    let of_pair = |(_, letter, link): (&str, char, &str)| {
        let (place, link) = (inside(letter), name(link));
        let localnet = |value: &str| {
            Object::from(Sysctl::own(place, format!("net.ipv4.conf.{link}.route_localnet"), value.to_owned()))
        };
        let ipv6 = [true, false].map(|on| Object::from(Sysctl::ipv6(place, &link, on)));
        ipv6.into_iter().chain(["1", "0"].map(localnet)).collect::<Vec<_>>()
    };
    PAIRS.into_iter().flat_map(of_pair).collect()
}

fn namespace(letter: char) -> Object {
    Namespace { sandbox: sandbox(letter), source: NamespaceSource::New }.into()
}

fn redirect(letter: char, port: u16) -> Object {
    Redirect { sandbox: sandbox(letter), port }.into()
}

fn bridge(of: &str, variant: usize) -> Object {
    let mac = format!("02:00:00:00:01:0{}", variant + 1).parse().expect("a MAC address");
    let mtu = [1500, 1400, 1500, 1500][variant].try_into().expect("in range");
    Bridge { name: name(of), mac, mtu, route_localnet: variant == 2, ipv6: variant != 3, flaw: None }.into()
}

fn veth(pair: (&str, char, &str), on: &str, variant: usize) -> Object {
    let mac = format!("02:00:00:00:02:0{}", variant + 1).parse().expect("a MAC address");
    Veth {
        name: name(pair.0),
        bridge: Some(name(on)),
        mtu: [1500, 1400, 1500][variant].try_into().expect("in range"),
        sandbox: sandbox(pair.1),
        peer: name(pair.2),
        mac,
        isolated: variant == 1,
        hairpin: variant != 0,
        advertise: (variant == 1).then_some(Advertise { count: 1, interval: 100 }),
        flaw: None,
    }
    .into()
}

fn limits(pair: &str) -> Vec<Object> {
    let limit = |direction, rate: Rate| Limit { link: name(pair), direction, rate, damaged: false }.into();
    let rates = ["64k", "1G"].map(|rate| rate.parse().expect("a rate"));
    [Direction::In, Direction::Out].into_iter().flat_map(|way| rates.map(|rate| limit(way, rate))).collect()
}

pub(crate) fn address(place: Place, link: &str, prefix: &str) -> Address {
    Address { place, link: name(link), prefix: prefix.parse().expect("a prefix") }
}

fn route(place: Place, link: &str, to: &str, via: &str) -> Object {
    let via = (!via.is_empty()).then(|| via.parse().expect("an address"));
    Route { place, to: to.parse().expect("a prefix"), via, link: name(link) }.into()
}

fn held(proto: PortProto, ip: &str, port: u16, count: u16) -> Object {
    Held { proto, ip: ip.parse().expect("an address"), port, count }.into()
}

fn elements() -> Vec<Element> {
    let net = |text: &str| text.parse::<ipnet::IpNet>().expect("a prefix");
    let ip = |text: &str| text.parse().expect("an address");
    let ports = |first, last| PortRange::new(first, last).expect("in order");
    let mut all = vec![
        Element::Bridge(name("br0")),
        Element::Bridge(name("br1")),
        Element::SameBridge(name("br0")),
        Element::From(name("br0"), Verdict::FromInternal),
        Element::To(name("br0"), Verdict::ToInternal),
        Element::To(name("br0"), Verdict::ToNat),
        Element::To(name("br1"), Verdict::ToNat),
    ];
    // The second lies in the first: sets of intervals refuse overlaps.
    for prefix in ["10.1.0.0/16", "10.1.2.0/24", "fd01::/64", "fd01::/80"] {
        all.push(Element::Subnet(net(prefix)));
        all.push(Element::Masquerade(net(prefix)));
        all.push(Element::Routed(net(prefix)));
        // Two values of one key.
        let addresses = if net(prefix).addr().is_ipv6() { ["2001:db8::7", "::8"] } else { ["192.0.2.7", "192.0.2.8"] };
        all.extend(addresses.map(|address| Element::Snat(net(prefix), ip(address))));
        all.push(Element::Unprotected(net(prefix)));
        all.push(Element::OnLink(net(prefix), name("br0")));
        all.push(Element::Trusted(net(prefix), name("br1")));
    }
    for (container, host) in [("10.1.0.2", "192.0.2.1"), ("fd01::2", "2001:db8::1")] {
        for range in [ports(80, 80), ports(9000, 9009), ports(9005, 9012)] {
            all.push(Element::Open { ip: ip(container), proto: PortProto::Tcp, ports: range });
            for host in [None, Some(ip(host))] {
                let port = (range.count() == 1).then_some(80);
                let (proto, to) = (PortProto::Udp, ip(container));
                all.push(Element::Publish { host, proto, ports: range, to, port });
            }
        }
        // Another value of the same key.
        let (to, ports) = (ip(container), ports(80, 80));
        all.push(Element::Publish { host: None, proto: PortProto::Udp, ports, to, port: Some(81) });
    }
    all
}

fn layer3() -> Vec<Object> {
    let (host, a, b) = (Place::Host, inside('a'), inside('b'));
    let addresses = [
        (host, "br0", "10.1.0.1/24"),
        (host, "br0", "10.1.0.9/24"),
        (host, "br0", "fd01::1/64"),
        (host, "br1", "10.2.0.1/24"),
        (host, "br1", "10.1.0.1/24"),
        (host, "br1", "fd02::1/64"),
        (a, "eth0", "10.1.0.2/24"),
        (a, "eth0", "10.1.0.3/24"),
        (a, "eth0", "fd01::2/64"),
        (a, "eth0", "fd01::2/96"),
        (a, "eth1", "10.2.0.2/24"),
        (a, "eth1", "fd02::2/64"),
        (b, "eth0", "10.1.0.4/32"),
        (b, "eth0", "fd01::4/64"),
    ];
    let routes = [
        (a, "eth0", "0.0.0.0/0", "10.1.0.1"),
        (a, "eth0", "::/0", "fd01::1"),
        (a, "eth1", "0.0.0.0/0", "10.2.0.1"),
        (a, "eth1", "::/0", "fd02::1"),
        (a, "eth0", "10.7.0.0/16", ""),
        (a, "eth0", "10.8.0.0/16", "10.7.0.1"),
        (a, "eth0", "fd07::/64", ""),
        (a, "eth0", "fd08::/64", "fd07::1"),
        (a, "eth0", "10.1.0.0/24", ""),
        (b, "eth0", "0.0.0.0/0", "10.1.0.1"),
        (b, "eth0", "10.1.0.0/24", ""),
        (b, "eth0", "::/0", "fd01::1"),
        (b, "eth0", "::/0", "fe80::1"),
        (host, "br0", "10.9.0.0/16", "10.1.0.7"),
        (host, "br1", "fd09::/64", "fd02::7"),
    ];
    let addresses = addresses.map(|(place, link, prefix)| Object::from(address(place, link, prefix)));
    let routes = routes.map(|(place, link, to, via)| route(place, link, to, via));
    addresses.into_iter().chain(routes).collect()
}

/// Everything that a plan may be about.
pub(crate) fn catalogue() -> Vec<Line> {
    let mut all: Vec<Object> = vec![ruleset().into()];
    all.extend(SANDBOXES.map(namespace));
    all.extend(files());
    all.extend(SANDBOXES.iter().flat_map(|letter| [53, 11_053].map(|port| redirect(*letter, port))));
    all.extend(BRIDGES.iter().flat_map(|of| (0..4).map(|variant| bridge(of, variant))));
    for (number, pair) in PAIRS.into_iter().enumerate() {
        all.extend((0..3).map(|variant| veth(pair, BRIDGES[(number + variant) % 2], variant)));
    }
    all.extend(PAIRS.into_iter().flat_map(|pair| limits(pair.0)));
    all.extend(own_settings());
    all.extend(layer3());
    all.extend(elements().into_iter().map(Object::from));
    for (proto, ip, port, count) in [
        (PortProto::Tcp, "0.0.0.0", 8080, 1),
        (PortProto::Tcp, "0.0.0.0", 8080, 3),
        (PortProto::Tcp, "127.0.0.1", 8081, 1),
        (PortProto::Tcp, "::", 8080, 1),
        (PortProto::Udp, "0.0.0.0", 8080, 2),
        (PortProto::Udp, "127.0.0.1", 8081, 1),
        (PortProto::Udp, "10.1.0.1", 8083, 1),
        (PortProto::Tcp, "fd01::1", 8083, 2),
    ] {
        all.push(held(proto, ip, port, count));
    }
    all.extend(SYSCTLS.iter().flat_map(|name| ["0", "1"].map(|value| sysctl(name, value))));
    all.into_iter().map(Line).collect()
}

/// What a driver may ask for: none of it costs other objects when it is made or changed, which no plan could undo. (IPv6
/// switched off costs addresses; a subnet's first address takes the later ones with it.)
pub(crate) fn tame() -> Vec<Line> {
    let wild = |object: &Object| match object {
        Object::Bridge(bridge) => !bridge.ipv6,
        Object::Sysctl(setting) => setting.is_ipv6_switch() && setting.value == "1",
        Object::Address(address) => ["10.1.0.9/24", "10.1.0.3/24"].contains(&address.prefix.to_string().as_str()),
        _ => false,
    };
    catalogue().into_iter().filter(|line| !wild(&line.0)).collect()
}

/// What can all be there at once.
pub(crate) fn peaceful() -> Vec<Line> {
    let quarrels = |line: &Line| {
        let text = format!("{line:?}");
        let overlaps = ["10.1.2.0/24", "fd01::/80", "9005-9012", "fd01::2/96"];
        overlaps.iter().any(|part| text.contains(part)) || matches!(&line.0, Object::Held(held) if held.port == 8083)
    };
    tame().into_iter().filter(|line| !quarrels(line)).collect()
}

/// Adds what objects cannot do without, as a driver does.
pub(crate) fn complete(objects: &mut Objects) {
    let catalogue = catalogue();
    loop {
        let needed: Vec<Key> = objects.iter().flat_map(needs).filter(|key| objects.get(key).is_none()).collect();
        if needed.is_empty() {
            return;
        }
        for key in needed {
            let first = catalogue.iter().find(|line| line.0.key() == key);
            objects.set(first.expect("everything needed is in the catalogue").0.clone());
        }
    }
}

/// Whether a route's gateway is reached through an address. One without a gateway needs some address of its family: without
/// any on its link the kernel forgets it, and no plan says so.
fn serves(address: &Address, route: &Route) -> bool {
    let same_link = address.place == route.place && address.link == route.link;
    let family = address.prefix.addr().is_ipv4() == route.to.addr().is_ipv4();
    same_link && family && route.via.is_none_or(|via| address.prefix.contains(&via))
}

/// Takes out routes that nothing serves.
pub(crate) fn without_stray_routes(objects: &mut Objects) {
    let all = objects.clone();
    objects.retain(|object| match object {
        Object::Route(route) => is_served(route, &all),
        _ => true,
    });
}

/// Whether one of the objects is an address that serves a route.
pub(crate) fn is_served(route: &Route, objects: &Objects) -> bool {
    objects.iter().any(|one| matches!(one, Object::Address(one) if serves(one, route)))
}

fn needs(object: &Object) -> Vec<Key> {
    let link = |place: Place, link: &IfName| match place {
        Place::Host => vec![Key::Link(link.to_string())],
        Place::Sandbox(id) => {
            let pair = PAIRS.iter().find(|pair| sandbox(pair.1) == id && name(pair.2) == *link);
            pair.map(|pair| Key::Link(pair.0.to_owned())).into_iter().collect()
        }
    };
    match object {
        Object::Element(_) => vec![Key::Ruleset],
        Object::Veth(veth) => {
            let bridge = veth.bridge.iter().map(|bridge| Key::Link(bridge.to_string()));
            bridge.chain([Key::Namespace(veth.sandbox)]).collect()
        }
        Object::Address(address) => {
            let mut needed = link(address.place, &address.link);
            if address.prefix.addr().is_ipv6() && address.place != Place::Host {
                needed.push(Object::from(Sysctl::ipv6(address.place, &address.link, true)).key());
            }
            needed
        }
        Object::Sysctl(setting) => setting.link().map_or_else(Vec::new, |of| link(setting.place, &name(&of))),
        Object::Limit(limit) => vec![Key::Link(limit.link.to_string())],
        Object::Redirect(redirect) => vec![Key::Namespace(redirect.sandbox)],
        Object::Route(route) => {
            let mut needed = link(route.place, &route.link);
            needed.extend(catalogue().into_iter().find_map(|line| match line.0 {
                Object::Address(address) if serves(&address, route) => Some(Object::from(address).key()),
                _ => None,
            }));
            needed
        }
        _ => Vec::new(),
    }
}
