//! Networks: creating, finding, deleting.

use pontoon::{EndpointSpec, Error, Kind, NetworkError, NetworkId, NetworkSpec};

use crate::fixture::{Lab, names, refused};

#[test]
fn name_driver_and_id_are_those_asked_for() {
    let lab = Lab::new();
    for name in ["", "  "] {
        let empty = lab.controller.create_network(NetworkSpec::new(name));
        refused(empty, Kind::Invalid, "invalid name: name is empty");
    }
    let id: NetworkId = "ab".repeat(32).parse().unwrap();
    let network = lab.network(NetworkSpec { id: Some(id), ..NetworkSpec::new("front") });
    let info = network.info().unwrap();
    assert_eq!((info.spec.name.as_str(), info.spec.driver.as_str(), info.id), ("front", "bridge", id));
    assert_eq!(lab.dual("other").id().to_string().len(), 64);
}

#[test]
fn names_and_ids_are_unique() {
    let lab = Lab::new();
    let id = lab.dual("front").id();
    let same_name = lab.controller.create_network(NetworkSpec::new("front"));
    refused(same_name, Kind::Conflict, "network with name front already exists");
    let same_id = lab.controller.create_network(NetworkSpec { id: Some(id), ..NetworkSpec::new("other") });
    refused(same_id, Kind::Conflict, format!("network with name {id} already exists"));
    assert_eq!(names(&lab.controller.networks()), ["front"]);
}

#[test]
fn an_unknown_driver_is_not_found() {
    let lab = Lab::new();
    let unknown = lab.controller.create_network(NetworkSpec::new("front").driver("ppp"));
    refused(unknown, Kind::NotFound, "could not find plugin ppp in v1 plugin registry: plugin not found");
}

#[test]
fn a_network_with_endpoints_stays() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let endpoint = network.create_endpoint(EndpointSpec::new("web")).unwrap();
    let short = endpoint.id().short();
    let error = network.delete().unwrap_err();
    assert!(matches!(error, Error::Network(NetworkError::ActiveEndpoints { .. })), "{error}");
    refused(
        network.delete(),
        Kind::Forbidden,
        format!("network front has active endpoints (name:\"web\" id:\"{short}\")"),
    );
    endpoint.delete(false).unwrap();
    network.delete().unwrap();
}

#[test]
fn a_second_delete_finds_nothing() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("front"));
    network.delete().unwrap();
    let error = network.delete().unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().starts_with("unknown network"), "{error}");
}

#[test]
fn networks_are_found_by_name_and_id() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let id = network.id().to_string();
    assert_eq!(lab.controller.network_by_name("front").unwrap().id(), network.id());
    assert_eq!(lab.controller.network_by_id(&id).unwrap().id(), network.id());
    assert_eq!(lab.controller.find_network(&id[..6]).unwrap().id(), network.id());
    assert_eq!(lab.controller.network_by_name("").err().unwrap().kind(), Kind::Invalid);
    assert_eq!(lab.controller.network_by_id("").err().unwrap().kind(), Kind::Invalid);
    refused(lab.controller.network_by_name("back").map(|_| ()), Kind::NotFound, "network back not found");
    refused(lab.controller.network_by_id("front").map(|_| ()), Kind::NotFound, "network front not found");
}

/// Upstream `TestDockerNetworkDeletePreferID`.
#[test]
fn an_id_is_preferred_to_the_same_text_as_a_name() {
    let lab = Lab::new();
    let first = lab.dual("front");
    let id = first.id().to_string();
    let whole = lab.dual(&id);
    let short = lab.dual(&id[..6]);
    assert_eq!(lab.controller.find_network(&id).unwrap().id(), first.id());
    assert_eq!(lab.controller.find_network(&id[..6]).unwrap().id(), short.id(), "a name before the beginning of an id");
    assert_eq!(lab.controller.network_by_name(&id).unwrap().id(), whole.id());
}

#[test]
fn walkers_show_everything_until_told_to_stop() {
    let lab = Lab::new();
    let network = lab.dual("one");
    lab.dual("two");
    for name in ["a", "b", "c"] {
        network.create_endpoint(EndpointSpec::new(name)).unwrap();
    }
    assert_eq!(names(&lab.controller.networks()), ["one", "two"]);
    let count = |stop_after: usize| {
        let (mut networks, mut endpoints) = (0, 0);
        lab.controller.walk_networks(|_| {
            networks += 1;
            networks == stop_after
        });
        network.walk_endpoints(|_| {
            endpoints += 1;
            endpoints == stop_after
        });
        (networks, endpoints)
    };
    assert_eq!(count(usize::MAX), (2, 3));
    assert_eq!(count(1), (1, 1));
}

