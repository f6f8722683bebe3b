//! Pools and addresses, as networks and endpoints get them.

use pontoon::{EndpointSpec, Kind, NetworkSpec, PoolSpec};

use crate::fixture::{Lab, refused};

fn address(lab: &Lab, network: &str) -> String {
    let network = lab.controller.network_by_name(network).unwrap();
    let count = network.endpoints().len();
    let endpoint = network.create_endpoint(EndpointSpec::new(format!("e{count}"))).unwrap();
    endpoint.info().unwrap().addresses[0].to_string()
}

#[test]
fn auxiliary_addresses_are_kept_free() {
    let lab = Lab::new();
    let pool = |aux: &str| PoolSpec {
        subnet: Some("10.1.0.0/16".parse().unwrap()),
        range: Some("10.1.1.0/24".parse().unwrap()),
        aux: [("router".to_owned(), aux.parse().unwrap())].into(),
        ..PoolSpec::default()
    };
    let mut outside = NetworkSpec::new("front");
    outside.ipam.v4.push(pool("10.2.0.1"));
    refused(
        lab.controller.create_network(outside),
        Kind::Forbidden,
        "auxiliary address: (router:10.2.0.1) must belong to the master pool: 10.1.0.0/16",
    );
    // Inside the subnet it may be outside the range.
    let mut spec = NetworkSpec::new("front");
    spec.ipam.v4.push(pool("10.1.7.7"));
    let network = lab.network(spec);
    let taken = network.create_endpoint(EndpointSpec::new("x").address("10.1.7.7".parse().unwrap()));
    refused(taken.map(|_| ()), Kind::Forbidden, "Address already in use: 10.1.7.7");
    assert_eq!(address(&lab, "front"), "10.1.1.1/16");
}

#[test]
fn failures_give_everything_back() {
    let lab = Lab::new();
    for step in 0..3 {
        lab.host.fail_step(step);
        lab.controller.create_network(NetworkSpec::new("front")).err().expect("the host refused");
    }
    let network = lab.network(NetworkSpec::new("front"));
    assert_eq!(network.info().unwrap().pools[0].prefix.to_string(), "172.17.0.0/16");
    let attach = || pontoon::Attach {
        sandbox: pontoon::SandboxSpec::new("web"),
        endpoints: vec![(network.id().into(), EndpointSpec::new("web"))],
    };
    for step in 0..3 {
        lab.host.fail_step(step);
        lab.controller.attach(attach()).err().expect("the host refused");
    }
    let sandbox = lab.controller.attach(attach()).unwrap();
    assert_eq!(sandbox.endpoints()[0].info().unwrap().addresses[0].to_string(), "172.17.0.2/16");
}

#[test]
fn null_address_management_takes_no_wishes_and_suits_no_bridge() {
    let lab = Lab::new();
    let null = |name: &str| {
        let mut spec = NetworkSpec::new(name);
        spec.ipam.driver = "null".to_owned();
        spec
    };
    refused(lab.controller.create_network(null("v4")), Kind::Invalid, "ipv4 pool is empty");
    let v6 = null("v6").ipv4(false).ipv6(true);
    refused(lab.controller.create_network(v6), Kind::Invalid, "ipv6 pool is empty");
    let wish = null("wish").subnet("10.1.0.0/24".parse().unwrap());
    let error = lab.controller.create_network(wish).err().expect("refused");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("null ipam driver does not handle specific address pool requests"), "{error}");
    let mut unknown = NetworkSpec::new("unknown");
    unknown.ipam.driver = "dhcp".to_owned();
    refused(lab.controller.create_network(unknown), Kind::Invalid, "invalid ipam driver: \"dhcp\"");
}

#[test]
fn subnets_do_not_overlap_and_come_back() {
    let lab = Lab::new();
    let first = lab.network(NetworkSpec::new("first").subnet("10.1.0.0/24".parse().unwrap()));
    for subnet in ["10.1.0.0/24", "10.1.0.128/25", "10.0.0.0/8"] {
        let error = lab.controller.create_network(NetworkSpec::new("second").subnet(subnet.parse().unwrap()));
        assert_eq!(error.err().expect("overlaps").kind(), Kind::Forbidden, "{subnet}");
    }
    first.delete().unwrap();
    lab.network(NetworkSpec::new("second").subnet("10.0.0.0/8".parse().unwrap()));
}

#[test]
fn a_released_address_is_the_next_one_given() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("front"));
    let endpoints: Vec<_> =
        (0..3).map(|i| network.create_endpoint(EndpointSpec::new(format!("x{i}"))).unwrap()).collect();
    endpoints[1].delete(false).unwrap();
    let again = network.create_endpoint(EndpointSpec::new("again")).unwrap();
    assert_eq!(again.info().unwrap().addresses[0].to_string(), "172.17.0.3/16");
    let status = &network.pool_status().unwrap()[0].1;
    // Three endpoints, the gateway, and the network's and the broadcast address.
    assert_eq!(status.in_use, 6);
}

#[test]
fn a_full_pool_says_so() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("front").subnet("10.1.0.0/30".parse().unwrap()));
    network.create_endpoint(EndpointSpec::new("only")).unwrap();
    let second = network.create_endpoint(EndpointSpec::new("second"));
    assert_eq!(second.err().expect("full").kind(), Kind::Exhausted);
}

#[test]
fn a_gateway_is_taken_only_where_somebody_has_it() {
    let lab = Lab::new();
    let option =
        |spec: NetworkSpec, name: &str, value: &str| spec.option(format!("com.docker.network.bridge.{name}"), value);
    let gateways = |spec: NetworkSpec| -> Vec<Option<String>> {
        let pools = lab.network(spec).info().unwrap().pools.clone();
        pools.iter().map(|pool| pool.gateway.map(|gateway| gateway.to_string())).collect()
    };
    let spec = |name: &str, number: u8| {
        NetworkSpec::new(name)
            .ipv6(true)
            .subnet(format!("10.{number}.0.0/24").parse().unwrap())
            .subnet(format!("fd00:{number}::/64").parse().unwrap())
    };
    let first = |number: u8| [Some(format!("10.{number}.0.1")), Some(format!("fd00:{number}::1"))];
    assert_eq!(gateways(spec("plain", 1).internal(true)), first(1));
    assert_eq!(gateways(option(spec("inhibited", 2), "inhibit_ipv4", "true")), first(2));
    let inside = option(spec("inhibited-inside", 3).internal(true), "inhibit_ipv4", "true");
    assert_eq!(gateways(inside), [None, first(3)[1].clone()]);
    let isolated = |name, number| option(spec(name, number).internal(true), "gateway_mode_ipv6", "isolated");
    assert_eq!(gateways(isolated("isolated", 4)), [first(4)[0].clone(), None]);
    // One that is asked for is kept from endpoints.
    let mut asked = isolated("asked", 5);
    asked.ipam.v6[0].gateway = "fd00:5::1".parse().ok();
    assert_eq!(gateways(asked), first(5));
}
