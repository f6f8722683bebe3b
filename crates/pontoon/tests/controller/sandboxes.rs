//! Sandboxes: creating, finding, deleting, and the names of their interfaces.

use std::collections::BTreeSet;
use std::thread;

use pontoon::objects::{Object, Op};
use pontoon::{EndpointSpec, Error, HostError, IfName, Kind, NamespaceSource, SandboxSpec};

use crate::fixture::{Lab, refused};

#[test]
fn sandboxes_are_found_by_container_and_id() {
    let lab = Lab::new();
    assert_eq!(lab.controller.sandbox_of("").err().unwrap().kind(), Kind::Invalid);
    let text = "network sandbox for container web not found";
    refused(lab.controller.sandbox_of("web").map(|_| ()), Kind::NotFound, text);
    let sandbox = lab.sandbox("web");
    assert_eq!(lab.controller.sandbox_of("web").unwrap().id(), sandbox.id());
    assert_eq!(lab.controller.sandbox_by_id(&sandbox.id().to_string()).unwrap().id(), sandbox.id());
    assert_eq!(lab.controller.sandbox_by_id("").err().unwrap().kind(), Kind::Invalid);
    sandbox.delete().unwrap();
    refused(lab.controller.sandbox_of("web").map(|_| ()), Kind::NotFound, text);
    refused(sandbox.delete(), Kind::NotFound, format!("sandbox {} not found", sandbox.id()));
}

#[test]
fn a_sandbox_comes_and_goes_without_a_trace() {
    let lab = Lab::new();
    let before = lab.host.snapshot();
    let sandbox = lab.sandbox("web");
    assert_ne!(before.difference(&lab.host.snapshot()), "");
    sandbox.delete().unwrap();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert!(lab.controller.sandboxes().is_empty());
}

#[test]
fn a_container_has_one_sandbox() {
    let lab = Lab::new();
    refused(lab.controller.create_sandbox(SandboxSpec::new("")).map(|_| ()), Kind::Invalid, "invalid container ID");
    let id = lab.sandbox("web").id();
    let second = lab.controller.create_sandbox(SandboxSpec::new("web"));
    refused(second.map(|_| ()), Kind::Forbidden, format!("container web is already present in sandbox {id}"));
}

#[test]
fn deleting_a_sandbox_deletes_its_endpoints() {
    let lab = Lab::new();
    // Forwarding stays on: others may have come to rely on it.
    lab.dual("first").delete().unwrap();
    let before = lab.host.snapshot();
    let (front, back, sandbox) = (lab.dual("front"), lab.dual("back"), lab.sandbox("web"));
    lab.joined(&front, EndpointSpec::new("web"), &sandbox);
    lab.joined(&back, EndpointSpec::new("web"), &sandbox);
    assert_eq!(front.delete().unwrap_err().kind(), Kind::Forbidden);
    sandbox.delete().unwrap();
    front.delete().unwrap();
    back.delete().unwrap();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
}

#[test]
fn destroying_what_is_not_there_is_no_error() {
    let lab = Lab::new();
    lab.controller.destroy_sandbox("web").unwrap();
    lab.sandbox("web");
    lab.controller.destroy_sandbox("web").unwrap();
    assert!(lab.controller.sandboxes().is_empty());
}

#[test]
fn interfaces_take_the_lowest_free_number() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let networks: Vec<_> = ["a", "b", "c"].iter().map(|name| lab.dual(name)).collect();
    let join = |index: usize, name: &str| lab.joined(&networks[index], EndpointSpec::new(name), &sandbox);
    let ifname = |endpoint: &pontoon::Endpoint| endpoint.info().unwrap().ifname.unwrap().to_string();
    let endpoints: Vec<_> = (0..3).map(|index| join(index, "x")).collect();
    assert_eq!(endpoints.iter().map(ifname).collect::<Vec<_>>(), ["eth0", "eth1", "eth2"]);
    endpoints[1].leave(&sandbox).unwrap();
    assert_eq!(ifname(&join(2, "y")), "eth1");
    // The number it had is taken now: it gets the next one.
    endpoints[1].join(&sandbox).unwrap();
    assert_eq!(ifname(&endpoints[1]), "eth3");
}

#[test]
fn an_interface_name_is_taken_once() {
    let lab = Lab::new();
    let (network, sandbox) = (lab.dual("front"), lab.sandbox("web"));
    let named = |name: &str| EndpointSpec { ifname: Some(IfName::new("wan0").unwrap()), ..EndpointSpec::new(name) };
    let first = lab.joined(&network, named("a"), &sandbox);
    assert_eq!(first.info().unwrap().ifname.unwrap().as_str(), "wan0");
    let second = network.create_endpoint(named("b")).unwrap();
    refused(second.join(&sandbox), Kind::Conflict, "interface name wan0 is already used in sandbox web");
}

#[test]
fn joins_in_parallel_get_every_number_once() {
    let lab = Lab::new();
    let (network, sandbox) = (lab.dual("front"), lab.sandbox("web"));
    thread::scope(|scope| {
        for number in 0..10 {
            let (network, sandbox, lab) = (&network, &sandbox, &lab);
            scope.spawn(move || lab.joined(network, EndpointSpec::new(format!("e{number}")), sandbox));
        }
    });
    let names = sandbox.endpoints().iter().map(|e| e.info().unwrap().ifname.unwrap().to_string()).collect();
    assert_eq!((0..10).map(|number| format!("eth{number}")).collect::<BTreeSet<_>>(), names);
}

#[test]
fn an_interface_that_cannot_be_removed_is_a_debt() {
    let lab = Lab::new();
    let (network, sandbox) = (lab.dual("front"), lab.sandbox("web"));
    let before = lab.host.snapshot();
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    // Deleting an interface cannot be undone: it comes after the commit, and a refusal does not bring the endpoint back.
    let stuck = |op: &Op| matches!(op, Op::Remove(Object::Veth(_)));
    lab.host.fail_when(move |_, _, op| stuck(op).then(|| HostError::Missing { what: "a way".to_owned() }));
    let error = endpoint.leave(&sandbox).unwrap_err();
    assert!(matches!(error, Error::LeftBehind { .. }), "{error}");
    assert_eq!(lab.controller.debts().len(), 1);
    lab.host.clear_faults();
    refused(endpoint.leave(&sandbox), Kind::Forbidden, "cannot leave endpoint with no attached sandbox");
    lab.controller.repair().unwrap();
    assert!(lab.controller.debts().is_empty());
    assert_eq!(before.difference(&lab.host.snapshot()), "");
}

#[test]
fn an_adopted_namespace_is_given_back() {
    let lab = Lab::new();
    let network = lab.dual("front");
    lab.host.add_namespace("/run/netns/theirs");
    let before = lab.host.snapshot();
    let adopted = NamespaceSource::Adopted("/run/netns/theirs".to_owned());
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").namespace(adopted)).unwrap();
    lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    assert!(before.difference(&lab.host.snapshot()).contains("eth0"));
    sandbox.delete().unwrap();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    let nowhere = NamespaceSource::Adopted("/run/netns/nowhere".to_owned());
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").namespace(nowhere));
    assert!(sandbox.is_err());
    assert!(lab.controller.sandboxes().is_empty());
}
