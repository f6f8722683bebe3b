//! The option matrix as golden text: what each combination asks of a host.

mod addresses;

use expect_test::{Expect, expect};

use super::*;
use crate::firewall::lower;
use crate::model::{
    Attachment, Endpoint, EndpointId, EndpointSpec, MacAddr, NetworkId, NetworkPool, NetworkSpec, OpenPort, Phase,
    PortBinding, SandboxId,
};
use crate::ports::PortProto;

fn network(spec: NetworkSpec) -> Network {
    let pools = [(spec.ipv4, "172.18.0.0/16", "172.18.0.1"), (spec.ipv6, "fd00::/64", "fd00::1")];
    let pools = pools.into_iter().filter(|(on, ..)| *on).map(|(_, prefix, gateway)| NetworkPool {
        prefix: prefix.parse().unwrap(),
        range: None,
        gateway: gateway.parse().ok(),
        aux: Default::default(),
    });
    Network {
        id: NetworkId::draw(|bytes| bytes.fill(0xab)),
        pools: pools.collect(),
        config: serde_json::Value::Null,
        created: 0,
        phase: Phase::Ready,
        spec,
    }
}

/// Renders a network, and an endpoint on it that publishes one port, and lowers both.
fn render(spec: NetworkSpec) -> String {
    let driver = Bridge::default();
    let network = network(spec);
    let config = BridgeConfig::parse(&network.spec.options).unwrap();
    let view = NetworkView { network: &network, config: &config };
    let mut objects = Driver::network(&driver, &view);
    let endpoint = endpoint(&view);
    let view = EndpointView { endpoint: &endpoint, network: view, sandbox: None, gateway4: true, gateway6: true };
    Driver::endpoint(&driver, &view).into_iter().for_each(|object| objects.set(object));
    lower(objects).unwrap().to_string()
}

fn endpoint(view: &NetworkView<'_, BridgeConfig>) -> Endpoint {
    let network = view.network;
    let addresses = network.pools.iter().map(|pool| {
        let text = if pool.prefix.addr().is_ipv6() { "fd00::2/64" } else { "172.18.0.2/16" };
        text.parse().unwrap()
    });
    let addresses: Vec<ipnet::IpNet> = addresses.collect();
    let publishes = |address: &&ipnet::IpNet, how| {
        let v6 = address.addr().is_ipv6();
        !network.spec.internal && Driver::publishing(&Bridge::default(), view.config, v6) == how
    };
    let opened = addresses.iter().filter(|address| publishes(address, Publishing::Open));
    let opened = opened.map(|address| OpenPort { proto: PortProto::Tcp, ip: address.addr(), port: 80, count: 1 });
    let bindings =
        addresses.iter().filter(|address| publishes(address, Publishing::OnHost)).map(|address| PortBinding {
            proto: PortProto::Tcp,
            host_ip: if address.addr().is_ipv6() { "::".parse().unwrap() } else { "0.0.0.0".parse().unwrap() },
            host_port: 8080,
            container_ip: address.addr(),
            container_port: 80,
            count: 1,
            request: "8080:80".parse().unwrap(),
        });
    Endpoint {
        id: EndpointId::draw(|bytes| bytes.fill(0xcd)),
        network: network.id,
        spec: EndpointSpec::new("e"),
        bindings: bindings.collect(),
        opened: opened.collect(),
        addresses,
        mac: MacAddr::new([2, 0, 0, 0, 0, 1]).unwrap(),
        attached: Some(Attachment {
            sandbox: SandboxId::draw(|bytes| bytes.fill(0xef)),
            ifname: IfName::new("eth0").unwrap(),
            routing: crate::model::Routing::default(),
        }),
        automatic: false,
        phase: Phase::Ready,
    }
}

/// Shows what an option changes, relative to a network without options.
fn check_difference(spec: NetworkSpec, expected: Expect) {
    let plain = render(NetworkSpec::new("n"));
    let changed = render(spec);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (plain, changed) = (lines(&plain), lines(&changed));
    let gone = plain.iter().filter(|line| !changed.contains(line)).map(|line| format!("- {line}\n"));
    let new = changed.iter().filter(|line| !plain.contains(line)).map(|line| format!("+ {line}\n"));
    expected.assert_eq(&gone.chain(new).collect::<String>());
}

