//! Published ports: what is published where, and what it follows.

use std::net::IpAddr;

use pontoon::{EndpointSpec, Kind, NetworkSpec, PortSpec, SandboxSpec};

use crate::fixture::Lab;

fn port(text: &str) -> PortSpec {
    text.parse().expect("a port")
}

#[test]
fn there_is_one_binding_a_mapping_and_family() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let sandbox = lab.sandbox("web");
    let spec = EndpointSpec::new("web")
        .publish(port("8080:80"))
        .publish(port("5353:53/udp"))
        .publish(port("127.0.0.1:9000:90"));
    let endpoint = lab.joined(&network, spec, &sandbox);
    let ports = endpoint.info().unwrap().ports;
    let mut lines: Vec<String> = ports
        .iter()
        .map(|p| format!("{}:{}->{}:{}/{}", p.host_ip, p.host_port, p.container_ip, p.container_port, p.proto))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "0.0.0.0:5353->172.17.0.2:53/udp",
            "0.0.0.0:8080->172.17.0.2:80/tcp",
            "127.0.0.1:9000->172.17.0.2:90/tcp",
            ":::5353->fd00:1::2:53/udp",
            ":::8080->fd00:1::2:80/tcp",
        ]
    );
    endpoint.leave(&sandbox).unwrap();
    assert!(endpoint.info().unwrap().ports.is_empty());
}

#[test]
fn the_ports_of_a_sandbox_follow_its_gateway() {
    let lab = Lab::new();
    let (first, second) = (lab.network(NetworkSpec::new("a")), lab.network(NetworkSpec::new("b")));
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").publish(port("80"))).unwrap();
    let a = lab.joined(&first, EndpointSpec::new("web"), &sandbox);
    let host_port = a.info().unwrap().ports[0].host_port;
    let b = lab.joined(&second, EndpointSpec { priority: 1, ..EndpointSpec::new("web") }, &sandbox);
    assert!(a.info().unwrap().ports.is_empty());
    // The port that was chosen is kept.
    assert_eq!(b.info().unwrap().ports[0].host_port, host_port);
    b.leave(&sandbox).unwrap();
    assert_eq!(a.info().unwrap().ports[0].host_port, host_port);
}

#[test]
fn many_ports_in_a_row_of_another_program_are_avoided() {
    let lab = Lab::new();
    let any: IpAddr = "0.0.0.0".parse().unwrap();
    let network = lab.network(NetworkSpec::new("front"));
    let sandbox = |name: &str| lab.controller.create_sandbox(SandboxSpec::new(name).publish(port("80"))).unwrap();
    let joined = |name: &str, sandbox: &pontoon::Sandbox| {
        network.create_endpoint(EndpointSpec::new(name)).unwrap().join(sandbox)
    };
    let chosen = || lab.controller.endpoints().iter().flat_map(|e| e.info().unwrap().ports).map(|p| p.host_port).max();
    joined("first", &sandbox("first")).unwrap();
    let first = chosen().unwrap();
    (first + 1..=first + 12).for_each(|held| lab.host.occupy(any, held, pontoon::PortProto::Tcp));
    joined("second", &sandbox("second")).unwrap();
    assert_eq!(chosen(), Some(first + 13));

    (first + 14..=first + 300).for_each(|held| lab.host.occupy(any, held, pontoon::PortProto::Tcp));
    let third = sandbox("third");
    let before = lab.host.snapshot();
    let error = joined("third", &third).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    // From the lowest on, without the one that is the second's.
    let last = first + 1 + 256;
    let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    let expected = format!(
        ": gave up after 256 choices of host ports that other programs hold: failed to bind host port 0.0.0.0:{last}/tcp: \
         address already in use"
    );
    assert!(told.ends_with(&expected), "{told}");
    assert_eq!(before.difference(&lab.host.snapshot()), "");
}

#[test]
fn a_port_of_another_program_is_refused_or_avoided() {
    let lab = Lab::new();
    let any: IpAddr = "0.0.0.0".parse().unwrap();
    lab.host.occupy(any, 8080, pontoon::PortProto::Tcp);
    let network = lab.network(NetworkSpec::new("front"));
    let before = lab.host.snapshot();
    let sandbox =
        |name: &str, ports: &str| lab.controller.create_sandbox(SandboxSpec::new(name).publish(port(ports))).unwrap();
    let endpoint = network.create_endpoint(EndpointSpec::new("exact")).unwrap();
    let exact = sandbox("exact", "8080:80");
    assert_eq!(endpoint.join(&exact).unwrap_err().kind(), Kind::Conflict);
    exact.delete().unwrap();
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    let range = lab.joined(&network, EndpointSpec::new("range"), &sandbox("range", "8080-8082:80"));
    assert_eq!(range.info().unwrap().ports[0].host_port, 8081);
}

#[test]
fn a_routed_network_opens_ports_whoever_leads_out() {
    let lab = Lab::new();
    let routed = NetworkSpec::new("a").option("com.docker.network.bridge.gateway_mode_ipv4", "routed");
    let (routed, plain) = (lab.network(routed), lab.network(NetworkSpec::new("b")));
    let ports = ["8080:80", "127.0.0.1:8081:80", "9000-9009:90-99/udp", "[::1]:7000:70"];
    let spec = ports.into_iter().fold(SandboxSpec::new("web"), |spec, text| spec.publish(port(text)));
    let sandbox = lab.controller.create_sandbox(spec).unwrap();
    let a = lab.joined(&routed, EndpointSpec::new("web"), &sandbox);
    let opened = || -> Vec<String> {
        let opened = a.info().unwrap().opened;
        opened.iter().map(|open| format!("{}:{} {} {}", open.ip, open.port, open.proto, open.count)).collect()
    };
    let expected = ["172.17.0.2:80 tcp 1", "172.17.0.2:90 udp 10"];
    assert_eq!(opened(), expected);
    assert!(a.info().unwrap().ports.is_empty());
    let b = lab.joined(&plain, EndpointSpec { priority: 1, ..EndpointSpec::new("web") }, &sandbox);
    assert_eq!(b.info().unwrap().ports.len(), 3);
    assert_eq!(opened(), expected);
    a.leave(&sandbox).unwrap();
    assert!(opened().is_empty());
}

#[test]
fn a_routed_port_of_one_endpoint_takes_none_of_the_hosts() {
    let lab = Lab::new();
    lab.host.occupy("0.0.0.0".parse().unwrap(), 8080, pontoon::PortProto::Tcp);
    let routed = NetworkSpec::new("a").option("com.docker.network.bridge.gateway_mode_ipv4", "routed");
    let network = lab.network(routed);
    let endpoint = lab.joined(&network, EndpointSpec::new("web").publish(port("8080:80")), &lab.sandbox("web"));
    assert_eq!(endpoint.info().unwrap().opened.len(), 1);
}
