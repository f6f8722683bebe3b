//! What bridge networks ask of the firewall and of forwarding.

use super::{BridgeConfig, BridgeDriverConfig, EndpointView, NetworkView, bridge_name};
use crate::firewall::ruleset;
use crate::objects::{FirewallBridge, Held, Objects, Place, Published, Sysctl, Tenure};

pub(super) fn of_network(view: &NetworkView<'_, BridgeConfig>, driver: &BridgeDriverConfig) -> Objects {
    let spec = &view.network.spec;
    let subnets: Vec<_> = view.network.pools.iter().map(|pool| pool.prefix).collect();
    let leaves = !spec.internal && view.config.masquerade;
    let mut objects = Objects::new();
    objects.set(ruleset::ruleset());
    objects.set(FirewallBridge {
        bridge: bridge_name(view),
        internal: spec.internal,
        icc: view.config.icc,
        masquerade: if leaves { subnets.clone() } else { Vec::new() },
        subnets,
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
    objects
}
