//! What the fake promises to tests, and its cascades.

use std::net::IpAddr;

use pontoon_core::engine::{Environment, Host, HostError, Observe, Query};
use pontoon_core::model::Owner;
use pontoon_core::objects::{Key, Object, Op, Place, Plan};
use pontoon_core::ports::PortProto::{Tcp, Udp};
use pontoon_testkit::{Crash, FakeHost, TestEnvironment, crashes};

use crate::things::{
    add, address, adopted, bridge, change, connected, element, errno, held, inside, namespace, observe, refusal,
    remove, ruleset, sysctl, take, veth,
};

fn lines(host: &FakeHost) -> Vec<String> {
    observe(host, &['a', 'b']).iter().map(ToString::to_string).collect()
}

fn any(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}

/// Two steps that succeed and one that cannot.
fn failing() -> Plan {
    Plan::of(vec![add(bridge("br1")), add(address(Place::Host, "br1", "10.9.0.1/24")), add(namespace_of_nothing())])
}

fn namespace_of_nothing() -> Object {
    adopted('b', "/run/nothing")
}

#[test]
fn a_namespace_takes_its_links_and_their_other_ends() {
    let host = connected();
    take(&host, [remove(namespace('a'))]);
    let left = observe(&host, &['a']);
    assert_eq!(left.iter().filter(|object| matches!(object, Object::Veth(_) | Object::Route(_))).count(), 0);
    assert!(left.get(&bridge_key("br0")).is_some());
    assert!(!host.snapshot().to_string().contains("pv0"));
}

fn bridge_key(name: &str) -> Key {
    Key::Link(name.to_owned())
}

#[test]
fn an_adopted_namespace_survives() {
    let host = FakeHost::new();
    host.add_namespace("/run/x");
    host.add_foreign_link_in_adopted("/run/x");
    let before = host.snapshot();
    take(&host, [add(adopted('a', "/run/x")), add(bridge("br0")), add(veth("pv0", "br0", 'a', "eth0"))]);
    take(&host, [remove(veth("pv0", "br0", 'a', "eth0"))]);
    take(&host, [remove(bridge("br0"))]);
    take(&host, [remove(adopted('a', "/run/x"))]);
    assert_eq!(host.snapshot(), before);
}

/// On the kernel: `pontoon::on_linux::adopted::routes_that_are_there_already_are_in_nobodys_way`.
#[test]
fn an_address_does_not_compete_with_routes_of_others_in_a_sandbox() {
    let host = FakeHost::new();
    host.add_namespace("/run/x");
    take(&host, [add(bridge("br0")), add(adopted('b', "/run/x")), add(veth("pv0", "br0", 'b', "eth0"))]);
    host.add_foreign_link_in(inside('b'), "wg0");
    host.add_foreign_address(inside('b'), "wg0", "10.1.0.200/25".parse().unwrap());
    let address = |prefix: &str| add(address(inside('b'), "eth0", prefix));
    let conflict = |address: &str, route: &str| HostError::RouteConflict {
        address: address.parse().unwrap(),
        route: route.parse().unwrap(),
    };
    assert_eq!(refusal(&host, address("10.1.0.2/24")), conflict("10.1.0.2/24", "10.1.0.128/25"));
    take(&host, [address("10.2.0.2/24"), address("169.254.7.7/16")]);
    take(&host, [address("10.2.0.3/24")]);
}

trait AdoptedLink {
    fn add_foreign_link_in_adopted(&self, path: &str);
}

impl AdoptedLink for FakeHost {
    fn add_foreign_link_in_adopted(&self, path: &str) {
        take(self, [add(adopted('b', path))]);
        self.add_foreign_link_in(inside('b'), "wg0");
        take(self, [remove(adopted('b', path))]);
    }
}

#[test]
fn a_bridge_leaves_its_ports_without_one() {
    let host = connected();
    take(&host, [remove(bridge("br0"))]);
    let Some(Object::Veth(orphan)) = observe(&host, &[]).get(&bridge_key("pv0")).cloned() else { panic!("it stays") };
    assert_eq!(orphan.bridge, None);
    assert!(!lines(&host).iter().any(|line| line.contains("10.1.0.1/24")));
    take(&host, [add(bridge("br0")), change(orphan, veth("pv0", "br0", 'a', "eth0"))]);
    assert_eq!(observe(&host, &[]).get(&bridge_key("pv0")), Some(&veth("pv0", "br0", 'a', "eth0").into()));
}

