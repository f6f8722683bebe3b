//! Bridges, veth pairs and addresses.

use ipnet::IpNet;

use super::{BridgeConfig, EndpointView, GatewayMode, NetworkView, bridge_name};
use crate::model::{MacAddr, NetworkPool};
use crate::objects::{Address, Bridge, Objects, Place, Veth};

pub(super) fn of_network(view: &NetworkView<'_, BridgeConfig>) -> Objects {
    let name = bridge_name(view);
    let network = view.network;
    let mode = |v6| view.config.gateway_mode(v6);
    let mut objects = Objects::new();
    objects.set(Bridge {
        name: name.clone(),
        mac: bridge_mac(view),
        mtu: view.config.mtu,
        route_localnet: network.spec.ipv4 && !network.spec.internal && mode(false) != GatewayMode::Routed,
        // No link-local address either: the host is not on the network.
        ipv6: network.spec.ipv6 && mode(true) != GatewayMode::Isolated,
        flaw: None,
    });
    let present = |pool: &&NetworkPool| view.config.has_gateway_address(pool.prefix.addr().is_ipv6());
    for pool in network.pools.iter().filter(present) {
        if let Some(gateway) = pool.gateway {
            let prefix = IpNet::new(gateway, pool.prefix.prefix_len()).expect("a pool's own prefix length");
            objects.set(Address { place: Place::Host, link: name.clone(), prefix });
        }
    }
    objects
}

/// The id is random already, so its bytes make a random address that needs no storing.
fn bridge_mac(view: &NetworkView<'_, BridgeConfig>) -> MacAddr {
    MacAddr::draw(|bytes| bytes.copy_from_slice(&view.network.id.mac_octets()))
}

pub(super) fn of_endpoint(view: &EndpointView<'_, BridgeConfig>) -> Objects {
    let mut objects = Objects::new();
    let endpoint = view.endpoint;
    let Some(attached) = &endpoint.attached else { return objects };
    objects.set(Veth {
        name: endpoint.host_ifname(),
        bridge: Some(bridge_name(&view.network)),
        mtu: view.network.config.mtu,
        sandbox: attached.sandbox,
        peer: attached.ifname.clone(),
        mac: endpoint.mac,
        isolated: !view.network.config.icc,
        hairpin: !view.network.network.spec.internal,
        advertise: None,
        flaw: None,
    });
    for prefix in &endpoint.addresses {
        objects.set(Address {
            place: Place::Sandbox(attached.sandbox),
            link: attached.ifname.clone(),
            prefix: *prefix,
        });
    }
    objects
}