#[test]
fn a_network_without_options() {
    expect![[r#"
        sysctl net.ipv4.ip_forward = 1 in host
        ruleset inet pontoon 459a38bb7cb2b656
        bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 hairpin unannounced
        element bridges pn-abababababab
        element same_bridge pn-abababababab
        element to pn-abababababab : jump to_nat
        element subnets4 172.18.0.0/16
        element on_link4 172.18.0.0/16 . pn-abababababab
        element masquerade4 172.18.0.0/16
        element open4 172.18.0.2 . tcp . 80
        element publish_any4 tcp . 8080 : 172.18.0.2 . 80
        address 172.18.0.1/16 on pn-abababababab in host
        address 172.18.0.2/16 on eth0 in sandbox efefefefefef
        hold 0.0.0.0:8080/tcp
    "#]]
    .assert_eq(&render(NetworkSpec::new("n")));
}

#[test]
fn internal() {
    check_difference(
        NetworkSpec::new("n").internal(true),
        expect![[r#"
            - sysctl net.ipv4.ip_forward = 1 in host
            - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
            - veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 hairpin unannounced
            - element to pn-abababababab : jump to_nat
            - element masquerade4 172.18.0.0/16
            - element open4 172.18.0.2 . tcp . 80
            - element publish_any4 tcp . 8080 : 172.18.0.2 . 80
            - hold 0.0.0.0:8080/tcp
            + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500
            + veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 unannounced
            + element from pn-abababababab : jump from_internal
            + element to pn-abababababab : jump to_internal
        "#]],
    );
}

#[test]
fn without_inter_container_communication() {
    let spec = NetworkSpec::new("n").option("com.docker.network.bridge.enable_icc", "false");
    check_difference(
        spec,
        expect![[r#"
            - veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 hairpin unannounced
            - element same_bridge pn-abababababab
            + veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 isolated hairpin unannounced
        "#]],
    );
}

#[test]
fn without_masquerading() {
    let spec = NetworkSpec::new("n").option("com.docker.network.bridge.enable_ip_masquerade", "0");
    check_difference(
        spec,
        expect![[r#"
        - element masquerade4 172.18.0.0/16
    "#]],
    );
}

#[test]
fn dual_stack() {
    check_difference(
        NetworkSpec::new("n").ipv6(true),
        expect![[r#"
        - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        + sysctl net.ipv6.conf.all.forwarding = 1 in host
        + sysctl net.ipv6.conf.default.forwarding = 1 in host
        + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet ipv6
        + element subnets6 fd00::/64
        + element on_link6 fd00::/64 . pn-abababababab
        + element masquerade6 fd00::/64
        + element open6 fd00::2 . tcp . 80
        + element publish_any6 tcp . 8080 : fd00::2 . 80
        + address fd00::1/64 on pn-abababababab in host
        + address fd00::2/64 on eth0 in sandbox efefefefefef
        + hold [::]:8080/tcp
    "#]],
    );
}

#[test]
fn ipv6_only() {
    check_difference(
        NetworkSpec::new("n").ipv6(true).ipv4(false),
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
        + element masquerade6 fd00::/64
        + element open6 fd00::2 . tcp . 80
        + element publish_any6 tcp . 8080 : fd00::2 . 80
        + address fd00::1/64 on pn-abababababab in host
        + address fd00::2/64 on eth0 in sandbox efefefefefef
        + hold [::]:8080/tcp
    "#]],
    );
}

#[test]
fn name_mtu_and_prefix() {
    let spec = NetworkSpec::new("n")
        .option("com.docker.network.bridge.name", "mybridge")
        .option("com.docker.network.driver.mtu", "9000")
        .option("com.docker.network.container_iface_prefix", "net");
    check_difference(
        spec.clone(),
        expect![[r#"
            - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
            - veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 hairpin unannounced
            - element bridges pn-abababababab
            - element same_bridge pn-abababababab
            - element to pn-abababababab : jump to_nat
            - element on_link4 172.18.0.0/16 . pn-abababababab
            - address 172.18.0.1/16 on pn-abababababab in host
            + bridge mybridge mac aa:ab:ab:ab:ab:ab mtu 9000 route-localnet
            + veth pvcdcdcdcdc on mybridge to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 9000 hairpin unannounced
            + element bridges mybridge
            + element same_bridge mybridge
            + element to mybridge : jump to_nat
            + element on_link4 172.18.0.0/16 . mybridge
            + address 172.18.0.1/16 on mybridge in host
        "#]],
    );
    let driver = Bridge::default();
    let config = BridgeConfig::parse(&spec.options).unwrap();
    assert_eq!(Driver::interface_prefix(&driver, &config), "net");
}

fn with_mode(mode: &str, v6: &str) -> NetworkSpec {
    let spec = NetworkSpec::new("n").option("com.docker.network.bridge.gateway_mode_ipv4", mode);
    spec.option("com.docker.network.bridge.gateway_mode_ipv6", v6)
}

#[test]
fn the_plain_gateway_mode_has_a_name() {
    check_difference(with_mode("nat", "nat"), expect![[""]]);
    check_difference(with_mode("", ""), expect![[""]]);
}

#[test]
fn unprotected() {
    check_difference(
        with_mode("nat-unprotected", "nat"),
        expect![[r#"
        - element subnets4 172.18.0.0/16
        + element unprotected4 172.18.0.0/16
    "#]],
    );
}

#[test]
fn routed() {
    check_difference(
        with_mode("routed", "nat"),
        expect![[r#"
        - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        - element subnets4 172.18.0.0/16
        - element masquerade4 172.18.0.0/16
        - element publish_any4 tcp . 8080 : 172.18.0.2 . 80
        - hold 0.0.0.0:8080/tcp
        + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500
        + element routed4 172.18.0.0/16
    "#]],
    );
}

#[test]
fn translated_by_one_family_and_routed_by_the_other() {
    check_difference(
        with_mode("nat", "routed").ipv6(true),
        expect![[r#"
        - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        + sysctl net.ipv6.conf.all.forwarding = 1 in host
        + sysctl net.ipv6.conf.default.forwarding = 1 in host
        + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet ipv6
        + element on_link6 fd00::/64 . pn-abababababab
        + element routed6 fd00::/64
        + element open6 fd00::2 . tcp . 80
        + address fd00::1/64 on pn-abababababab in host
        + address fd00::2/64 on eth0 in sandbox efefefefefef
    "#]],
    );
}

#[test]
fn isolated() {
    check_difference(
        with_mode("isolated", "isolated").ipv6(true).internal(true),
        expect![[r#"
        - sysctl net.ipv4.ip_forward = 1 in host
        - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        - veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 hairpin unannounced
        - element to pn-abababababab : jump to_nat
        - element masquerade4 172.18.0.0/16
        - element open4 172.18.0.2 . tcp . 80
        - element publish_any4 tcp . 8080 : 172.18.0.2 . 80
        - address 172.18.0.1/16 on pn-abababababab in host
        - hold 0.0.0.0:8080/tcp
        + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500
        + veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 unannounced
        + element from pn-abababababab : jump from_internal
        + element to pn-abababababab : jump to_internal
        + element subnets6 fd00::/64
        + element on_link6 fd00::/64 . pn-abababababab
        + address fd00::2/64 on eth0 in sandbox efefefefefef
    "#]],
    );
    // The host is on the network by the other family.
    check_difference(
        with_mode("nat", "isolated").ipv6(true).internal(true),
        expect![[r#"
        - sysctl net.ipv4.ip_forward = 1 in host
        - bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500 route-localnet
        - veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 hairpin unannounced
        - element to pn-abababababab : jump to_nat
        - element masquerade4 172.18.0.0/16
        - element open4 172.18.0.2 . tcp . 80
        - element publish_any4 tcp . 8080 : 172.18.0.2 . 80
        - hold 0.0.0.0:8080/tcp
        + bridge pn-abababababab mac aa:ab:ab:ab:ab:ab mtu 1500
        + veth pvcdcdcdcdc on pn-abababababab to eth0 in sandbox efefefefefef mac 02:00:00:00:00:01 mtu 1500 unannounced
        + element from pn-abababababab : jump from_internal
        + element to pn-abababababab : jump to_internal
        + element subnets6 fd00::/64
        + element on_link6 fd00::/64 . pn-abababababab
        + address fd00::2/64 on eth0 in sandbox efefefefefef
    "#]],
    );
}

/// On an internal network nothing enters, whatever else the mode says.
#[test]
fn gateway_modes_of_internal_networks() {
    let plain = render(with_mode("nat", "nat").ipv6(true).internal(true));
    for mode in ["nat-unprotected", "routed"] {
        assert_eq!(render(with_mode(mode, mode).ipv6(true).internal(true)), plain, "{mode}");
    }
}

/// The cross product: each family follows its own mode alone, and both follow the network's being internal.
#[test]
fn gateway_modes_are_independent() {
    let modes = ["nat", "nat-unprotected", "routed", "isolated"];
    let of_family = |text: &str, v6: bool| -> Vec<String> {
        let marks: &[&str] = if v6 { &["fd00:", "[::]"] } else { &["172.18.", "0.0.0.0:", "publish_any4"] };
        text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark))).map(str::to_owned).collect()
    };
    for internal in [false, true] {
        for v4 in modes {
            for v6 in modes {
                let text = render(with_mode(v4, v6).ipv6(true).internal(internal));
                let alone4 = render(with_mode(v4, "nat").internal(internal));
                let alone6 = render(with_mode("nat", v6).ipv4(false).ipv6(true).internal(internal));
                assert_eq!(of_family(&text, false), of_family(&alone4, false), "{v4} {v6}");
                assert_eq!(of_family(&text, true), of_family(&alone6, true), "{v4} {v6}");
            }
        }
    }
}

/// Options that do not touch each other change the same lines together as alone.
#[test]
fn options_are_independent() {
    let flags = [
        ("com.docker.network.bridge.enable_icc", "element same_bridge"),
        ("com.docker.network.bridge.enable_ip_masquerade", "element masquerade"),
    ];
    for chosen in 0..4_usize {
        for families in [(true, false), (true, true), (false, true)] {
            for internal in [false, true] {
                let mut spec = NetworkSpec::new("n").ipv4(families.0).ipv6(families.1).internal(internal);
                for (i, (option, _)) in flags.iter().enumerate() {
                    spec = spec.option(*option, if chosen >> i & 1 == 1 { "true" } else { "false" });
                }
                let text = render(spec);
                for (i, (option, line)) in flags.iter().enumerate() {
                    let never = internal && line.contains("masquerade");
                    let expected = chosen >> i & 1 == 1 && !never;
                    assert_eq!(text.contains(line), expected, "{option} {chosen} internal {internal}\n{text}");
                }
                assert_eq!(text.contains("jump to_internal"), internal, "{text}");
                assert_eq!(text.contains("hold "), !internal, "{text}");
                assert_eq!(text.contains("subnets4"), families.0, "{text}");
                assert_eq!(text.contains("subnets6"), families.1, "{text}");
            }
        }
    }
}

#[test]
fn bad_options_name_the_value() {
    let cases = [
        ("com.docker.network.bridge.name", "a/b"),
        ("com.docker.network.bridge.name", "a-name-that-is-too-long"),
        ("com.docker.network.bridge.enable_icc", "maybe"),
        ("com.docker.network.driver.mtu", "65536"),
        ("com.docker.network.driver.mtu", "-1"),
        ("com.docker.network.driver.mtu", "many"),
        ("com.docker.network.bridge.host_binding_ipv4", "localhost"),
        ("com.docker.network.container_iface_prefix", "a prefix"),
        ("com.docker.network.bridge.gateway_mode_ipv4", "NAT"),
        ("com.docker.network.bridge.gateway_mode_ipv6", "bridged"),
        ("com.docker.network.bridge.gateway_mode_ipv5", "nat"),
        ("com.docker.network.bridge.nmae", "br0"),
    ];
    let mut text = String::new();
    for (option, value) in cases {
        let error = BridgeConfig::parse(&NetworkSpec::new("n").option(option, value).options).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Invalid);
        text += &format!("{error}\n");
    }
    expect![[r#"
        invalid value "a/b" for option com.docker.network.bridge.name: invalid interface name "a/b": it contains '/' or ':'
        invalid value "a-name-that-is-too-long" for option com.docker.network.bridge.name: invalid interface name "a-name-that-is-too-long": it is longer than 15 bytes
        invalid value "maybe" for option com.docker.network.bridge.enable_icc: it must be true or false
        invalid value "65536" for option com.docker.network.driver.mtu: MTU 65536 is out of range [68, 65535]
        invalid value "-1" for option com.docker.network.driver.mtu: MTU -1 is out of range [68, 65535]
        invalid value "many" for option com.docker.network.driver.mtu: it must be a number of bytes
        invalid value "localhost" for option com.docker.network.bridge.host_binding_ipv4: invalid IP address syntax
        invalid value "a prefix" for option com.docker.network.container_iface_prefix: a number must fit behind it: invalid interface name "a prefix999": it contains white space or control characters
        invalid value "NAT" for option com.docker.network.bridge.gateway_mode_ipv4: it must be nat, nat-unprotected, routed or isolated
        invalid value "bridged" for option com.docker.network.bridge.gateway_mode_ipv6: it must be nat, nat-unprotected, routed or isolated
        unknown option com.docker.network.bridge.gateway_mode_ipv5 for driver bridge: did you mean com.docker.network.bridge.gateway_mode_ipv4?
        unknown option com.docker.network.bridge.nmae for driver bridge: did you mean com.docker.network.bridge.name?
    "#]].assert_eq(&text);
}

#[test]
fn the_network_as_a_whole_is_checked() {
    let host = HostProfile { links: ["taken".to_owned()].into(), ..HostProfile::default() };
    let check = |spec: NetworkSpec, change: &dyn Fn(&mut Network)| {
        let config = BridgeConfig::parse(&spec.options).unwrap();
        let mut network = network(spec);
        change(&mut network);
        let other = self::network(NetworkSpec::new("other").option("com.docker.network.bridge.name", "theirs"));
        let other_config = BridgeConfig::parse(&other.spec.options).unwrap();
        let others = [NetworkView { network: &other, config: &other_config }];
        let others = if network.spec.name == "beside" { &others[..] } else { &[] };
        Driver::check(&Bridge::default(), &NetworkView { network: &network, config: &config }, others, &host)
    };
    let named = |name: &str| NetworkSpec::new("n").option("com.docker.network.bridge.name", name);
    let prefix = |text: &'static str| move |network: &mut Network| network.pools[0].prefix = text.parse().unwrap();
    let v6 = || NetworkSpec::new("n").ipv4(false).ipv6(true);
    let results = [
        check(NetworkSpec::new("n"), &|_| {}),
        check(NetworkSpec::new("n").ipv4(false), &|_| {}),
        check(NetworkSpec::new("n"), &|network| network.pools.clear()),
        check(NetworkSpec::new("n"), &|network| network.pools.push(network.pools[0].clone())),
        check(named("taken"), &|_| {}),
        check(v6(), &prefix("fe80::/64")),
        check(v6(), &prefix("fe80::/80")),
        check(v6(), &prefix("ff02::/64")),
        check(v6().option("com.docker.network.driver.mtu", "1000"), &|_| {}),
        check(with_mode("isolated", "nat"), &|_| {}),
        check(with_mode("nat", "isolated"), &|_| {}),
        check(with_mode("isolated", "isolated").internal(true), &|_| {}),
        check(NetworkSpec::new("beside"), &|_| {}),
        check(NetworkSpec { name: "beside".to_owned(), ..named("theirs") }, &prefix("10.0.0.0/8")),
    ];
    let text: String = results
        .into_iter()
        .map(|result| result.map_or_else(|error| format!("{:?}: {error}\n", error.kind()), |()| "ok\n".to_owned()))
        .collect();
    expect![[r#"
        ok
        Invalid: IPv4 or IPv6 must be enabled
        Invalid: ipv4 pool is empty
        Invalid: a bridge network has one ipv4 subnet: remove 172.18.0.0/16
        Conflict: interface taken exists already and is not Pontoon's: choose another name
        ok
        Invalid: 'fe80::/80' clashes with the Link-Local prefix 'fe80::/64'
        Invalid: 'ff02::/64' is a multicast subnet, which a bridge cannot have
        Invalid: invalid value "1000" for option com.docker.network.driver.mtu: IPv6 needs at least 1280 bytes (RFC 8200 section 5)
        Invalid: invalid value "isolated" for option com.docker.network.bridge.gateway_mode_ipv4: it is for internal networks only: make the network internal, or choose another mode
        Invalid: invalid value "isolated" for option com.docker.network.bridge.gateway_mode_ipv6: it is for internal networks only: make the network internal, or choose another mode
        ok
        Forbidden: network beside would collide with network other: both have addresses of 172.18.0.0/16
        Forbidden: network beside would collide with network other: both use the bridge theirs
    "#]].assert_eq(&text);
}
