//! The networks of which there is one: `null` and `host`.

use pontoon::{Endpoint, EndpointSpec, Kind, NamespaceSource, NetworkSpec, Sandbox, SandboxSpec};

use crate::fixture::{Lab, refused};

#[test]
fn null_connects_nothing_and_stays() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let before = lab.host.snapshot();
    let network = lab.network(NetworkSpec::new("none").driver("null"));
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    assert!(endpoint.info().unwrap().addresses.is_empty());
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    endpoint.leave(&sandbox).unwrap();
    endpoint.delete(false).unwrap();
    sandbox.delete().unwrap();
    refused(network.delete(), Kind::Forbidden, "network of type \"null\" cannot be deleted");
    let second = lab.controller.create_network(NetworkSpec::new("again").driver("null"));
    refused(second, Kind::Forbidden, "only one instance of \"null\" network is allowed");
    // The refusal left no mark.
    assert_eq!(lab.controller.network_by_name("none").unwrap().id(), network.id());
}

#[test]
fn null_has_nothing_whose_rate_could_be_limited() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let network = lab.network(NetworkSpec::new("none").driver("null"));
    let limited = EndpointSpec::new("web").rate_out("8M".parse().unwrap());
    let endpoint = network.create_endpoint(limited).unwrap();
    let told =
        "network none makes no interface whose rate can be limited: leave the limits out, or join a bridge network";
    refused(endpoint.join(&sandbox), Kind::Invalid, told);
    assert_eq!(lab.controller.diagnose().unwrap(), []);
}

#[test]
fn several_sandboxes_share_the_host() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("host").driver("host"));
    let before = lab.host.snapshot();
    let in_host = |name: &str| {
        let spec = SandboxSpec::new(name).namespace(NamespaceSource::Host);
        lab.controller.create_sandbox(spec).unwrap()
    };
    let pairs: Vec<(Sandbox, Endpoint)> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            let sandbox = in_host(name);
            let endpoint = lab.joined(&network, EndpointSpec::new(*name), &sandbox);
            (sandbox, endpoint)
        })
        .collect();
    for (sandbox, endpoint) in &pairs {
        endpoint.leave(sandbox).unwrap();
        endpoint.join(sandbox).unwrap();
    }
    for (sandbox, _) in &pairs {
        sandbox.delete().unwrap();
    }
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    refused(network.delete(), Kind::Forbidden, "network of type \"host\" cannot be deleted");
}

#[test]
fn host_and_own_namespaces_do_not_mix() {
    let lab = Lab::new();
    let host = lab.network(NetworkSpec::new("host").driver("host"));
    let front = lab.dual("front");
    let in_host = lab.controller.create_sandbox(SandboxSpec::new("a").namespace(NamespaceSource::Host)).unwrap();
    let of_its_own = lab.sandbox("b");
    let on_host = host.create_endpoint(EndpointSpec::new("x")).unwrap();
    let on_front = front.create_endpoint(EndpointSpec::new("x")).unwrap();
    assert_eq!(on_host.join(&of_its_own).unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(on_front.join(&in_host).unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(on_front.info().unwrap().sandbox, None);
}
