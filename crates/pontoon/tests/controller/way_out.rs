//! What leads out of a sandbox: its networks' gateways, an interface itself, somebody else, or the gateway network.

use pontoon::{Attach, EndpointSpec, GATEWAY_NETWORK, Kind, NetworkSpec, Sandbox, SandboxSpec};

use crate::fixture::{Lab, builder, config, refused};
use crate::wire::{Wire, wire};

fn lab() -> Lab {
    Lab::with(|builder| builder.driver(Wire))
}

fn connected(sandbox: &Sandbox, network: &pontoon::Network) -> pontoon::Endpoint {
    sandbox.connect(network, EndpointSpec::new(sandbox.info().unwrap().spec.name.clone())).unwrap()
}

/// The endpoints of a sandbox, the best gateway first: each as its network, its name, and whether it was made by itself.
fn endpoints(lab: &Lab, sandbox: &Sandbox) -> Vec<String> {
    let told = |endpoint: &pontoon::Endpoint| {
        let info = endpoint.info().unwrap();
        let network =
            lab.controller.network_by_id(&info.network.to_string()).unwrap().info().unwrap().spec.name.clone();
        format!("{network} {}{}", info.name, if info.automatic { " (automatic)" } else { "" })
    };
    sandbox.endpoints().iter().map(told).collect()
}

fn routes(lab: &Lab) -> Vec<String> {
    let text = lab.host.snapshot().to_string();
    text.lines().map(str::trim).filter(|line| line.starts_with("route")).map(str::to_owned).collect()
}

fn gateway_network(lab: &Lab) -> Option<pontoon::Network> {
    lab.controller.network_by_name(GATEWAY_NETWORK).ok()
}

#[test]
fn the_gateway_network_leads_out_where_nothing_else_does() {
    let lab = lab();
    let sandbox = lab.sandbox("web");
    connected(&sandbox, &lab.network(wire("quiet", "none")));
    assert_eq!(endpoints(&lab, &sandbox), ["quiet web", "pontoon_gwbridge gateway_web (automatic)"]);
    assert_eq!(routes(&lab), ["route 0.0.0.0/0 via 172.18.0.1 on eth1"]);
    let network = gateway_network(&lab).unwrap().info().unwrap();
    assert_eq!((network.spec.driver.as_str(), network.spec.ipv4, network.spec.ipv6), ("bridge", true, false));
    assert_eq!((network.config["icc"].as_bool(), network.config["masquerade"].as_bool()), (Some(false), Some(true)));
}

#[test]
fn it_goes_when_another_network_leads_out_and_comes_back() {
    let lab = lab();
    let sandbox = lab.sandbox("web");
    connected(&sandbox, &lab.network(wire("quiet", "none")));
    let front = connected(&sandbox, &lab.network(NetworkSpec::new("front")));
    assert_eq!(endpoints(&lab, &sandbox), ["front web", "quiet web"]);
    assert_eq!(routes(&lab), ["route 0.0.0.0/0 via 172.19.0.1 on eth2"]);
    front.leave(&sandbox).unwrap();
    assert_eq!(endpoints(&lab, &sandbox), ["quiet web", "pontoon_gwbridge gateway_web (automatic)"]);
    front.join(&sandbox).unwrap();
    front.delete(true).unwrap();
    assert_eq!(endpoints(&lab, &sandbox), ["quiet web", "pontoon_gwbridge gateway_web (automatic)"]);
}

#[test]
fn who_wants_no_way_out_gets_none() {
    let lab = lab();
    let networks = [
        lab.network(wire("inside", "none").internal(true)),
        lab.network(wire("served", "none").option("gateway_service", "false")),
        lab.network(NetworkSpec::new("none").driver("null")),
        lab.network(NetworkSpec::new("back").internal(true)),
    ];
    for (number, network) in networks.iter().enumerate() {
        let sandbox = lab.sandbox(&format!("box{number}"));
        connected(&sandbox, network);
        assert_eq!(sandbox.endpoints().len(), 1, "{number}");
    }
    assert!(gateway_network(&lab).is_none());
    assert_eq!(routes(&lab), [""; 0]);
}

#[test]
fn one_attach_makes_it_too_and_a_long_name_gives_way_to_the_id() {
    let lab = lab();
    let endpoints_of = |sandbox: &str, network: &pontoon::Network| Attach {
        sandbox: SandboxSpec::new(sandbox),
        endpoints: vec![(network.id().into(), EndpointSpec::new(sandbox))],
    };
    let quiet = lab.network(wire("quiet", "none"));
    let one = lab.controller.attach(endpoints_of("a-name-of-many-letters", &quiet)).unwrap();
    let two = lab.controller.attach(endpoints_of("twelve-chars", &quiet)).unwrap();
    let id = &one.id().to_string()[..12];
    assert_eq!(endpoints(&lab, &one)[1], format!("pontoon_gwbridge gateway_{id} (automatic)"));
    assert_eq!(endpoints(&lab, &two)[1], "pontoon_gwbridge gateway_twelve-chars (automatic)");
    // Both are on the one network, and both leave it with their sandbox.
    one.delete().unwrap();
    two.delete().unwrap();
    gateway_network(&lab).unwrap().delete().unwrap();
}

