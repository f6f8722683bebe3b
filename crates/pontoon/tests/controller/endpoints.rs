//! Endpoints: creating, joining, leaving, deleting.

use pontoon::{EndpointError, EndpointSpec, Error, Kind, NetworkSpec, SandboxSpec};

use crate::fixture::{Lab, refused};

#[test]
fn an_endpoint_needs_a_name() {
    let lab = Lab::new();
    let nameless = lab.dual("front").create_endpoint(EndpointSpec::new(""));
    refused(nameless.map(|_| ()), Kind::Invalid, "invalid name: name is empty");
}

#[test]
fn a_name_is_taken_once_in_a_network() {
    let lab = Lab::new();
    let network = lab.dual("front");
    network.create_endpoint(EndpointSpec::new("web")).unwrap();
    let second = network.create_endpoint(EndpointSpec::new("web"));
    refused(second.map(|_| ()), Kind::Forbidden, "endpoint with name web already exists in network front");
    lab.dual("back").create_endpoint(EndpointSpec::new("web")).unwrap();
}

#[test]
fn an_attached_endpoint_is_deleted_by_force_only() {
    let lab = Lab::new();
    let (network, sandbox) = (lab.dual("front"), lab.sandbox("web"));
    let before = lab.host.snapshot();
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    let id = endpoint.id();
    let error = endpoint.delete(false).unwrap_err();
    assert!(matches!(error, Error::Endpoint(EndpointError::ActiveContainer { .. })), "{error}");
    refused(endpoint.delete(false), Kind::Forbidden, format!("endpoint with name web id {id} has active containers"));
    endpoint.delete(true).unwrap();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
}

#[test]
fn an_endpoint_joins_once() {
    let lab = Lab::new();
    let (network, one, two) = (lab.dual("front"), lab.sandbox("one"), lab.sandbox("two"));
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &one);
    for sandbox in [&one, &two] {
        let again = endpoint.join(sandbox);
        refused(again, Kind::Forbidden, "another container is attached to the same network endpoint");
    }
}

#[test]
fn only_what_was_joined_is_left() {
    let lab = Lab::new();
    let (network, one, two) = (lab.dual("front"), lab.sandbox("one"), lab.sandbox("two"));
    let endpoint = network.create_endpoint(EndpointSpec::new("web")).unwrap();
    refused(endpoint.leave(&one), Kind::Forbidden, "cannot leave endpoint with no attached sandbox");
    endpoint.join(&one).unwrap();
    let text = format!("unexpected sandbox ID in leave request. Expected {}. Got {}", one.id(), two.id());
    refused(endpoint.leave(&two), Kind::Forbidden, text);
    endpoint.leave(&one).unwrap();
}

#[test]
fn a_sandbox_that_is_gone_is_not_joined() {
    let lab = Lab::new();
    let (network, sandbox) = (lab.dual("front"), lab.sandbox("web"));
    sandbox.delete().unwrap();
    let endpoint = network.create_endpoint(EndpointSpec::new("web")).unwrap();
    refused(endpoint.join(&sandbox), Kind::NotFound, format!("sandbox {} not found", sandbox.id()));
}

#[test]
fn joining_gives_gateways_and_a_sandbox() {
    let lab = Lab::new();
    let (front, back, sandbox) = (lab.dual("front"), lab.dual("back"), lab.sandbox("web"));
    let endpoint = front.create_endpoint(EndpointSpec::new("web")).unwrap();
    let before = endpoint.info().unwrap();
    assert_eq!(before.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["172.17.0.2/16", "fd00:1::2/64"]);
    assert_eq!((before.gateway4, before.gateway6, before.sandbox), (None, None, None));
    endpoint.join(&sandbox).unwrap();
    let after = endpoint.info().unwrap();
    assert_eq!(after.gateway4, Some("172.17.0.1".parse().unwrap()));
    assert_eq!(after.gateway6, Some("fd00:1::1".parse().unwrap()));
    assert_eq!(after.sandbox, Some(sandbox.id()));
    let second = lab.joined(&back, EndpointSpec::new("web"), &sandbox).info().unwrap();
    assert_eq!(after.ifname.unwrap().as_str(), "eth0");
    assert_eq!(second.ifname.unwrap().as_str(), "eth1");
}

#[test]
fn two_sandboxes_join_one_network() {
    let lab = Lab::new();
    let (network, one, two) = (lab.dual("front"), lab.sandbox("one"), lab.sandbox("two"));
    let first = lab.joined(&network, EndpointSpec::new("one"), &one).info().unwrap();
    let second = lab.joined(&network, EndpointSpec::new("two"), &two).info().unwrap();
    assert_ne!(first.addresses, second.addresses);
    assert_ne!(first.mac, second.mac);
    assert_eq!(first.ifname, second.ifname);
}

/// Upstream `TestMACAddrOnRestart`, `TestCfgdMACAddrOnRestart`.
#[test]
fn a_mac_address_is_not_used_again_unless_it_was_asked_for() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let again = |spec: &EndpointSpec| {
        let sandbox = lab.sandbox("web");
        let info = lab.joined(&network, spec.clone(), &sandbox).info().unwrap();
        sandbox.delete().unwrap();
        (info.addresses, info.mac)
    };
    let drawn = EndpointSpec::new("web");
    let (first, second) = (again(&drawn), again(&drawn));
    assert_eq!(first.0, second.0, "the address is free again");
    assert_ne!(first.1, second.1);
    let mac = "02:00:00:00:07:07".parse().unwrap();
    let asked = drawn.mac(mac);
    assert_eq!([again(&asked).1, again(&asked).1], [mac, mac]);
}

