//! Under which address packets leave, and who may reach containers by their own.

use expect_test::expect;

use crate::lab::{dual, lab};

const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

#[test]
fn a_sandbox_leaves_under_the_hosts_address() {
    lab(|mut lab| {
        let network = lab.network(dual(1));
        lab.sandbox("a", &network, &[]);
        lab.check(
            &[
                "a tcp 192.0.2.2:7000",
                "a udp 192.0.2.2:7000",
                "a tcp [2001:db8::2]:7000",
                "a udp [2001:db8::2]:7000",
                // To the host itself it is no other than it is.
                "a tcp 192.0.2.1:7000",
                "a tcp [2001:db8::1]:7000",
            ],
            expect![[r#"
                a tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
                a udp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
                a tcp [2001:db8::2]:7000: outside:7000 sees 2001:db8::1
                a udp [2001:db8::2]:7000: outside:7000 sees 2001:db8::1
                a tcp 192.0.2.1:7000: host:7000 sees 10.1.0.2
                a tcp [2001:db8::1]:7000: host:7000 sees fd00:1::2
            "#]],
        );
    });
}

#[test]
fn without_masquerading_it_leaves_under_its_own() {
    lab(|mut lab| {
        let network = lab.network(dual(1).option(MASQUERADE, "false"));
        lab.sandbox("a", &network, &["8080:80"]);
        lab.check(
            &[
                "a tcp 192.0.2.2:7000",
                "a udp 192.0.2.2:7000",
                "a tcp [2001:db8::2]:7000",
                "a udp [2001:db8::2]:7000",
                // Ports work as ever, also from the sandbox itself.
                "outside tcp 192.0.2.1:8080",
                "a tcp 192.0.2.1:8080",
                "host tcp 127.0.0.1:8080",
                "outside tcp 10.1.0.2:7000",
            ],
            expect![[r#"
                a tcp 192.0.2.2:7000: outside:7000 sees 10.1.0.2
                a udp 192.0.2.2:7000: outside:7000 sees 10.1.0.2
                a tcp [2001:db8::2]:7000: outside:7000 sees fd00:1::2
                a udp [2001:db8::2]:7000: outside:7000 sees fd00:1::2
                outside tcp 192.0.2.1:8080: a:80 sees 192.0.2.2
                a tcp 192.0.2.1:8080: a:80 sees 10.1.0.1
                host tcp 127.0.0.1:8080: a:80 sees 10.1.0.1
                outside tcp 10.1.0.2:7000: no answer
            "#]],
        );
    });
}

#[test]
fn it_leaves_under_the_address_that_was_asked_for() {
    lab(|mut lab| {
        let spec = dual(1).option("com.docker.network.host_ipv4", "192.0.2.11");
        let (one, two) =
            (lab.network(spec.option("com.docker.network.host_ipv6", "2001:db8::11")), lab.network(dual(2)));
        lab.sandbox("a", &one, &["8080:80"]);
        lab.sandbox("b", &two, &["9090:90"]);
        lab.check(
            &[
                "a tcp 192.0.2.2:7000",
                "a udp 192.0.2.2:7000",
                "a tcp [2001:db8::2]:7000",
                // To other networks too, and by their ports.
                "a tcp 192.0.2.1:9090",
                "a tcp [2001:db8::1]:9090",
                // Not to the host, nor to its own network.
                "a tcp 192.0.2.1:7000",
                "a tcp 10.1.0.2:7000",
                "a tcp 192.0.2.1:8080",
                "outside tcp 192.0.2.1:8080",
                "outside tcp [2001:db8::1]:8080",
                "host tcp 127.0.0.1:8080",
                "b tcp 192.0.2.2:7000",
            ],
            expect![[r#"
                a tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.11
                a udp 192.0.2.2:7000: outside:7000 sees 192.0.2.11
                a tcp [2001:db8::2]:7000: outside:7000 sees 2001:db8::11
                a tcp 192.0.2.1:9090: b:90 sees 192.0.2.11
                a tcp [2001:db8::1]:9090: b:90 sees 2001:db8::11
                a tcp 192.0.2.1:7000: host:7000 sees 10.1.0.2
                a tcp 10.1.0.2:7000: a:7000 sees 10.1.0.2
                a tcp 192.0.2.1:8080: a:80 sees 10.1.0.1
                outside tcp 192.0.2.1:8080: a:80 sees 192.0.2.2
                outside tcp [2001:db8::1]:8080: a:80 sees 2001:db8::2
                host tcp 127.0.0.1:8080: a:80 sees 10.1.0.1
                b tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
            "#]],
        );
    });
}

#[test]
fn nobody_comes_by_the_containers_own_address() {
    lab(|mut lab| {
        let (one, two) = (lab.network(dual(1)), lab.network(dual(2)));
        lab.sandbox("a", &one, &["8080:80", "8080:80/udp"]);
        lab.sandbox("b", &one, &[]);
        lab.sandbox("c", &two, &[]);
        lab.check(
            &[
                // Neither published ports nor others, neither from outside nor from another network.
                "outside tcp 10.1.0.2:80",
                "outside udp 10.1.0.2:80",
                "outside tcp [fd00:1::2]:80",
                "outside tcp 10.1.0.2:7000",
                "outside ping 10.1.0.2",
                "outside ping fd00:1::2",
                "c tcp 10.1.0.2:80",
                "c tcp [fd00:1::2]:80",
                "c tcp 10.1.0.2:7000",
                // Neighbours and the host do.
                "b tcp 10.1.0.2:80",
                "b tcp [fd00:1::2]:80",
                "host tcp 10.1.0.2:80",
                "host tcp 10.1.0.2:7000",
                "host tcp [fd00:1::2]:7000",
            ],
            expect![[r#"
                outside tcp 10.1.0.2:80: no answer
                outside udp 10.1.0.2:80: no answer
                outside tcp [fd00:1::2]:80: no answer
                outside tcp 10.1.0.2:7000: no answer
                outside ping 10.1.0.2: no answer
                outside ping fd00:1::2: no answer
                c tcp 10.1.0.2:80: no answer
                c tcp [fd00:1::2]:80: no answer
                c tcp 10.1.0.2:7000: no answer
                b tcp 10.1.0.2:80: a:80 sees 10.1.0.3
                b tcp [fd00:1::2]:80: a:80 sees fd00:1::3
                host tcp 10.1.0.2:80: a:80 sees 10.1.0.1
                host tcp 10.1.0.2:7000: a:7000 sees 10.1.0.1
                host tcp [fd00:1::2]:7000: a:7000 sees fd00:1::1
            "#]],
        );
    });
}

#[test]
fn trusted_interfaces_lead_to_published_ports_alone() {
    lab(|mut lab| {
        let spec = dual(1).option("com.docker.network.bridge.trusted_host_interfaces", "nowhere0:out0");
        let (one, two) = (lab.network(spec), lab.network(dual(2)));
        lab.sandbox("a", &one, &["8080:80", "8080:80/udp"]);
        lab.sandbox("b", &two, &["9090:90"]);
        lab.check(
            &[
                "outside tcp 10.1.0.2:80",
                "outside udp 10.1.0.2:80",
                "outside tcp [fd00:1::2]:80",
                "outside tcp 192.0.2.1:8080",
                "outside tcp 10.1.0.2:7000",
                "outside ping 10.1.0.2",
                "outside ping fd00:1::2",
                // Neither the network beside it, nor from there.
                "outside tcp 10.2.0.2:90",
                "b tcp 10.1.0.2:80",
            ],
            expect![[r#"
                outside tcp 10.1.0.2:80: a:80 sees 192.0.2.2
                outside udp 10.1.0.2:80: a:80 sees 192.0.2.2
                outside tcp [fd00:1::2]:80: a:80 sees 2001:db8::2
                outside tcp 192.0.2.1:8080: a:80 sees 192.0.2.2
                outside tcp 10.1.0.2:7000: no answer
                outside ping 10.1.0.2: no answer
                outside ping fd00:1::2: no answer
                outside tcp 10.2.0.2:90: no answer
                b tcp 10.1.0.2:80: no answer
            "#]],
        );
    });
}