#[test]
fn a_networks_endpoints_are_found_by_name() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let endpoint = network.create_endpoint(EndpointSpec::new("web")).unwrap();
    assert_eq!(network.endpoint_by_name("web").unwrap().id(), endpoint.id());
    assert_eq!(network.endpoint_by_name("").err().unwrap().kind(), Kind::Invalid);
    refused(network.endpoint_by_name("db").map(|_| ()), Kind::NotFound, "endpoint db not found");
}

#[test]
fn config_networks_lend_their_configuration() {
    let lab = Lab::new();
    let lender = NetworkSpec { config_only: true, ..NetworkSpec::new("lender").subnet("10.3.0.0/24".parse().unwrap()) };
    let lender = lab.network(lender.option("com.docker.network.driver.mtu", "1400"));
    let endpoint = lender.create_endpoint(EndpointSpec::new("web"));
    refused(endpoint.map(|_| ()), Kind::Forbidden, "cannot create endpoint on configuration-only network");
    let borrower = NetworkSpec { config_from: Some("lender".to_owned()), ..NetworkSpec::new("front") };
    let borrower = lab.network(borrower);
    assert_eq!(borrower.info().unwrap().pools[0].prefix.to_string(), "10.3.0.0/24");
    assert!(lab.host.snapshot().to_string().contains("mtu 1400"));
    refused(lender.delete(), Kind::Forbidden, "configuration network \"lender\" is in use");
    borrower.delete().unwrap();
    lender.delete().unwrap();
}

#[test]
fn config_networks_have_rules() {
    let lab = Lab::new();
    lab.network(NetworkSpec { config_only: true, ..NetworkSpec::new("lender") });
    let only = || NetworkSpec { config_only: true, ..NetworkSpec::new("only") };
    let from = || NetworkSpec { config_from: Some("lender".to_owned()), ..NetworkSpec::new("from") };
    let operator = "configuration network can only contain network specific fields. Network operator fields like \
                    [ ingress | internal | attachable | scope ] are not supported.";
    let own = "user-specified configurations are not supported if the network depends on a configuration network";
    let options = "network driver options are not supported if the network depends on a configuration network";
    let mut labelled = from();
    labelled.labels.insert("a".to_owned(), "b".to_owned());
    let mut other_ipam = from();
    other_ipam.ipam.driver = "null".to_owned();
    let cases = [
        (NetworkSpec { internal: true, ..only() }, operator),
        (NetworkSpec { attachable: true, ..only() }, operator),
        (
            NetworkSpec { config_from: Some("lender".to_owned()), ..only() },
            "a configuration network cannot depend on another configuration network",
        ),
        (from().ipv4(false), own),
        (from().ipv6(true), own),
        (from().subnet("10.4.0.0/24".parse().unwrap()), own),
        (labelled, own),
        (other_ipam, own),
        (from().option("com.docker.network.driver.mtu", "1400"), options),
    ];
    for (spec, text) in cases {
        refused(lab.controller.create_network(spec), Kind::Forbidden, text);
    }
    let nobody = NetworkSpec { config_from: Some("nobody".to_owned()), ..NetworkSpec::new("from") };
    refused(lab.controller.create_network(nobody), Kind::NotFound, "configuration network \"nobody\" does not exist");
    assert_eq!(names(&lab.controller.networks()), ["lender"]);
}

#[test]
fn a_bridge_needs_a_family() {
    let lab = Lab::new();
    let neither = lab.controller.create_network(NetworkSpec::new("front").ipv4(false));
    refused(neither, Kind::Invalid, "IPv4 or IPv6 must be enabled");
    assert!(lab.controller.networks().is_empty());
}

/// The class follows the nature of the error and not the number of its text.
#[test]
fn every_error_has_a_kind() {
    let lab = Lab::new();
    let kind = |spec: NetworkSpec| lab.controller.create_network(spec).err().expect("refused").kind();
    lab.network(NetworkSpec::new("front").subnet("10.1.0.0/24".parse().unwrap()));
    assert_eq!(kind(NetworkSpec::new("")), Kind::Invalid);
    assert_eq!(kind(NetworkSpec::new("a/b")), Kind::Invalid);
    assert_eq!(kind(NetworkSpec::new("front")), Kind::Conflict);
    assert_eq!(kind(NetworkSpec::new("x").driver("nothing")), Kind::NotFound);
    assert_eq!(kind(NetworkSpec::new("x").option("com.docker.network.bridge.nmae", "b")), Kind::Invalid);
    assert_eq!(kind(NetworkSpec::new("x").subnet("10.1.0.0/25".parse().unwrap())), Kind::Forbidden);
    assert_eq!(kind(NetworkSpec::new("x").subnet("10.2.0.1/24".parse().unwrap())), Kind::Invalid);
    lab.host.add_foreign_link("taken0");
    assert_eq!(kind(NetworkSpec::new("x").option("com.docker.network.bridge.name", "taken0")), Kind::Conflict);
    lab.host.fail_step(0);
    assert_eq!(kind(NetworkSpec::new("x")), Kind::Internal);
}
