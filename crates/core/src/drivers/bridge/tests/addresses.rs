//! Which addresses the host has on a network, and under which the network leaves it.

use expect_test::expect;

use super::{check_difference, render, with_mode};
use crate::drivers::bridge::BridgeConfig;
use crate::model::NetworkSpec;

const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
const TRUSTED: &str = "com.docker.network.bridge.trusted_host_interfaces";
const HOST_IPV4: &str = "com.docker.network.host_ipv4";
const HOST_IPV6: &str = "com.docker.network.host_ipv6";

fn with_sources(spec: NetworkSpec) -> NetworkSpec {
    spec.option(HOST_IPV4, "192.0.2.7").option(HOST_IPV6, "2001:db8::7")
}

#[test]
fn a_source_address() {
    check_difference(
        with_sources(NetworkSpec::new("n")),
        expect![[r#"
            - element masquerade4 172.18.0.0/16
            + element snat4 172.18.0.0/16 : 192.0.2.7
        "#]],
    );
    check_difference(
        NetworkSpec::new("n").ipv6(true).ipv4(false).option(HOST_IPV6, "2001:db8::7"),
        expect![[r#"
        - sysctl net.ipv4.ip_forward = 1 in host
        - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        - element subnets4 172.18.0.0/16
        - element on_link4 172.18.0.0/16 . pn-abababababab
        - element masquerade4 172.18.0.0/16
        - element open4 172.18.0.2 . tcp . 80
        - element publish_any4 tcp . 8080 : 172.18.0.2 . 80
        - address 172.18.0.1/16 on pn-abababababab in host
        - address 172.18.0.2/16 on eth0 in sandbox efefefefefef
        - hold 0.0.0.0:8080/tcp
        + sysctl net.ipv6.conf.all.forwarding = 1 in host
        + sysctl net.ipv6.conf.default.forwarding = 1 in host
        + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 ipv6
        + element subnets6 fd00::/64
        + element on_link6 fd00::/64 . pn-abababababab
        + element snat6 fd00::/64 : 2001:db8::7
        + element open6 fd00::2 . tcp . 80
        + element publish_any6 tcp . 8080 : fd00::2 . 80
        + address fd00::1/64 on pn-abababababab in host
        + address fd00::2/64 on eth0 in sandbox efefefefefef
        + hold [::]:8080/tcp
    "#]],
    );
}

#[test]
fn a_source_address_does_not_matter_where_nothing_is_translated() {
    for (option, value) in [(MASQUERADE, "false"), (MASQUERADE, "true")] {
        for mode in ["nat", "nat-unprotected", "routed"] {
            for internal in [false, true] {
                let plain = with_mode(mode, mode).ipv6(true).internal(internal).option(option, value);
                let same = render(with_sources(plain.clone())) == render(plain);
                assert_eq!(same, value == "false" || mode == "routed" || internal, "{value} {mode} {internal}");
            }
        }
    }
}

#[test]
fn no_ipv4_address_for_the_host() {
    let spec = || NetworkSpec::new("n").option(INHIBIT_IPV4, "true");
    check_difference(
        spec(),
        expect![[r#"
            - address 172.18.0.1/16 on pn-abababababab in host
        "#]],
    );
    // The other family has nothing to do with it.
    let dual = NetworkSpec::new("n").ipv6(true);
    let gone = |with: &str, without: &str| with.lines().filter(|line| !without.contains(line)).count();
    assert_eq!(gone(&render(dual.clone()), &render(dual.option(INHIBIT_IPV4, "1"))), 1);
    assert_eq!(render(spec().ipv4(false).ipv6(true)), render(NetworkSpec::new("n").ipv4(false).ipv6(true)));
}

#[test]
fn trusted_interfaces() {
    let spec = || NetworkSpec::new("n").option(TRUSTED, ":eth1:eth0::eth1");
    check_difference(
        spec(),
        expect![[r#"
            + element trusted4 172.18.0.0/16 . eth0
            + element trusted4 172.18.0.0/16 . eth1
        "#]],
    );
    for nobody in ["", ":", "::"] {
        check_difference(NetworkSpec::new("n").option(TRUSTED, nobody), expect![[""]]);
    }
    assert_eq!(render(spec().internal(true)), render(NetworkSpec::new("n").internal(true)));
    for bad in ["eth0:a name", "eth0,eth1/2", "eth0:an-interface-of-20b"] {
        let error = BridgeConfig::parse(&NetworkSpec::new("n").option(TRUSTED, bad).options).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Invalid);
        assert!(error.to_string().contains(TRUSTED), "{error}");
    }
}

#[test]
fn bad_source_addresses() {
    let cases = [
        (HOST_IPV4, "2001:db8::7"),
        (HOST_IPV6, "192.0.2.7"),
        (HOST_IPV4, "0.0.0.0"),
        (HOST_IPV4, "127.0.0.1"),
        (HOST_IPV6, "ff02::1"),
        (HOST_IPV6, "eth0"),
    ];
    let text = cases.map(|(option, value)| {
        let error = BridgeConfig::parse(&NetworkSpec::new("n").option(option, value).options).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Invalid);
        format!("{error}\n")
    });
    expect![[r#"
        invalid value "2001:db8::7" for option com.docker.network.host_ipv4: invalid IPv4 address syntax
        invalid value "192.0.2.7" for option com.docker.network.host_ipv6: invalid IPv6 address syntax
        invalid value "0.0.0.0" for option com.docker.network.host_ipv4: it must be an address of the host that others can answer to
        invalid value "127.0.0.1" for option com.docker.network.host_ipv4: it must be an address of the host that others can answer to
        invalid value "ff02::1" for option com.docker.network.host_ipv6: it must be an address of the host that others can answer to
        invalid value "eth0" for option com.docker.network.host_ipv6: invalid IPv6 address syntax
    "#]].assert_eq(&text.concat());
    assert_eq!(BridgeConfig::parse(&NetworkSpec::new("n").option(HOST_IPV4, "").options).unwrap().host_ipv4, None);
}
