//! Networks that are created when they are first used, in the transaction of the endpoint that uses them.

use std::sync::Barrier;
use std::thread;

use pontoon::{
    Attach, Controller, EndpointSpec, Error, Kind, NetworkId, NetworkSpec, NetworkTarget, Sandbox, SandboxSpec,
};

use crate::fixture::{Lab, names, refused};

fn default_network() -> NetworkTarget {
    NetworkTarget::create_if_missing(NetworkSpec::new("default").ipv6(true))
}

fn attach(controller: &Controller, name: &str, targets: Vec<NetworkTarget>) -> Result<Sandbox, Error> {
    let endpoint = |(number, target)| (target, EndpointSpec::new(format!("{name}{number}")));
    let sandbox = SandboxSpec::new(name).publish("8080:80".parse()?);
    controller.attach(Attach { sandbox, endpoints: targets.into_iter().enumerate().map(endpoint).collect() })
}

#[test]
fn a_network_is_created_by_its_first_endpoint_and_used_by_the_next() {
    let lab = Lab::new();
    let first = attach(&lab.controller, "web", vec![default_network()]).unwrap();
    assert_eq!(names(&lab.controller.networks()), ["default"]);
    let record = lab.controller.network_by_name("default").unwrap().info().unwrap();
    assert!(record.spec.ipv6);
    let second = lab.sandbox("db");
    // What is there is used as it is.
    let other = NetworkTarget::create_if_missing(NetworkSpec::new("default").internal(true));
    let endpoint = second.connect(other, EndpointSpec::new("db")).unwrap();
    assert_eq!(endpoint.info().unwrap().network, record.id);
    assert_eq!(first.endpoints()[0].info().unwrap().network, record.id);
    assert_eq!(names(&lab.controller.networks()), ["default"]);
    assert_eq!(lab.controller.diagnose().unwrap(), []);
}

#[test]
fn one_attach_may_name_a_missing_network_twice() {
    let lab = Lab::new();
    let sandbox = attach(&lab.controller, "web", vec![default_network(), default_network()]).unwrap();
    assert_eq!(names(&lab.controller.networks()), ["default"]);
    assert_eq!(sandbox.endpoints().len(), 2);
}

#[test]
fn a_connection_creates_its_network() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    sandbox.connect(default_network(), EndpointSpec::new("web")).unwrap();
    assert_eq!(names(&lab.controller.networks()), ["default"]);
    assert_eq!(sandbox.endpoints()[0].info().unwrap().ifname.unwrap().as_str(), "eth0");
}

#[test]
fn a_failed_attach_leaves_no_network() {
    let lab = Lab::new();
    let before = lab.host.snapshot();
    let untouched = |at: &str| {
        assert!(lab.controller.networks().is_empty() && lab.controller.sandboxes().is_empty(), "{at}");
        assert_eq!(before.difference(&lab.host.snapshot()), "", "{at}");
    };
    let mut failed = 0;
    loop {
        lab.host.fail_step(failed);
        let outcome = attach(&lab.controller, "web", vec![default_network()]);
        if !lab.host.fault_hit() {
            break outcome.map(drop).unwrap();
        }
        let error = outcome.err().expect("the host refused");
        assert!(matches!(error, Error::Apply { .. }), "{error}");
        untouched(&format!("step {failed}"));
        failed += 1;
    }
    assert!(failed > 20, "{failed} steps make a network and a sandbox on it");
    assert_eq!(names(&lab.controller.networks()), ["default"]);
}

#[test]
fn a_refused_attach_leaves_no_network() {
    let lab = Lab::new();
    let nowhere: NetworkId = "ab".repeat(32).parse().unwrap();
    let elsewhere = attach(&lab.controller, "web", vec![default_network(), nowhere.into()]);
    refused(elsewhere.map(drop), Kind::NotFound, format!("network {nowhere} not found"));
    let outside = EndpointSpec { ipv4: Some("10.9.9.9".parse().unwrap()), ..EndpointSpec::new("web") };
    let error = lab.sandbox("web").connect(default_network(), outside).err().expect("refused");
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    let empty = NetworkTarget::create_if_missing(NetworkSpec::new(" "));
    refused(attach(&lab.controller, "db", vec![empty]).map(drop), Kind::Invalid, "invalid name: name is empty");
    assert!(lab.controller.networks().is_empty());
}

#[test]
fn the_host_is_surveyed_only_for_a_network_that_is_missing() {
    let lab = Lab::new();
    let front = lab.dual("front");
    let surveys = || lab.host.surveys();
    let before = surveys();
    attach(&lab.controller, "web", vec![default_network()]).unwrap().delete().unwrap();
    assert_eq!(surveys(), before + 1);
    attach(&lab.controller, "web", vec![default_network(), (&front).into()]).unwrap();
    lab.sandbox("db").connect(default_network(), EndpointSpec::new("db")).unwrap();
    assert_eq!(surveys(), before + 1);
}

#[test]
fn a_preview_shows_the_network_and_the_sandbox() {
    let lab = Lab::new();
    let preview = lab.controller.preview(|copy| attach(copy, "web", vec![default_network()]).map(drop)).unwrap();
    for step in
        ["+ bridge ", "+ address 172.17.0.1/16 ", "+ namespace of sandbox ", "+ veth ", "+ hold 0.0.0.0:8080/tcp"]
    {
        assert!(preview.steps.iter().any(|planned| planned.0.starts_with(step)), "{step}: {:#?}", preview.steps);
    }
    assert!(lab.controller.networks().is_empty() && lab.host.plans().is_empty());
}

#[test]
fn many_first_users_create_one_network() {
    const USERS: usize = 8;
    let lab = Lab::new();
    for round in 0..10 {
        let begin = Barrier::new(USERS);
        let sandboxes: Vec<Sandbox> = thread::scope(|scope| {
            let users: Vec<_> = (0..USERS)
                .map(|user| {
                    let (lab, begin) = (&lab, &begin);
                    scope.spawn(move || {
                        let name = format!("r{round}u{user}");
                        let endpoints = vec![(default_network(), EndpointSpec::new(&name))];
                        begin.wait();
                        lab.controller.attach(Attach { sandbox: SandboxSpec::new(&name), endpoints }).unwrap()
                    })
                })
                .collect();
            users.into_iter().map(|user| user.join().expect("attached")).collect()
        });
        let network = lab.controller.network_by_name("default").unwrap();
        assert_eq!((lab.controller.networks().len(), network.endpoints().len()), (1, USERS));
        assert_eq!(lab.controller.diagnose().unwrap(), []);
        sandboxes.iter().for_each(|sandbox| sandbox.delete().unwrap());
        network.delete().unwrap();
    }
}
