//! What outlives a process, and what a start puts right.

use std::sync::Arc;

use pontoon::files::resolv_conf::Overrides;
use pontoon::{
    Config, Controller, EndpointRecord, EndpointSpec, NetworkRecord, NetworkSpec, Owner, PoolSpec, SandboxRecord,
    SandboxSpec,
};
use pontoon_core::engine::Store;
use pontoon_testkit::{FakeHost, TestEnvironment};

use crate::fixture::{Lab, names};

/// A network with everything that a record can hold, and a sandbox on it.
fn furnish(lab: &Lab) {
    let mut spec = NetworkSpec::new("front").ipv6(true).option("com.docker.network.driver.mtu", "1400");
    spec.labels.insert("owner".to_owned(), "test".to_owned());
    spec.ipam.v4.push(PoolSpec {
        subnet: Some("10.1.0.0/16".parse().unwrap()),
        range: Some("10.1.1.0/24".parse().unwrap()),
        gateway: Some("10.1.0.9".parse().unwrap()),
        aux: [("router".to_owned(), "10.1.7.7".parse().unwrap())].into(),
    });
    let network = lab.network(spec);
    let dns = Overrides { options: vec!["ndots:2".to_owned()], ..Overrides::default() };
    let sandbox = SandboxSpec::new("web").publish("8080:80".parse().unwrap()).dns(dns);
    let sandbox = lab.controller.create_sandbox(sandbox.extra_host("db:192.0.2.7".parse().unwrap())).unwrap();
    // What upstream forgets: interface name, gateway priority, link aliases, settings, link-local addresses.
    let endpoint = EndpointSpec {
        ifname: Some("lan0".parse().unwrap()),
        priority: 5,
        ..EndpointSpec::new("web").link("store", "db").dns_name("www")
    };
    let endpoint = endpoint.sysctl("net.ipv4.conf.IFNAME.route_localnet=1").link_local("169.254.7.7".parse().unwrap());
    lab.joined(&network, endpoint, &sandbox);
    network.create_endpoint(EndpointSpec::new("waiting")).unwrap();
}

/// Every record.
type Records = (Vec<Arc<NetworkRecord>>, Vec<Arc<EndpointRecord>>, Vec<Arc<SandboxRecord>>);

fn records(lab: &Lab) -> Records {
    let networks = lab.controller.networks().iter().map(|network| network.info().unwrap()).collect();
    let endpoints = lab.controller.endpoints().iter().map(|endpoint| endpoint.record().unwrap()).collect();
    let sandboxes = lab.controller.sandboxes().iter().map(|sandbox| sandbox.info().unwrap()).collect();
    (networks, endpoints, sandboxes)
}

#[test]
fn records_are_read_as_they_were_written() {
    let lab = Lab::new();
    furnish(&lab);
    let before = records(&lab);
    let lab = lab.restarted();
    assert_eq!(records(&lab), before);
    assert!(lab.controller.quarantined().is_empty());
}

#[test]
fn a_restart_changes_nothing_on_the_host() {
    let lab = Lab::new();
    furnish(&lab);
    let before = lab.host.snapshot();
    let lab = lab.restarted();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert!(lab.controller.diagnose().unwrap().is_empty());
    assert!(lab.controller.restored().stale.is_empty());
}

#[test]
fn an_unattached_endpoint_outlives_the_process() {
    let lab = Lab::new();
    furnish(&lab);
    let lab = lab.restarted();
    let network = lab.controller.network_by_name("front").unwrap();
    assert!(network.endpoint_by_name("waiting").is_ok());
    // Its address is still taken: web has 10.1.1.0, which is an ordinary address of the subnet, and waiting 10.1.1.1.
    let next = network.create_endpoint(EndpointSpec::new("next")).unwrap();
    assert_eq!(next.info().unwrap().addresses[0].to_string(), "10.1.1.2/16");
}

#[test]
fn deleted_records_stay_deleted_and_can_be_made_again() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("front"));
    let endpoint = network.create_endpoint(EndpointSpec::new("web")).unwrap();
    endpoint.delete(false).unwrap();
    network.delete().unwrap();
    assert!(lab.store.scan("network/").unwrap().is_empty() && lab.store.scan("endpoint/").unwrap().is_empty());
    let lab = lab.restarted();
    assert!(lab.controller.networks().is_empty());
    lab.network(NetworkSpec::new("front")).create_endpoint(EndpointSpec::new("web")).unwrap();
}

#[test]
fn a_network_that_does_not_persist_ends_with_the_process() {
    let lab = Lab::new();
    let before = lab.host.snapshot();
    lab.network(NetworkSpec::new("kept")).delete().unwrap();
    let forwarding = lab.host.snapshot();
    let passing = lab.network(NetworkSpec { persist: false, ..NetworkSpec::new("passing") });
    passing.create_endpoint(EndpointSpec::new("web")).unwrap();
    assert!(lab.store.scan("network/").unwrap().is_empty() && lab.store.scan("endpoint/").unwrap().is_empty());
    let lab = lab.restarted();
    assert!(lab.controller.networks().is_empty() && lab.controller.endpoints().is_empty());
    assert_eq!(forwarding.difference(&lab.host.snapshot()), "");
    assert_ne!(before.difference(&forwarding), "");
}

#[test]
fn a_directory_of_ones_own_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (host, environment) = (FakeHost::new(), TestEnvironment::new(1));
    let open = || {
        let config = Config::new(folder.path().join("state"));
        let builder = Controller::builder(config).host(Arc::new(host.clone()));
        builder.environment(Arc::new(environment.clone())).open().unwrap()
    };
    let first = open();
    let id = first.create_network(NetworkSpec::new("front")).unwrap().id();
    let holds = first.stop().unwrap();
    drop(holds);
    let second = open();
    assert_eq!(second.network_by_name("front").unwrap().id(), id);
}

#[test]
fn sandboxes_whose_owner_has_gone_are_removed() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let before = lab.host.snapshot();
    let owner = Owner { pid: 4711, started: 1, pid_namespace: None };
    let sandbox = lab.controller.create_sandbox(SandboxSpec { owner: Some(owner), ..SandboxSpec::new("web") }).unwrap();
    lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    lab.environment.kill(owner);
    let lab = lab.restarted();
    assert_eq!(lab.controller.restored().stale, ["web"]);
    assert!(lab.controller.sandboxes().is_empty() && lab.controller.endpoints().is_empty());
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert_eq!(names(&lab.controller.networks()), ["front"]);
}

#[test]
fn a_controller_has_a_new_id_with_every_start() {
    let lab = Lab::new();
    let id = lab.controller.id().to_owned();
    assert_eq!(id.len(), 64);
    assert_ne!(lab.restarted().controller.id(), id);
    let nowhere = Controller::open(Config::new("")).err().expect("refused");
    assert!(nowhere.to_string().contains("empty dir"), "{nowhere}");
}
