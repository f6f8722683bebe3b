//! Ways out that are not the gateway of a bridge: the gateway network, and static routes.

use expect_test::expect;
use pontoon::{Attach, EndpointSpec, NetworkTarget, SandboxSpec};

use crate::lab::wire::wire;
use crate::lab::{Lab, dual, lab};

/// Attaches a sandbox to a network that leads nowhere.
fn lost(lab: &mut Lab, name: &str, port: &str) {
    let quiet = NetworkTarget::create_if_missing(wire("quiet", "none"));
    let sandbox = SandboxSpec::new(name).publish(port.parse().expect("a port"));
    lab.controller.attach(Attach { sandbox, endpoints: vec![(quiet, EndpointSpec::new(name))] }).expect("attaches");
    lab.enter(name);
}

#[test]
fn the_gateway_network_leads_out_and_to_nobody_else() {
    lab(|mut lab| {
        lost(&mut lab, "a", "8080:80");
        lost(&mut lab, "b", "8081:80");
        lab.check(
            &[
                "a ping 192.0.2.2",
                "a tcp 192.0.2.2:7000",
                "outside tcp 192.0.2.1:8080",
                "outside tcp 192.0.2.1:8081",
                "a tcp 172.18.0.3:7000",
                "outside tcp 172.18.0.2:7000",
            ],
            expect![[r#"
                a ping 192.0.2.2: answered
                a tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
                outside tcp 192.0.2.1:8080: a:80 sees 192.0.2.2
                outside tcp 192.0.2.1:8081: b:80 sees 192.0.2.2
                a tcp 172.18.0.3:7000: no answer
                outside tcp 172.18.0.2:7000: no answer
            "#]],
        );
        // Another network leads out from now on, and the ports have moved there.
        let front = lab.network(dual(1));
        let sandbox = lab.controller.sandbox_of("a").expect("a sandbox");
        sandbox.connect(&front, EndpointSpec::new("a")).expect("connects");
        lab.check(
            &["a tcp 192.0.2.2:7000", "a tcp [2001:db8::2]:7000", "outside tcp 192.0.2.1:8080"],
            expect![[r#"
            a tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
            a tcp [2001:db8::2]:7000: outside:7000 sees 2001:db8::1
            outside tcp 192.0.2.1:8080: a:80 sees 192.0.2.2
        "#]],
        );
    });
}

#[test]
fn a_static_route_leads_by_its_next_hop() {
    lab(|mut lab| {
        let route = |to: &str, via: &str| (to.parse().expect("a prefix"), Some(via.parse().expect("an address")));
        let (to4, via4) = route("198.51.100.0/24", "10.1.0.9");
        let (to6, via6) = route("2001:db8:9::/64", "fd00:1::9");
        let network = lab.network(dual(1).internal(true).route(to4, via4).route(to6, via6));
        lab.sandbox("a", &network, &[]);
        let router = EndpointSpec::new("r").address("10.1.0.9".parse().expect("an address"));
        let router = router.address("fd00:1::9".parse().expect("an address"));
        let endpoints = vec![(network.id().into(), router)];
        lab.controller.attach(Attach { sandbox: SandboxSpec::new("r"), endpoints }).expect("attaches");
        lab.inside("r", &["ip", "address", "add", "198.51.100.1/32", "dev", "lo"]);
        lab.inside("r", &["ip", "address", "add", "2001:db8:9::1/128", "dev", "lo", "nodad"]);
        lab.enter("r");
        lab.check(
            &["a ping 198.51.100.1", "a tcp 198.51.100.1:7000", "a tcp [2001:db8:9::1]:7000", "a ping 203.0.113.1"],
            expect![[r#"
                a ping 198.51.100.1: answered
                a tcp 198.51.100.1:7000: r:7000 sees 10.1.0.2
                a tcp [2001:db8:9::1]:7000: r:7000 sees fd00:1::2
                a ping 203.0.113.1: no route
            "#]],
        );
    });
}
