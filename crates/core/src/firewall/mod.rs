//! The firewall: drivers say what they need in neutral objects; [`lower`] turns them into what a host can hold.

pub mod ruleset;

use std::net::IpAddr;

use crate::objects::{Access, Clash, Element, FirewallBridge, Leaves, Object, Objects, Opened, Published, Verdict};
use crate::ports::PortRange;

/// Replaces the neutral firewall objects by elements of the nftables ruleset; all others pass unchanged.
///
/// # Errors
///
/// [`Clash`] if two objects need one element to be different: two networks with one subnet, two endpoints with one port.
pub fn lower(objects: Objects) -> Result<Objects, Clash> {
    let mut lowered = Objects::new();
    for object in objects {
        match object {
            Object::FirewallBridge(bridge) => bridge_elements(&bridge).into_iter().try_for_each(|e| lowered.add(e))?,
            Object::Published(port) => port_elements(&port).into_iter().try_for_each(|e| lowered.add(e))?,
            Object::Opened(Opened { proto, ip, port, count }) => {
                lowered.add(Element::Open { ip, proto, ports: range(port, count) })?;
            }
            other => lowered.add(other)?,
        }
    }
    Ok(lowered)
}

fn bridge_elements(policy: &FirewallBridge) -> Vec<Element> {
    let name = &policy.bridge;
    let mut elements = vec![Element::Bridge(name.clone())];
    if policy.icc {
        elements.push(Element::SameBridge(name.clone()));
    }
    if policy.internal {
        elements.push(Element::From(name.clone(), Verdict::FromInternal));
        elements.push(Element::To(name.clone(), Verdict::ToInternal));
    } else {
        elements.push(Element::To(name.clone(), Verdict::ToNat));
    }
    for subnet in &policy.subnets {
        elements.push(match subnet.access {
            Access::Closed => Element::Subnet(subnet.prefix),
            Access::Routed => Element::Routed(subnet.prefix),
            Access::Open => Element::Unprotected(subnet.prefix),
        });
        elements.push(Element::OnLink(subnet.prefix, name.clone()));
        if subnet.access == Access::Closed {
            elements.extend(policy.trusted.iter().map(|name| Element::Trusted(subnet.prefix, name.clone())));
        }
        elements.extend(match subnet.leaves {
            Leaves::Unchanged => None,
            Leaves::Masqueraded => Some(Element::Masquerade(subnet.prefix)),
            Leaves::As(address) => Some(Element::Snat(subnet.prefix, address)),
        });
    }
    elements
}

fn port_elements(port: &Published) -> Vec<Element> {
    let host = (!port.host_ip.is_unspecified()).then_some(port.host_ip);
    let container = range(port.container_port, port.count);
    let mut elements = vec![Element::Open { ip: port.container_ip, proto: port.proto, ports: container }];
    let publish = |ports, to: IpAddr, target| Element::Publish { host, proto: port.proto, ports, to, port: target };
    if port.count > 1 && port.host_port == port.container_port {
        elements.push(publish(range(port.host_port, port.count), port.container_ip, None));
    } else {
        elements.extend(
            (0..port.count)
                .map(|i| publish(range(port.host_port + i, 1), port.container_ip, Some(port.container_port + i))),
        );
    }
    elements
}