#[test]
fn what_is_missing_is_named() {
    let host = FakeHost::new();
    let text = |op| refusal(&host, op).to_string();
    assert_eq!(text(add(veth("pv0", "br0", 'a', "eth0"))), "bridge br0 does not exist");
    assert_eq!(text(add(address(Place::Host, "br0", "10.1.0.1/24"))), "interface br0 in host does not exist");
    take(&host, [add(bridge("br0"))]);
    assert_eq!(text(add(veth("pv0", "br0", 'a', "eth0"))), "namespace of sandbox aaaaaaaaaaaa does not exist");
    assert_eq!(text(add(sysctl("net.ipv4.nothing", "1"))), "sysctl net.ipv4.nothing does not exist");
    assert_eq!(errno(&host, add(element("10.1.0.0/24"))), 2);
}

#[test]
fn names_are_taken_once() {
    let host = connected();
    host.add_foreign_link("eth9");
    take(&host, [add(bridge("br0")), add(veth("pv0", "br0", 'a', "eth0"))]);
    assert_eq!(errno(&host, add(veth("pv1", "br0", 'a', "eth0"))), 17);
    assert_eq!(errno(&host, add(veth("pv0", "br0", 'a', "eth1"))), 17);
    let foreign = HostError::Foreign { what: "interface eth9".to_owned() };
    assert_eq!(refusal(&host, add(veth("eth9", "br0", 'a', "eth1"))), foreign);
    assert_eq!(refusal(&host, add(bridge("eth9"))), foreign);
    let before = host.snapshot();
    take(&host, [remove(bridge("eth9"))]);
    assert_eq!(host.snapshot(), before);
}

#[test]
fn a_plan_happens_or_does_not() {
    let host = connected();
    let before = host.snapshot();
    let error = host.apply(&failing()).unwrap_err();
    assert_eq!((error.step, error.left_behind.len()), (2, 0));
    assert_eq!(host.snapshot(), before);
}

#[test]
fn steps_fail_on_demand_once() {
    let host = connected();
    let before = host.snapshot();
    let plan = Plan::of(vec![add(bridge("br1")), add(bridge("br2"))]);
    host.fail_step(1);
    assert_eq!(host.apply(&plan).unwrap_err().step, 1);
    assert!(host.fault_hit());
    assert_eq!(host.snapshot(), before);
    host.apply(&plan).unwrap();
    host.fail_when(|_, step, op| {
        (step == 0 && matches!(op, Op::Remove(_))).then(|| HostError::Unsupported { what: "it".into() })
    });
    assert_eq!(refusal(&host, remove(bridge("br1"))).to_string(), "this kernel does not have it");
    host.clear_faults();
    take(&host, [remove(bridge("br1")), remove(bridge("br2"))]);
    assert_eq!(host.snapshot(), before);
    host.fail_step(7);
    take(&host, [add(bridge("br1"))]);
    assert!(!host.fault_hit());
}

#[test]
fn what_cannot_be_undone_stays_and_is_reported() {
    let host = FakeHost::new();
    host.fail_undo(|undo| {
        matches!(undo, Op::Remove(Object::Bridge(_))).then(|| HostError::Unsupported { what: "it".into() })
    });
    let error = host.apply(&failing()).unwrap_err();
    let left: Vec<String> = error.left_behind.iter().map(|(op, _)| op.to_string()).collect();
    assert_eq!(left, ["- bridge br1 mac 02:00:00:00:00:01 mtu 1500 ipv6"]);
    assert_eq!(lines(&host), ["bridge br1 mac 02:00:00:00:00:01 mtu 1500 ipv6"]);
}

#[test]
fn what_cannot_be_undone_goes_with_its_container() {
    let host = FakeHost::new();
    let before = host.snapshot();
    host.fail_undo(|undo| {
        matches!(undo.object(), Object::Address(_)).then(|| HostError::Unsupported { what: "it".into() })
    });
    assert_eq!(host.apply(&failing()).unwrap_err().left_behind.len(), 1);
    assert_eq!(host.snapshot(), before);
}

#[test]
fn final_steps_go_as_far_as_they_can() {
    let host = connected();
    take(&host, [add(veth("pv1", "br0", 'a', "eth1"))]);
    host.fail_step(0);
    let plan = Plan::of(vec![remove(veth("pv0", "br0", 'a', "eth0")), remove(veth("pv1", "br0", 'a', "eth1"))]);
    let error = host.apply(&plan).unwrap_err();
    assert_eq!((error.step, error.left_behind.len()), (0, 1));
    let left = observe(&host, &[]);
    assert!(left.get(&bridge_key("pv0")).is_some() && left.get(&bridge_key("pv1")).is_none());
}

#[test]
fn a_crash_leaves_what_was_done_and_closes_sockets() {
    for (moment, made) in [(0, 0), (1, 1), (2, 2)] {
        let host = FakeHost::new();
        take(&host, [add(held(Tcp, "0.0.0.0", 80, 1))]);
        host.crash_at(moment);
        let plan = Plan::of(vec![add(bridge("br1")), add(bridge("br2"))]);
        assert_eq!(crashes(|| host.apply(&plan).is_ok()), Err(Crash));
        assert!(host.fault_hit());
        assert_eq!(observe(&host, &[]).len(), made);
        assert_eq!(crashes(|| host.apply(&plan).is_ok()), Ok(true), "it is a bridge again");
    }
}

