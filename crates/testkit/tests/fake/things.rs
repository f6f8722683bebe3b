//! Short names for objects.

use pontoon_core::engine::{Host, HostError, Observe, Query};
use pontoon_core::model::{IfName, Mtu, NamespaceSource, SandboxId};
use pontoon_core::objects::{
    Address, Bridge, Element, Held, Namespace, Object, Objects, Op, Place, Plan, Route, Ruleset, Sysctl, Tenure, Veth,
};
use pontoon_core::ports::PortProto;
use pontoon_testkit::FakeHost;

/// The sandboxes of random steps.
pub(crate) const SANDBOXES: [char; 2] = ['a', 'b'];
/// Host ends and the sandboxes of their other ends.
pub(crate) const PAIRS: [(&str, char); 3] = [("pv0", 'a'), ("pv1", 'a'), ("pv2", 'b')];

pub(crate) fn name(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

/// A sandbox whose id begins with `digit`, a letter.
pub(crate) fn sandbox(digit: char) -> SandboxId {
    digit.to_string().repeat(64).parse().unwrap()
}

pub(crate) fn inside(digit: char) -> Place {
    Place::Sandbox(sandbox(digit))
}

pub(crate) fn namespace(digit: char) -> Object {
    Namespace { sandbox: sandbox(digit), source: NamespaceSource::New }.into()
}

pub(crate) fn adopted(digit: char, path: &str) -> Object {
    Namespace { sandbox: sandbox(digit), source: NamespaceSource::Adopted(path.to_owned()) }.into()
}

pub(crate) fn bridge(of: &str) -> Bridge {
    let mac = "02:00:00:00:00:01".parse().unwrap();
    Bridge { name: name(of), mac, mtu: Mtu::ETHERNET, route_localnet: false, ipv6: true, flaw: None }
}

pub(crate) fn veth(of: &str, on: &str, digit: char, peer: &str) -> Veth {
    Veth {
        name: name(of),
        bridge: Some(name(on)),
        mtu: Mtu::ETHERNET,
        sandbox: sandbox(digit),
        peer: name(peer),
        mac: "02:00:00:00:00:02".parse().unwrap(),
        isolated: false,
        hairpin: false,
        advertise: None,
        flaw: None,
    }
}

pub(crate) fn address(place: Place, link: &str, prefix: &str) -> Object {
    Address { place, link: name(link), prefix: prefix.parse().unwrap() }.into()
}

pub(crate) fn route(place: Place, to: &str, via: &str, link: &str) -> Object {
    let via = (!via.is_empty()).then(|| via.parse().unwrap());
    Route { place, to: to.parse().unwrap(), via, link: name(link) }.into()
}

pub(crate) fn sysctl(of: &str, value: &str) -> Object {
    let (name, value) = (of.to_owned(), value.to_owned());
    Sysctl { place: Place::Host, name, value, tenure: Tenure::Borrow }.into()
}

pub(crate) fn ruleset() -> Object {
    Ruleset { table: "pontoon".to_owned(), fingerprint: "0123456789abcdef".to_owned() }.into()
}

pub(crate) fn held(proto: PortProto, ip: &str, port: u16, count: u16) -> Object {
    Held { proto, ip: ip.parse().unwrap(), port, count }.into()
}

pub(crate) fn element(prefix: &str) -> Object {
    Element::Subnet(prefix.parse().unwrap()).into()
}

pub(crate) fn add(object: impl Into<Object>) -> Op {
    Op::Add(object.into())
}

pub(crate) fn remove(object: impl Into<Object>) -> Op {
    Op::Remove(object.into())
}

pub(crate) fn change(from: impl Into<Object>, to: impl Into<Object>) -> Op {
    Op::Change { from: from.into(), to: to.into() }
}

/// Takes steps that must succeed.
pub(crate) fn take(host: &FakeHost, ops: impl IntoIterator<Item = Op>) {
    host.apply(&Plan::of(ops.into_iter().collect())).unwrap();
}

/// Takes one step and returns the refusal.
pub(crate) fn refusal(host: &FakeHost, op: Op) -> HostError {
    host.apply(&Plan::of(vec![op])).expect_err("a refusal").cause
}

/// Returns the error number of the refusal of one step, 0 for success.
pub(crate) fn errno(host: &FakeHost, op: Op) -> i32 {
    match host.apply(&Plan::of(vec![op])) {
        Ok(_) => 0,
        Err(error) => error.cause.errno().unwrap_or_else(|| panic!("{} has no number", error.cause)),
    }
}

pub(crate) fn observe(host: &FakeHost, sandboxes: &[char]) -> Objects {
    host.observe(&Query::of(sandboxes.iter().map(|digit| sandbox(*digit)), [])).unwrap()
}

/// A host with a bridge that has addresses, and a sandbox that is connected to it.
pub(crate) fn connected() -> FakeHost {
    let host = FakeHost::new();
    take(
        &host,
        [
            add(ruleset()),
            add(namespace('a')),
            add(bridge("br0")),
            add(element("10.1.0.0/24")),
            add(address(Place::Host, "br0", "10.1.0.1/24")),
            add(address(Place::Host, "br0", "fd01::1/64")),
            add(veth("pv0", "br0", 'a', "eth0")),
            add(Sysctl::ipv6(inside('a'), &name("eth0"), true)),
            add(address(inside('a'), "eth0", "10.1.0.2/24")),
            add(address(inside('a'), "eth0", "fd01::2/64")),
            add(route(inside('a'), "0.0.0.0/0", "10.1.0.1", "eth0")),
            add(route(inside('a'), "::/0", "fd01::1", "eth0")),
        ],
    );
    host
}