/// Upstream `TestSetIPWithNoConfiguredSubnet`.
#[test]
fn an_address_may_be_asked_for_in_a_subnet_that_nobody_named() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let spec = EndpointSpec::new("web").address("172.17.0.99".parse().unwrap()).address("fd00:1::99".parse().unwrap());
    let info = lab.joined(&network, spec, &lab.sandbox("web")).info().unwrap();
    let addresses: Vec<String> = info.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["172.17.0.99/16", "fd00:1::99/64"]);
}

/// Upstream creates an interface with the endpoint; here there is none before the join.
#[test]
fn an_endpoint_without_a_sandbox_is_not_on_the_host() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let before = lab.host.snapshot();
    network.create_endpoint(EndpointSpec::new("web")).unwrap();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
}

/// The options of Docker's API that stand for a field: what they ask for is recorded as if the field had said it.
#[test]
fn options_name_the_interface_and_its_settings() {
    let lab = Lab::new();
    let front = lab.network(NetworkSpec::new("front"));
    let sandbox = lab.sandbox("web");
    let with = |name: &str, options: &[(&str, &str)]| EndpointSpec {
        options: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..EndpointSpec::new(name)
    };
    let (ifname, sysctls) = ("com.docker.network.endpoint.ifname", "com.docker.network.endpoint.sysctls");
    let settings = "net.ipv4.conf.IFNAME.route_localnet=1,net.ipv6.conf.ifname.disable_ipv6=1";
    let endpoint = lab.joined(&front, with("web", &[(ifname, "lan0"), (sysctls, settings)]), &sandbox);
    let record = endpoint.record().unwrap();
    assert_eq!(endpoint.info().unwrap().ifname.unwrap().as_str(), "lan0");
    assert_eq!(record.spec.sysctls, settings.split(',').collect::<Vec<_>>());
    assert_eq!(record.spec.options.len(), 2);
    let text = lab.host.snapshot().to_string();
    let link = text.lines().find(|line| line.contains("link lan0")).expect("an interface");
    assert!(link.contains("ipv4.route_localnet=1") && link.contains("ipv6.disable_ipv6=1"), "{link}");

    for (spec, expected) in [
        (with("a", &[(ifname, "a/b")]), "invalid value \"a/b\" for option com.docker.network.endpoint.ifname: "),
        (with("a", &[(sysctls, "x")]), "expected sysctl 'x' to have format name=value"),
        (
            with("a", &[("com.docker.network.endpoint.ifnam", "lan1")]),
            "unknown option com.docker.network.endpoint.ifnam for driver bridge: did you mean \
             com.docker.network.endpoint.ifname?",
        ),
        (
            EndpointSpec { ifname: Some("lan2".parse().unwrap()), ..with("a", &[(ifname, "lan1")]) },
            "interface name lan2 and option com.docker.network.endpoint.ifname=lan1 contradict each other: give one",
        ),
    ] {
        let error = front.create_endpoint(spec).map(|_| ()).unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.to_string().starts_with(expected), "{error}");
    }
}

/// The transaction is run again without what the host refused.
#[test]
fn an_interface_that_cannot_have_ipv6_goes_without() {
    let lab = Lab::new();
    let network = lab.dual("front");
    lab.host.make_read_only("net.ipv6.conf.eth0.disable_ipv6");
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").publish("8080:80".parse().unwrap())).unwrap();
    let info = lab.joined(&network, EndpointSpec::new("web"), &sandbox).info().unwrap();
    assert!(info.addresses.len() == 1 && info.addresses[0].addr().is_ipv4(), "{:?}", info.addresses);
    assert!(info.gateway6.is_none() && info.ports.iter().all(|port| port.container_ip.is_ipv4()), "{info:?}");
    assert_eq!(lab.controller.diagnose().unwrap(), []);
    // Its address is free.
    let free = network.create_endpoint(EndpointSpec::new("next")).unwrap().info().unwrap();
    assert!(free.addresses[1].to_string().contains("::2/"), "{:?}", free.addresses);
    let lab = lab.restarted();
    assert_eq!(lab.controller.diagnose().unwrap(), []);
}

/// Who insists, or would have no address at all, is told; nothing is left.
#[test]
fn an_interface_that_must_have_ipv6_is_refused_where_it_cannot() {
    let lab = Lab::new();
    let (network, only) = (lab.dual("front"), lab.network(NetworkSpec::new("only").ipv4(false).ipv6(true)));
    lab.host.make_read_only("net.ipv6.conf.eth0.disable_ipv6");
    let sandbox = lab.sandbox("web");
    let before = lab.host.snapshot();
    let insisting = EndpointSpec::new("web").sysctl("net.ipv6.conf.IFNAME.disable_ipv6=0");
    let link_local = EndpointSpec::new("web").link_local("fe80::7".parse().unwrap());
    for (network, spec) in [(&network, insisting), (&network, link_local), (&only, EndpointSpec::new("web"))] {
        let refused = sandbox.connect(network, spec).err().expect("refused");
        assert_eq!(refused.kind(), Kind::Forbidden);
        let told = pontoon::with_causes(&refused);
        assert!(told.contains("unable to switch IPv6 on for interface eth0 of sandbox"), "{told}");
        assert_eq!(before.difference(&lab.host.snapshot()), "");
        assert!(lab.controller.endpoints().is_empty());
    }
}
