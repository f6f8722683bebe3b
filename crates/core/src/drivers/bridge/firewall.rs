//! What bridge networks ask of the firewall and of forwarding.

use ipnet::IpNet;

use super::{BridgeConfig, BridgeDriverConfig, EndpointView, GatewayMode, NetworkView, bridge_name};
use crate::firewall::ruleset;
use crate::model::OpenPort;
use crate::objects::{
    Access, FirewallBridge, FirewallSubnet, Held, Leaves, Objects, Opened, Place, Published, Sysctl, Tenure,
};

pub(super) fn of_network(view: &NetworkView<'_, BridgeConfig>, driver: &BridgeDriverConfig) -> Objects {
    let spec = &view.network.spec;
    let mut objects = Objects::new();
    objects.set(ruleset::ruleset());
    objects.set(FirewallBridge {
        bridge: bridge_name(view),
        internal: spec.internal,
        icc: view.config.icc,
        trusted: if spec.internal { Vec::new() } else { view.config.trusted_interfaces.clone() },
        subnets: view.network.pools.iter().map(|pool| subnet(view, pool.prefix)).collect(),
    });
    if driver.ip_forward && !spec.internal {
        let names = [
            (spec.ipv4, "net.ipv4.ip_forward"),
            (spec.ipv6, "net.ipv6.conf.default.forwarding"),
            (spec.ipv6, "net.ipv6.conf.all.forwarding"),
        ];
        for (_, name) in names.into_iter().filter(|(on, _)| *on) {
            objects.set(Sysctl {
                place: Place::Host,
                name: name.to_owned(),
                value: "1".to_owned(),
                tenure: Tenure::Ensure,
            });
        }
    }
    objects
}

fn subnet(view: &NetworkView<'_, BridgeConfig>, prefix: IpNet) -> FirewallSubnet {
    let mode = view.config.gateway_mode(prefix.addr().is_ipv6());
    let access = match mode {
        _ if view.network.spec.internal => Access::Closed,
        GatewayMode::Nat | GatewayMode::Isolated => Access::Closed,
        GatewayMode::NatUnprotected => Access::Open,
        GatewayMode::Routed => Access::Routed,
    };
    let translated = view.config.masquerade && !view.network.spec.internal && mode != GatewayMode::Routed;
    let leaves = match view.config.source_address(prefix.addr().is_ipv6()) {
        _ if !translated => Leaves::Unchanged,
        Some(address) => Leaves::As(address),
        None => Leaves::Masqueraded,
    };
    FirewallSubnet { prefix, access, leaves }
}

pub(super) fn of_endpoint(view: &EndpointView<'_, BridgeConfig>) -> Objects {
    let mut objects = Objects::new();
    if view.endpoint.attached.is_none() {
        return objects;
    }
    for binding in &view.endpoint.bindings {
        objects.set(Held { proto: binding.proto, ip: binding.host_ip, port: binding.host_port, count: binding.count });
        objects.set(Published {
            proto: binding.proto,
            host_ip: binding.host_ip,
            host_port: binding.host_port,
            container_ip: binding.container_ip,
            container_port: binding.container_port,
            count: binding.count,
        });
    }
    for &OpenPort { proto, ip, port, count } in &view.endpoint.opened {
        objects.set(Opened { proto, ip, port, count });
    }
    objects
}
