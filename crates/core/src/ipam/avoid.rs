//! Prefixes that a chosen subnet must leave alone because the host uses them.
//!
//! Routes through a gateway are left out on purpose: a VPN that claims half the Internet would leave nothing to choose. For
//! IPv6 there is no such guess from routes.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::files::resolv_conf::{self, ResolvConf};

/// How far a route reaches, as far as the choice of subnets cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteScope {
    /// The destination is on the wire (`RT_SCOPE_LINK`).
    Link,
    /// Anything else: through a gateway, local, unknown.
    Other,
}

/// A route of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// Where it leads; a default route has the unspecified prefix.
    pub destination: IpNet,
    /// How far it reaches.
    pub scope: RouteScope,
}

/// Returns everything to avoid, sorted, each prefix once.
pub fn reserved_prefixes(resolv_conf: &str, routes: &[HostRoute]) -> Vec<IpNet> {
    let mut prefixes = nameserver_prefixes(resolv_conf);
    prefixes.extend(on_link_prefixes(routes));
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

/// Returns the name servers of a resolv.conf as prefixes of one address, in the file's order.
///
/// Lines that are not understood are skipped, and a zone (`fe80::1%eth0`) is cut off. A file that nobody can have meant
/// (lines without an end) names none.
pub fn nameserver_prefixes(text: &str) -> Vec<IpNet> {
    let conf = ResolvConf::parse(text, resolv_conf::ETC).unwrap_or_default();
    conf.name_servers().iter().map(|server| IpNet::from(server.ip())).collect()
}

/// Returns the IPv4 destinations that are on the wire.
pub fn on_link_prefixes(routes: &[HostRoute]) -> Vec<IpNet> {
    routes
        .iter()
        .filter(|route| route.scope == RouteScope::Link)
        .map(|route| route.destination.trunc())
        .filter(|prefix| matches!(prefix, IpNet::V4(_)) && !prefix.network().is_unspecified())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(prefixes: &[IpNet]) -> String {
        prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Upstream `TestGetNameserversAsPrefix`.
    #[test]
    fn reads_nameservers_and_skips_the_rest() {
        let check = |text: &str, expected: &str| assert_eq!(texts(&nameserver_prefixes(text)), expected, "{text:?}");
        check("", "");
        check("nameserver 1.2.3.4\nnameserver 40.3.200.10", "1.2.3.4/32 40.3.200.10/32");
        check("search local\nnameserver 1.2.3.4 # ours", "1.2.3.4/32");
        check("#nameserver 1.2.3.4\n; nameserver 4.3.2.1", "");
        check("  nameserver\t1.2.3.4  \r\n", "1.2.3.4/32");
        check("nameserver\nnameserver here\nnameserverx 1.1.1.1\nnameserver 4.3.2.1", "4.3.2.1/32");
        check("nameserver fe80::6082:c6ff:fefd:1a5%eth0", "fe80::6082:c6ff:fefd:1a5/128");
        check("nameserver ::1\nnameserver ::ffff:10.0.0.1", "::1/128 10.0.0.1/32");
    }

    /// Upstream `TestInferReservedNetworksV4`.
    #[test]
    fn takes_routes_on_the_wire_only() {
        let route = |destination: &str, scope| HostRoute { destination: destination.parse().expect("a prefix"), scope };
        let routes = [
            route("192.168.1.0/24", RouteScope::Link),
            route("10.0.0.0/8", RouteScope::Other),
            route("0.0.0.0/0", RouteScope::Link),
            route("0.0.0.0/0", RouteScope::Other),
            route("172.17.0.0/16", RouteScope::Link),
            route("fd00:1::/64", RouteScope::Link),
        ];
        assert_eq!(texts(&on_link_prefixes(&routes)), "192.168.1.0/24 172.17.0.0/16");
        assert_eq!(
            texts(&reserved_prefixes("nameserver 192.168.1.1\nnameserver 192.168.1.1\nnameserver 9.9.9.9", &routes)),
            "9.9.9.9/32 172.17.0.0/16 192.168.1.0/24 192.168.1.1/32"
        );
    }
}