fn range(first: u16, count: u16) -> PortRange {
    PortRange::new(first, first + (count - 1)).expect("a binding's ports are valid")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::model::IfName;
    use crate::objects::FirewallSubnet;
    use crate::ports::PortProto;

    fn check(object: impl Into<Object>, expected: Expect) {
        let mut objects = Objects::new();
        objects.add(object).unwrap();
        expected.assert_eq(&lower(objects).unwrap().to_string());
    }

    fn bridge(internal: bool, icc: bool) -> FirewallBridge {
        FirewallBridge {
            bridge: IfName::new("br0").unwrap(),
            internal,
            icc,
            trusted: vec![],
            subnets: vec![FirewallSubnet {
                prefix: "172.18.0.0/16".parse().unwrap(),
                access: Access::Closed,
                leaves: if internal { Leaves::Unchanged } else { Leaves::Masqueraded },
            }],
        }
    }

    fn with(access: Access) -> FirewallBridge {
        let mut bridge = bridge(false, true);
        bridge.subnets[0].access = access;
        bridge
    }

    fn published(host_ip: &str, host_port: u16, container_port: u16, count: u16) -> Published {
        let host_ip: IpAddr = host_ip.parse().unwrap();
        let container_ip = if host_ip.is_ipv6() { "fd00::2" } else { "172.18.0.2" }.parse().unwrap();
        Published { proto: PortProto::Tcp, host_ip, host_port, container_ip, container_port, count }
    }

    #[test]
    fn a_bridge_that_leads_out() {
        check(
            bridge(false, true),
            expect![[r#"
            element bridges br0
            element same_bridge br0
            element to br0 : jump to_nat
            element subnets4 172.18.0.0/16
            element on_link4 172.18.0.0/16 . br0
            element masquerade4 172.18.0.0/16
        "#]],
        );
    }

    #[test]
    fn an_internal_bridge_without_icc() {
        check(
            bridge(true, false),
            expect![[r#"
            element bridges br0
            element from br0 : jump from_internal
            element to br0 : jump to_internal
            element subnets4 172.18.0.0/16
            element on_link4 172.18.0.0/16 . br0
        "#]],
        );
    }

    #[test]
    fn a_subnet_that_others_may_address() {
        check(
            with(Access::Routed),
            expect![[r#"
            element bridges br0
            element same_bridge br0
            element to br0 : jump to_nat
            element on_link4 172.18.0.0/16 . br0
            element masquerade4 172.18.0.0/16
            element routed4 172.18.0.0/16
        "#]],
        );
        check(
            with(Access::Open),
            expect![[r#"
            element bridges br0
            element same_bridge br0
            element to br0 : jump to_nat
            element on_link4 172.18.0.0/16 . br0
            element masquerade4 172.18.0.0/16
            element unprotected4 172.18.0.0/16
        "#]],
        );
    }

    #[test]
    fn a_subnet_that_leaves_under_one_address() {
        let mut bridge = bridge(false, true);
        bridge.subnets[0].leaves = Leaves::As("192.0.2.7".parse().unwrap());
        check(
            bridge,
            expect![[r#"
            element bridges br0
            element same_bridge br0
            element to br0 : jump to_nat
            element subnets4 172.18.0.0/16
            element on_link4 172.18.0.0/16 . br0
            element snat4 172.18.0.0/16 : 192.0.2.7
        "#]],
        );
    }

    #[test]
    fn interfaces_are_trusted_with_what_is_closed() {
        let trusting = |access| {
            let trusted = ["eth0", "eth1"].map(|name| IfName::new(name).unwrap()).to_vec();
            FirewallBridge { trusted, ..with(access) }
        };
        check(
            trusting(Access::Closed),
            expect![[r#"
            element bridges br0
            element same_bridge br0
            element to br0 : jump to_nat
            element subnets4 172.18.0.0/16
            element on_link4 172.18.0.0/16 . br0
            element trusted4 172.18.0.0/16 . eth0
            element trusted4 172.18.0.0/16 . eth1
            element masquerade4 172.18.0.0/16
        "#]],
        );
        for access in [Access::Routed, Access::Open] {
            assert_eq!(bridge_elements(&trusting(access)), bridge_elements(&with(access)));
        }
    }

    #[test]
    fn open_ports_of_a_container() {
        let ip = "172.18.0.2".parse().unwrap();
        check(
            Opened { proto: PortProto::Tcp, ip, port: 80, count: 1 },
            expect![[r#"
            element open4 172.18.0.2 . tcp . 80
        "#]],
        );
        check(
            Opened { proto: PortProto::Udp, ip, port: 80, count: 3 },
            expect![[r#"
            element open_range4 172.18.0.2 . udp . 80-82
        "#]],
        );
    }

    #[test]
    fn one_port_on_any_address() {
        check(
            published("0.0.0.0", 8080, 80, 1),
            expect![[r#"
            element open4 172.18.0.2 . tcp . 80
            element publish_any4 tcp . 8080 : 172.18.0.2 . 80
        "#]],
        );
    }

    #[test]
    fn one_port_on_one_address() {
        check(
            published("::1", 8080, 80, 1),
            expect![[r#"
            element open6 fd00::2 . tcp . 80
            element publish6 ::1 . tcp . 8080 : fd00::2 . 80
        "#]],
        );
    }

    #[test]
    fn a_range_that_keeps_its_ports_is_one_element() {
        check(
            published("0.0.0.0", 9000, 9000, 1000),
            expect![[r#"
            element open_range4 172.18.0.2 . tcp . 9000-9999
            element publish_range_any4 tcp . 9000-9999 : 172.18.0.2
        "#]],
        );
    }

    #[test]
    fn a_shifted_range_is_one_element_a_port() {
        check(
            published("0.0.0.0", 9000, 80, 2),
            expect![[r#"
            element open_range4 172.18.0.2 . tcp . 80-81
            element publish_any4 tcp . 9000 : 172.18.0.2 . 80
            element publish_any4 tcp . 9001 : 172.18.0.2 . 81
        "#]],
        );
    }
}
