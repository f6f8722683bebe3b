//! The library on the real kernel, read back with `ip` and `nft`, in namespaces of the test's own.

use std::path::Path;

use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::time::Duration;

use pontoon::{Attach, Config, Controller, EndpointSpec, NetworkSpec, SandboxSpec};
use pontoon_netlink::netns::{Namespace, Visitor};
use pontoon_testkit::{isolated, run};

fn open(dir: &Path) -> Controller {
    Controller::open(Config::new(dir.join("state")).run_dir(dir.join("run"))).expect("the controller opens")
}

/// Everything that Pontoon could leave behind.
fn picture() -> String {
    [
        run("ip", &["-brief", "link"]),
        run("ip", &["address"]),
        run("ip", &["route"]),
        run("ip", &["-6", "route"]),
        run("nft", &["list", "ruleset"]),
        run("ss", &["-Htuln"]),
    ]
    .join("\n")
}

#[test]
fn an_attach_makes_everything_and_a_delete_leaves_nothing() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let before = picture();
        let controller = open(dir.path());
        let network = NetworkSpec::new("one").ipv6(true).subnet("fd00:1::/64".parse().unwrap());
        let network = controller.create_network(network).unwrap();
        let sandbox = SandboxSpec::new("box").publish("8080:80".parse().unwrap());
        let attach = Attach { sandbox, endpoints: vec![(network.id().into(), EndpointSpec::new("a"))] };
        let sandbox = controller.attach(attach).unwrap();
        assert_eq!(controller.diagnose().unwrap(), []);
        let key = sandbox.key().display().to_string();
        let inside = run("nsenter", &[&format!("--net={key}"), "ip", "address", "show", "eth0"]);
        assert!(inside.contains("inet 172.17.0.2/16") && inside.contains("inet6 fd00:1::2/64"), "{inside}");
        let routes = run("nsenter", &[&format!("--net={key}"), "ip", "route"]);
        assert!(routes.contains("default via 172.17.0.1 dev eth0"), "{routes}");
        println!("{}", run("nft", &["list", "ruleset"]));
        sandbox.delete().unwrap();
        network.delete().unwrap();
        controller.settle().unwrap();
        drop(controller);
        assert_eq!(picture(), before);
        assert!(std::fs::read_dir(dir.path().join("run/netns")).unwrap().next().is_none());
    });
}

/// Who is told that a sandbox is attached may send: nothing is lost to an interface that is not quite there yet.
#[test]
fn the_first_packet_arrives() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let controller = open(dir.path());
        let network = controller.create_network(NetworkSpec::new("one")).unwrap();
        let listener = UdpSocket::bind("172.17.0.1:7").unwrap();
        listener.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let visitor = Visitor::new(NonZeroUsize::MIN).unwrap();
        let rounds = 50;
        let lost = (0..rounds).filter(|round| {
            let sandbox = SandboxSpec::new(format!("box{round}"));
            let endpoints = vec![(network.id().into(), EndpointSpec::new(format!("a{round}")))];
            let sandbox = controller.attach(Attach { sandbox, endpoints }).unwrap();
            let namespace = Namespace::open(sandbox.key()).unwrap();
            let send = || UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"first", "172.17.0.1:7"));
            visitor.visit(&namespace, send).unwrap().unwrap();
            listener.recv(&mut [0; 16]).is_err()
        });
        assert_eq!(lost.count(), 0, "of {rounds} first packets");
    });
}

/// Answers to what one sandbox asked must not reach the next one that has its address.
#[test]
fn flows_end_with_the_sandbox() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let controller = open(dir.path());
        let network = controller.create_network(NetworkSpec::new("one")).unwrap();
        let visitor = Visitor::new(NonZeroUsize::MIN).unwrap();
        let flows = || run("conntrack", &["-L", "-s", "172.17.0.2"]);
        for round in 0..5 {
            let spec = SandboxSpec::new(format!("box{round}"));
            let endpoints = vec![(network.id().into(), EndpointSpec::new(format!("a{round}")))];
            let sandbox = controller.attach(Attach { sandbox: spec, endpoints }).unwrap();
            assert!(!flows().contains("172.17.0.2"), "round {round}: the flow of the one before is there");
            let namespace = Namespace::open(sandbox.key()).unwrap();
            let send = || UdpSocket::bind("0.0.0.0:5000").and_then(|socket| socket.send_to(b"for me", "172.17.0.1:9"));
            visitor.visit(&namespace, send).unwrap().unwrap();
            assert!(flows().contains("sport=5000"), "round {round}: nothing is tracked, so nothing is shown");
            sandbox.delete().unwrap();
        }
    });
}