#[test]
fn ports_move_with_it() {
    let lab = lab();
    let spec = SandboxSpec::new("web").publish("8080:80".parse().unwrap());
    let sandbox = lab.controller.create_sandbox(spec).unwrap();
    connected(&sandbox, &lab.network(wire("quiet", "none")));
    let published = |sandbox: &Sandbox| -> Vec<String> {
        let infos = sandbox.endpoints().into_iter().map(|endpoint| endpoint.info().unwrap());
        infos.filter(|info| !info.ports.is_empty()).map(|info| format!("{} {}", info.name, info.ports.len())).collect()
    };
    assert_eq!(published(&sandbox), ["gateway_web 1"]);
    connected(&sandbox, &lab.dual("front"));
    assert_eq!(published(&sandbox), ["web 2"]);
}

/// Nobody is to find a sandbox there: hosts files and names know nothing of it.
#[test]
fn its_address_is_in_no_file() {
    let lab = lab();
    let sandbox = lab.sandbox("web");
    connected(&sandbox, &lab.network(wire("quiet", "none")));
    let text = lab.host.snapshot().to_string();
    let hosts: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("file hosts")).collect();
    assert_eq!(hosts.len(), 1, "{text}");
    assert!(hosts[0].contains("172.17.0.2") && !hosts[0].contains("172.18.0.2"), "{}", hosts[0]);
}

#[test]
fn it_is_not_for_users_to_leave() {
    let lab = lab();
    let sandbox = lab.sandbox("web");
    connected(&sandbox, &lab.network(wire("quiet", "none")));
    let automatic = sandbox.endpoints().pop().unwrap();
    let text = "endpoint gateway_web is the way out of sandbox web, for none of its other networks leads out: it goes by itself \
                when one does";
    refused(automatic.leave(&sandbox), Kind::Forbidden, text);
    refused(automatic.delete(true), Kind::Forbidden, text);
    assert_eq!(sandbox.endpoints().len(), 2);
}

#[test]
fn one_that_is_there_already_is_used_if_it_leads_out() {
    let lab = lab();
    let own = lab.network(NetworkSpec::new(GATEWAY_NETWORK).subnet("10.9.0.0/24".parse().unwrap()));
    let quiet = lab.network(wire("quiet", "none"));
    let sandbox = lab.sandbox("web");
    connected(&sandbox, &quiet);
    assert_eq!(routes(&lab), ["route 0.0.0.0/0 via 10.9.0.1 on eth1"]);
    sandbox.delete().unwrap();
    own.delete().unwrap();

    lab.network(NetworkSpec::new(GATEWAY_NETWORK).internal(true));
    let sandbox = lab.sandbox("web");
    let before = lab.host.snapshot();
    let error = sandbox.connect(&quiet, EndpointSpec::new("web")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    assert_eq!(
        pontoon::with_causes(&error),
        "error creating external connectivity network pontoon_gwbridge: network pontoon_gwbridge leads nowhere: remove it, and \
         it is made again as it must be"
    );
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert_eq!(sandbox.endpoints().len(), 0);
}

#[test]
fn a_way_out_may_be_the_link_itself() {
    let lab = lab();
    connected(&lab.sandbox("web"), &lab.network(wire("flat", "on-link")));
    assert_eq!(routes(&lab), ["route 0.0.0.0/0 on eth0", "route ::/0 on eth0"]);
    assert!(gateway_network(&lab).is_none());
}

/// What a driver said about the way out is recorded: it holds when the next process starts.
#[test]
fn a_forced_way_out_has_no_route_and_is_remembered() {
    let lab = lab();
    let sandbox = lab.sandbox("web");
    let forced = connected(&sandbox, &lab.network(wire("forced", "forced")));
    let front = NetworkSpec::new("front").ipv6(true);
    sandbox.connect(&lab.network(front), EndpointSpec { priority: -1, ..EndpointSpec::new("web") }).unwrap();
    let check = |lab: &Lab, sandbox: &Sandbox| {
        assert_eq!(sandbox.gateways().v4, Some(forced.id()));
        assert_eq!(endpoints(lab, sandbox), ["forced web", "front web"]);
        assert_eq!(routes(lab), [""; 0]);
    };
    check(&lab, &sandbox);
    let Lab { controller, host, store, environment } = lab;
    drop((controller, sandbox));
    host.process_died();
    let controller = builder(config(), &host, &store, &environment).driver(Wire).open().unwrap();
    let lab = Lab { controller, host, store, environment };
    let sandbox = lab.controller.sandbox_of("web").unwrap();
    check(&lab, &sandbox);
    assert_eq!(lab.controller.diagnose().unwrap(), []);
}

/// The families choose by themselves: one that leads out by its gateway, one by the link.
#[test]
fn families_go_different_ways() {
    let lab = lab();
    let sandbox = lab.sandbox("web");
    let first = EndpointSpec { priority: 5, ..EndpointSpec::new("web") };
    sandbox.connect(&lab.network(NetworkSpec::new("front")), first).unwrap();
    connected(&sandbox, &lab.network(wire("flat", "on-link")));
    assert_eq!(routes(&lab), ["route 0.0.0.0/0 via 172.17.0.1 on eth0", "route ::/0 on eth1"]);
}