#[test]
fn settings_change_only_from_what_is_expected() {
    let host = FakeHost::new();
    let name = "net.ipv4.ip_forward";
    take(&host, [add(sysctl(name, "1"))]);
    assert_eq!(host.sysctl(Place::Host, name).as_deref(), Some("1"));
    assert_eq!(host.sysctl(Place::Host, "net.ipv4.conf.lo.forwarding").as_deref(), Some("1"));
    take(&host, [change(sysctl(name, "2"), sysctl(name, "0"))]);
    assert_eq!(host.sysctl(Place::Host, name).as_deref(), Some("1"));
    take(&host, [change(sysctl(name, "1"), sysctl(name, "0"))]);
    assert_eq!(host.sysctl(Place::Host, name).as_deref(), Some("0"));
    host.make_read_only(name);
    assert_eq!(errno(&host, add(sysctl(name, "1"))), 30);
    let seen = host.observe(&Query::of([], [sysctl(name, "").key()])).unwrap();
    assert_eq!(seen.to_string(), "sysctl net.ipv4.ip_forward = 0 in host\n");
}

#[test]
fn ports_are_bound_once() {
    let host = FakeHost::new();
    host.occupy(any("127.0.0.1"), 82, Tcp);
    let busy = HostError::PortBusy { ip: any("0.0.0.0"), port: 82, proto: Tcp };
    let before = host.snapshot();
    assert_eq!(refusal(&host, add(held(Tcp, "0.0.0.0", 80, 5))), busy);
    assert_eq!(host.snapshot(), before);
    take(&host, [add(held(Udp, "0.0.0.0", 80, 5)), add(held(Tcp, "::", 80, 5)), add(held(Tcp, "::", 80, 5))]);
    host.vacate(any("127.0.0.1"), 82, Tcp);
    take(&host, [add(held(Tcp, "0.0.0.0", 80, 5))]);
    host.process_died();
    assert!(lines(&host).is_empty());
    assert_eq!(errno(&host, add(held(Tcp, "192.0.2.1", 80, 1))), 99);
    host.add_foreign_address(Place::Host, "lo", "192.0.2.1/32".parse().unwrap());
    take(&host, [add(held(Tcp, "192.0.2.1", 80, 1))]);
}

#[test]
fn wipes_take_what_they_take() {
    let host = connected();
    host.flush_ruleset();
    assert_eq!(errno(&host, add(element("10.1.0.0/24"))), 2);
    take(&host, [add(ruleset()), add(element("10.1.0.0/24"))]);
    assert_eq!(errno(&host, add(element("10.1.0.128/25"))), 17);
    host.delete_link("pv0");
    assert!(!lines(&host).iter().any(|line| line.contains("eth0")));
    host.add_foreign_link("eth9");
    host.set_sysctl(Place::Host, "net.ipv4.ip_forward", "1");
    host.reboot();
    assert!(lines(&host).is_empty());
    assert_eq!(host.sysctl(Place::Host, "net.ipv4.ip_forward").as_deref(), Some("1"));
    let links: Vec<String> = host.survey().unwrap().links.into_iter().collect();
    assert_eq!(links, ["eth9", "lo"]);
}

#[test]
fn two_handles_see_one_host() {
    let host = FakeHost::new();
    let other = host.clone();
    take(&host, [add(bridge("br0"))]);
    assert_eq!(other.snapshot(), host.snapshot());
    assert_eq!(other.plans().len(), 1);
    let before = host.snapshot();
    take(&other, [add(namespace('a'))]);
    assert!(before.difference(&host.snapshot()).contains("+ namespace of sandbox aaaaaaaaaaaa\n"));
}

#[test]
fn the_environment_repeats_itself() {
    let draw = |environment: &TestEnvironment| {
        let mut bytes = [0; 32];
        environment.random(&mut bytes);
        bytes
    };
    let environment = TestEnvironment::new(7);
    let first = draw(&environment);
    assert_eq!(first, draw(&TestEnvironment::new(7)));
    assert_ne!(first, draw(&environment));
    assert_ne!(first, draw(&TestEnvironment::new(8)));
    let owner = Owner { pid: 1, started: 2, pid_namespace: None };
    assert!(environment.is_alive(owner));
    environment.kill(owner);
    assert!(!environment.is_alive(owner));
    let generation = (environment.boot(), environment.namespace());
    environment.reboot();
    assert_ne!((environment.boot(), environment.namespace()), generation);
    environment.advance(1);
    assert_eq!(environment.now(), 1_000_000_001);
}
