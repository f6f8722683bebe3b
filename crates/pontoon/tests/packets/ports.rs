//! Published ports: from where they are reached, and as whom.

use std::net::UdpSocket;
use std::time::Duration;

use expect_test::expect;

use crate::lab::{Lab, bridge_netfilter, dual, lab};

/// `web` and its neighbour `near` on one network, `far` on another.
fn town(lab: &mut Lab, ports: &[&str]) {
    lab.neighbours(dual(1), ports);
    let other = lab.network(dual(2));
    lab.sandbox("far", &other, &[]);
}

#[test]
fn a_port_on_any_address() {
    lab(|mut lab| {
        town(&mut lab, &["8080:80", "5353:53/udp"]);
        lab.check(
            &[
                // The client's address arrives.
                "outside tcp 192.0.2.1:8080",
                "outside tcp 192.0.2.11:8080",
                "outside tcp [2001:db8::1]:8080",
                "outside udp 192.0.2.1:5353",
                "outside udp [2001:db8::1]:5353",
                // The other protocol and other ports are not there.
                "outside udp 192.0.2.1:8080",
                "outside tcp 192.0.2.1:80",
                "host tcp 192.0.2.1:8080",
                "host tcp 127.0.0.1:8080",
                "host udp 127.0.0.1:5353",
                "host tcp [2001:db8::1]:8080",
                "host tcp [::1]:8080",
            ],
            expect![[r#"
                outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
                outside tcp 192.0.2.11:8080: web:80 sees 192.0.2.2
                outside tcp [2001:db8::1]:8080: web:80 sees 2001:db8::2
                outside udp 192.0.2.1:5353: web:53 sees 192.0.2.2
                outside udp [2001:db8::1]:5353: web:53 sees 2001:db8::2
                outside udp 192.0.2.1:8080: refused
                outside tcp 192.0.2.1:80: refused
                host tcp 192.0.2.1:8080: web:80 sees 192.0.2.1
                host tcp 127.0.0.1:8080: web:80 sees 10.1.0.1
                host udp 127.0.0.1:5353: web:53 sees 10.1.0.1
                host tcp [2001:db8::1]:8080: web:80 sees 2001:db8::1
                host tcp [::1]:8080: no answer
            "#]],
        );
        lab.check(
            &[
                "far tcp 192.0.2.1:8080",
                "far tcp 10.2.0.1:8080",
                "far tcp [2001:db8::1]:8080",
                "far tcp [fd00:2::1]:8080",
                "far udp 192.0.2.1:5353",
                "near tcp 192.0.2.1:8080",
                "near tcp 10.1.0.1:8080",
                "near tcp [2001:db8::1]:8080",
                "near tcp [fd00:1::1]:8080",
                "near udp 10.1.0.1:5353",
                "web tcp 192.0.2.1:8080",
                "web tcp 10.1.0.1:8080",
                "web tcp [2001:db8::1]:8080",
                "web tcp [fd00:1::1]:8080",
                "web udp 192.0.2.1:5353",
            ],
            expect![[r#"
                far tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
                far tcp 10.2.0.1:8080: web:80 sees 10.1.0.1
                far tcp [2001:db8::1]:8080: web:80 sees fd00:1::1
                far tcp [fd00:2::1]:8080: web:80 sees fd00:1::1
                far udp 192.0.2.1:5353: web:53 sees 10.1.0.1
                near tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
                near tcp 10.1.0.1:8080: web:80 sees 10.1.0.1
                near tcp [2001:db8::1]:8080: web:80 sees fd00:1::1
                near tcp [fd00:1::1]:8080: web:80 sees fd00:1::1
                near udp 10.1.0.1:5353: web:53 sees 10.1.0.1
                web tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
                web tcp 10.1.0.1:8080: web:80 sees 10.1.0.1
                web tcp [2001:db8::1]:8080: web:80 sees fd00:1::1
                web tcp [fd00:1::1]:8080: web:80 sees fd00:1::1
                web udp 192.0.2.1:5353: web:53 sees 10.1.0.1
            "#]],
        );
    });
}

#[test]
fn a_port_on_one_address_and_one_on_several() {
    lab(|mut lab| {
        town(&mut lab, &["192.0.2.1:8080:80", "[2001:db8::1]:8080:80", "192.0.2.1:8081:80", "192.0.2.11:8081:80"]);
        lab.check(
            &[
                "outside tcp 192.0.2.1:8080",
                "outside tcp 192.0.2.11:8080",
                "outside tcp [2001:db8::1]:8080",
                "outside tcp [2001:db8::11]:8080",
                "outside tcp 192.0.2.1:8081",
                "outside tcp 192.0.2.11:8081",
                "outside tcp 192.0.2.12:8081",
                "host tcp 192.0.2.1:8080",
                "host tcp 127.0.0.1:8080",
                "far tcp 192.0.2.1:8080",
                "far tcp 10.2.0.1:8080",
                "near tcp 192.0.2.1:8080",
                "web tcp 192.0.2.1:8080",
            ],
            expect![[r#"
                outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
                outside tcp 192.0.2.11:8080: refused
                outside tcp [2001:db8::1]:8080: web:80 sees 2001:db8::2
                outside tcp [2001:db8::11]:8080: refused
                outside tcp 192.0.2.1:8081: web:80 sees 192.0.2.2
                outside tcp 192.0.2.11:8081: web:80 sees 192.0.2.2
                outside tcp 192.0.2.12:8081: refused
                host tcp 192.0.2.1:8080: web:80 sees 192.0.2.1
                host tcp 127.0.0.1:8080: refused
                far tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
                far tcp 10.2.0.1:8080: refused
                near tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
                web tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
            "#]],
        );
    });
}

#[test]
fn a_port_on_the_hosts_loopback_is_for_the_host_alone() {
    lab(|mut lab| {
        town(&mut lab, &["127.0.0.1:8080:80", "127.0.0.1:5353:53/udp"]);
        // Everybody sends what is for 127.0.0.0/8 to the host.
        lab.lead_loopback_to_the_host("near", "10.1.0.1");
        lab.lead_loopback_to_the_host("far", "10.2.0.1");
        lab.lead_loopback_to_the_host("outside", "192.0.2.1");
        lab.check(
            &[
                "host tcp 127.0.0.1:8080",
                "host udp 127.0.0.1:5353",
                "host tcp 127.0.0.2:8080",
                "host tcp 192.0.2.1:8080",
                "outside tcp 192.0.2.1:8080",
                "outside tcp 127.0.0.1:8080",
                "outside udp 127.0.0.1:5353",
                "near tcp 10.1.0.1:8080",
                "near tcp 127.0.0.1:8080",
                "near udp 127.0.0.1:5353",
                "far tcp 127.0.0.1:8080",
            ],
            expect![[r#"
                host tcp 127.0.0.1:8080: web:80 sees 10.1.0.1
                host udp 127.0.0.1:5353: web:53 sees 10.1.0.1
                host tcp 127.0.0.2:8080: refused
                host tcp 192.0.2.1:8080: refused
                outside tcp 192.0.2.1:8080: refused
                outside tcp 127.0.0.1:8080: no answer
                outside udp 127.0.0.1:5353: no answer
                near tcp 10.1.0.1:8080: refused
                near tcp 127.0.0.1:8080: no answer
                near udp 127.0.0.1:5353: no answer
                far tcp 127.0.0.1:8080: no answer
            "#]],
        );
    });
}

#[test]
fn ranges_kept_and_shifted_and_chosen() {
    lab(|mut lab| {
        town(&mut lab, &["9000-9009:9000-9009", "9100-9102:80-82", "9200-9209:9200-9209/udp", "90"]);
        lab.check(
            &[
                "outside tcp 192.0.2.1:9000",
                "outside tcp 192.0.2.1:9004",
                "outside tcp 192.0.2.1:9009",
                "outside tcp [2001:db8::1]:9004",
                "outside tcp 192.0.2.1:8999",
                "outside tcp 192.0.2.1:9010",
                "outside tcp 192.0.2.1:9100",
                "outside tcp 192.0.2.1:9101",
                "outside tcp 192.0.2.1:9102",
                "outside tcp [2001:db8::1]:9101",
                "outside tcp 192.0.2.1:9103",
                "outside udp 192.0.2.1:9205",
                "outside udp [2001:db8::1]:9205",
                "near tcp 192.0.2.1:9004",
                "web tcp 192.0.2.1:9004",
                "far tcp 192.0.2.1:9101",
                "host tcp 127.0.0.1:9004",
            ],
            expect![[r#"
                outside tcp 192.0.2.1:9000: web:9000 sees 192.0.2.2
                outside tcp 192.0.2.1:9004: web:9004 sees 192.0.2.2
                outside tcp 192.0.2.1:9009: web:9009 sees 192.0.2.2
                outside tcp [2001:db8::1]:9004: web:9004 sees 2001:db8::2
                outside tcp 192.0.2.1:8999: refused
                outside tcp 192.0.2.1:9010: refused
                outside tcp 192.0.2.1:9100: web:80 sees 192.0.2.2
                outside tcp 192.0.2.1:9101: web:81 sees 192.0.2.2
                outside tcp 192.0.2.1:9102: web:82 sees 192.0.2.2
                outside tcp [2001:db8::1]:9101: web:81 sees 2001:db8::2
                outside tcp 192.0.2.1:9103: refused
                outside udp 192.0.2.1:9205: web:9205 sees 192.0.2.2
                outside udp [2001:db8::1]:9205: web:9205 sees 2001:db8::2
                near tcp 192.0.2.1:9004: web:9004 sees 10.1.0.1
                web tcp 192.0.2.1:9004: web:9004 sees 10.1.0.1
                far tcp 192.0.2.1:9101: web:81 sees 10.1.0.1
                host tcp 127.0.0.1:9004: web:9004 sees 10.1.0.1
            "#]],
        );
        let endpoint = lab.controller.sandbox_of("web").unwrap().endpoints()[0].info().unwrap();
        let chosen = endpoint.ports.iter().find(|port| port.container_port == 90).expect("port 90 is published");
        let answers = lab.answers(&[
            &format!("outside tcp 192.0.2.1:{}", chosen.host_port),
            &format!("outside tcp [2001:db8::1]:{}", chosen.host_port),
        ]);
        assert_eq!(answers.matches("web:90 sees").count(), 2, "{answers}");
    });
}

/// Without ICC a neighbour's port is reached by the host's address as by everybody else, and nothing of it otherwise.
///
/// Not where bridged packets pass the IP hooks: there the kernel translates the destination before the packet is routed, and
/// hands it to the neighbour's bridge port itself, which is isolated from this one.
#[test]
fn a_port_is_public_also_to_neighbours_without_icc() {
    lab(|mut lab| {
        lab.neighbours(dual(4).option("com.docker.network.bridge.enable_icc", "false"), &["8080:80"]);
        let questions = [
            "near tcp 10.4.0.2:80",
            "near tcp 10.4.0.2:7000",
            "near tcp 192.0.2.1:8080",
            "near tcp [2001:db8::1]:8080",
            "web tcp 192.0.2.1:8080",
            "outside tcp 192.0.2.1:8080",
        ];
        bridge_netfilter(false);
        lab.check(
            &questions,
            expect![[r#"
            near tcp 10.4.0.2:80: no answer
            near tcp 10.4.0.2:7000: no answer
            near tcp 192.0.2.1:8080: web:80 sees 10.4.0.1
            near tcp [2001:db8::1]:8080: web:80 sees fd00:4::1
            web tcp 192.0.2.1:8080: web:80 sees 10.4.0.1
            outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
        "#]],
        );
        bridge_netfilter(true);
        lab.check(
            &questions,
            expect![[r#"
            near tcp 10.4.0.2:80: no answer
            near tcp 10.4.0.2:7000: no answer
            near tcp 192.0.2.1:8080: no answer
            near tcp [2001:db8::1]:8080: no answer
            web tcp 192.0.2.1:8080: no answer
            outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
        "#]],
        );
    });
}

/// Whether bridged packets pass the IP hooks makes no difference.
#[test]
fn ports_work_with_bridge_netfilter_on_and_off() {
    lab(|mut lab| {
        town(&mut lab, &["8080:80", "9000-9009:9000-9009"]);
        let questions = [
            "outside tcp 192.0.2.1:8080",
            "host tcp 127.0.0.1:8080",
            "far tcp 192.0.2.1:8080",
            "near tcp 192.0.2.1:8080",
            "near tcp 10.1.0.1:9004",
            "near tcp [2001:db8::1]:8080",
            "near tcp 10.1.0.2:80",
            "web tcp 192.0.2.1:8080",
            "web tcp 10.1.0.1:9004",
            "web tcp [fd00:1::1]:8080",
        ];
        bridge_netfilter(false);
        let without = lab.answers(&questions);
        bridge_netfilter(true);
        assert_eq!(lab.answers(&questions), without);
        assert_eq!(without.matches(" sees ").count(), questions.len(), "{without}");
    });
}

/// A port goes with its sandbox.
#[test]
fn a_port_that_is_taken_back_is_closed() {
    lab(|mut lab| {
        town(&mut lab, &["8080:80", "5353:53/udp"]);
        let questions = ["outside tcp 192.0.2.1:8080", "outside udp 192.0.2.1:5353", "host tcp 127.0.0.1:8080"];
        assert_eq!(lab.answers(&questions).matches("web:").count(), 3);
        lab.controller.destroy_sandbox("web").unwrap();
        lab.check(
            &questions,
            expect![[r#"
            outside tcp 192.0.2.1:8080: refused
            outside udp 192.0.2.1:5353: refused
            host tcp 127.0.0.1:8080: refused
        "#]],
        );
    });
}

/// What is published on a live sandbox is open at once; taken back it is closed, for flows that go on too.
#[test]
fn a_port_is_published_and_taken_back_on_a_live_sandbox() {
    lab(|mut lab| {
        town(&mut lab, &["9000:80", "5454:53/udp"]);
        let web = lab.controller.sandbox_of("web").unwrap();
        let questions = [
            "outside tcp 192.0.2.1:8080",
            "outside tcp [2001:db8::1]:8080",
            "outside udp 192.0.2.1:5353",
            "far tcp 192.0.2.1:8080",
            "near tcp 10.1.0.1:8080",
            "host tcp 127.0.0.1:8080",
        ];
        let closed = lab.answers(&questions);
        assert_eq!(closed.matches(": refused\n").count(), questions.len(), "{closed}");
        let ports = ["8080:80", "5353:53/udp"].map(|port| port.parse().unwrap());
        web.publish(&ports).unwrap();
        lab.check(
            &questions,
            expect![[r#"
            outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
            outside tcp [2001:db8::1]:8080: web:80 sees 2001:db8::2
            outside udp 192.0.2.1:5353: web:53 sees 192.0.2.2
            far tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
            near tcp 10.1.0.1:8080: web:80 sees 10.1.0.1
            host tcp 127.0.0.1:8080: web:80 sees 10.1.0.1
        "#]],
        );
        assert!(UdpSocket::bind("0.0.0.0:5353").is_err(), "nobody holds the port");
        let flow = lab.flow("outside", "192.0.2.1:5353".parse().unwrap());
        flow.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let ask = || flow.send(b"?").and_then(|_| flow.recv(&mut [0; 64]));
        ask().expect("an answer");

        web.unpublish(&ports).unwrap();
        lab.controller.settle().unwrap();
        assert_eq!(ask().map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(lab.answers(&questions), closed);
        drop(UdpSocket::bind("0.0.0.0:5353").expect("the port is free again"));
        // What it published before is as it was.
        assert_eq!(
            lab.answers(&["outside tcp 192.0.2.1:9000", "outside udp 192.0.2.1:5454"]).matches(" sees ").count(),
            2
        );
    });
}
