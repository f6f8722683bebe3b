//! Published ports: what is published where, and what it follows.

use std::net::IpAddr;

use pontoon::{EndpointSpec, Kind, NamespaceSource, NetworkSpec, PortBinding, PortSpec, SandboxSpec};
use pontoon_core::engine::Store;

use crate::fixture::{Lab, refused};

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

/// Returns the bindings, one text each, in order.
fn lines(bindings: &[PortBinding]) -> Vec<String> {
    let line =
        |p: &PortBinding| format!("{}:{}->{}:{}/{}", p.host_ip, p.host_port, p.container_ip, p.container_port, p.proto);
    let mut lines: Vec<String> = bindings.iter().map(line).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn ports_are_published_and_taken_back_on_a_live_sandbox() {
    let lab = Lab::new();
    let network = lab.dual("front");
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").publish(port("9000:90"))).unwrap();
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    let all = || lines(&endpoint.info().unwrap().ports);
    let first = all();
    let before = lab.host.snapshot();

    let published = sandbox.publish(&[port("8080:80"), port("53/udp")]).unwrap();
    let expected = [
        "0.0.0.0:32768->172.17.0.2:53/udp",
        "0.0.0.0:8080->172.17.0.2:80/tcp",
        ":::32768->fd00:1::2:53/udp",
        ":::8080->fd00:1::2:80/tcp",
    ];
    assert_eq!(lines(&published), expected);
    assert_eq!(sandbox.info().unwrap().spec.ports.len(), 3);
    // Those that were there keep theirs.
    assert_eq!(all().iter().filter(|line| first.contains(line)).count(), 2);

    // Another process finds them as they were.
    let with_all = (all(), lab.host.snapshot());
    let id = sandbox.id().to_string();
    let lab = lab.restarted();
    let sandbox = lab.controller.sandbox_by_id(&id).unwrap();
    let endpoint = sandbox.endpoints().remove(0);
    let all = || lines(&endpoint.info().unwrap().ports);
    assert_eq!(all(), with_all.0);
    assert_eq!(with_all.1.difference(&lab.host.snapshot()), "");
    assert!(lab.controller.diagnose().unwrap().is_empty());

    let gone = sandbox.unpublish(&[port("53/udp"), port("8080:80")]).unwrap();
    assert_eq!(lines(&gone), expected);
    assert_eq!(all(), first);
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    let lab = lab.restarted();
    assert_eq!(lab.controller.sandbox_by_id(&id).unwrap().info().unwrap().spec.ports, [port("9000:90")]);
}

#[test]
fn ports_of_a_live_sandbox_wait_for_a_way_out() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("front"));
    let sandbox = lab.sandbox("web");
    assert_eq!(sandbox.publish(&[port("8080:80")]).unwrap(), []);
    let endpoint = lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    assert_eq!(lines(&endpoint.info().unwrap().ports), ["0.0.0.0:8080->172.17.0.2:80/tcp"]);
}

#[test]
fn what_cannot_be_published_or_taken_back_changes_nothing() {
    let lab = Lab::new();
    let any: IpAddr = "0.0.0.0".parse().unwrap();
    lab.host.occupy(any, 7070, pontoon::PortProto::Tcp);
    let network = lab.network(NetworkSpec::new("front"));
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").publish(port("8080:80"))).unwrap();
    lab.joined(&network, EndpointSpec::new("web").publish(port("53/udp")), &sandbox);
    let (waits, host) = (NamespaceSource::Later, NamespaceSource::Host);
    let waiting = lab.controller.create_sandbox(SandboxSpec::new("later").namespace(waits)).unwrap();
    let host = lab.controller.create_sandbox(SandboxSpec::new("host").namespace(host)).unwrap();
    let (before, records) = (lab.host.snapshot(), lab.store.scan("").unwrap());
    let publish = |ports: &[&str]| sandbox.publish(&ports.iter().map(|text| port(text)).collect::<Vec<_>>());
    refused(publish(&["81", "82", "81"]), Kind::Invalid, "port 81/tcp is asked for twice");
    refused(publish(&["81", "8080:80/tcp"]), Kind::Conflict, "sandbox web publishes 8080:80/tcp already");
    refused(publish(&["81", "53/udp"]), Kind::Conflict, "sandbox web publishes 53/udp already");
    refused(publish(&["81", "8080:81"]), Kind::Conflict, "Bind for 0.0.0.0:8080 failed: port is already allocated");
    let taken = "failed to bind host port 0.0.0.0:7070/tcp: address already in use";
    refused(publish(&["81", "7070:70"]), Kind::Conflict, taken);
    refused(publish(&["81", "7070-7070:70"]), Kind::Conflict, taken);
    let sctp = "published port 81/sctp: SCTP cannot be served by the bridge driver yet; leave it out";
    refused(publish(&["81/sctp"]), Kind::Unsupported, sctp);
    let own =
        "port 80/tcp cannot be published: sandbox host is in the host's namespace, and its ports are the host's own";
    refused(host.publish(&[port("80")]), Kind::Forbidden, own);
    let waits = "port 80/tcp cannot be published: sandbox later waits for its namespace";
    refused(waiting.publish(&[port("80")]), Kind::Forbidden, waits);

    let unpublish = |ports: &[&str]| sandbox.unpublish(&ports.iter().map(|text| port(text)).collect::<Vec<_>>());
    let none = "sandbox web does not publish 80/tcp: it publishes 8080:80/tcp";
    refused(unpublish(&["8080:80", "80"]), Kind::NotFound, none);
    refused(unpublish(&["80", "8080:80"]), Kind::NotFound, none);
    let of_endpoint = "sandbox web does not publish 53/udp: it publishes 8080:80/tcp";
    refused(unpublish(&["53/udp"]), Kind::NotFound, of_endpoint);
    let empty = "sandbox later does not publish 80/tcp: it publishes nothing";
    refused(waiting.unpublish(&[port("80")]), Kind::NotFound, empty);
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert_eq!(lab.store.scan("").unwrap(), records);
    sandbox.delete().unwrap();
    refused(sandbox.publish(&[port("80")]), Kind::NotFound, format!("sandbox {} not found", sandbox.id()));
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
