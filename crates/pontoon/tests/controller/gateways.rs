//! Which endpoint leads out of a sandbox.

use pontoon::{EndpointSpec, Network, NetworkSpec, Sandbox};

use crate::fixture::Lab;

fn join(lab: &Lab, network: &Network, priority: i32, sandbox: &Sandbox) -> pontoon::Endpoint {
    let name = network.info().unwrap().spec.name.clone();
    lab.joined(network, EndpointSpec { priority, ..EndpointSpec::new(name) }, sandbox)
}

/// The networks of a sandbox's endpoints, the best gateway first.
fn order(sandbox: &Sandbox) -> Vec<String> {
    sandbox.endpoints().iter().map(|endpoint| endpoint.info().unwrap().name).collect()
}

#[test]
fn priority_comes_first() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let internal = lab.network(NetworkSpec::new("inside").internal(true));
    let (v4, dual, low) = (lab.network(NetworkSpec::new("v4")), lab.dual("dual"), lab.dual("low"));
    join(&lab, &low, -1, &sandbox);
    join(&lab, &dual, 0, &sandbox);
    let first = join(&lab, &v4, 5, &sandbox);
    join(&lab, &internal, 10, &sandbox);
    assert_eq!(order(&sandbox), ["inside", "v4", "dual", "low"]);
    first.leave(&sandbox).unwrap();
    assert_eq!(order(&sandbox), ["inside", "dual", "low"]);
    first.join(&sandbox).unwrap();
    assert_eq!(order(&sandbox), ["inside", "v4", "dual", "low"]);
    assert_eq!(sandbox.gateways().v4, Some(first.id()));
}

#[test]
fn each_family_has_its_own_gateway() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let dual = join(&lab, &lab.dual("dual"), 0, &sandbox);
    let v4 = join(&lab, &lab.network(NetworkSpec::new("v4")), 1000, &sandbox);
    assert_eq!((sandbox.gateways().v4, sandbox.gateways().v6), (Some(v4.id()), Some(dual.id())));
    let routes: Vec<String> = default_routes(&lab);
    assert_eq!(routes, ["route 0.0.0.0/0 via 172.18.0.1 on eth1", "route ::/0 via fd00:1::1 on eth0"]);
    v4.leave(&sandbox).unwrap();
    assert_eq!(default_routes(&lab), ["route 0.0.0.0/0 via 172.17.0.1 on eth0", "route ::/0 via fd00:1::1 on eth0"]);
}

fn default_routes(lab: &Lab) -> Vec<String> {
    let text = lab.host.snapshot().to_string();
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("route") && line.contains("/0 "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn of_equal_priority_more_families_win_and_then_the_name() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    for network in [
        lab.network(NetworkSpec::new("a-inside").internal(true)),
        lab.network(NetworkSpec::new("b-v4")),
        lab.network(NetworkSpec::new("a-v4")),
        lab.dual("z-dual"),
        lab.dual("y-dual"),
    ] {
        join(&lab, &network, 0, &sandbox);
    }
    assert_eq!(order(&sandbox), ["y-dual", "z-dual", "a-v4", "b-v4", "a-inside"]);
}
