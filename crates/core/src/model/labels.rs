//! Label strings of the Docker ecosystem, and the maps that carry them.

use std::collections::BTreeMap;

/// Labels of a network: free text for its owner.
pub type Labels = BTreeMap<String, String>;

/// Options of a driver, as given: parsed once, by [`Driver::configure`](crate::drivers::Driver::configure).
pub type Options = BTreeMap<String, String>;

/// The label names that existing callers use.
pub mod label {
    /// Prefix of every driver's label: `com.docker.network.driver.<type>...` configures a driver at start.
    pub const DRIVER_PREFIX: &str = "com.docker.network.driver";
    /// Network driver option: the MTU of the network's links.
    pub const MTU: &str = "com.docker.network.driver.mtu";
    /// Network driver option: prefix of interface names inside a sandbox.
    pub const IFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
    /// Network driver option: the IPv4 address under which endpoints leave the host.
    pub const HOST_IPV4: &str = "com.docker.network.host_ipv4";
    /// Network driver option: the IPv6 address under which endpoints leave the host.
    pub const HOST_IPV6: &str = "com.docker.network.host_ipv6";
    /// Network option: how often an endpoint's addresses are announced, 0 to 3.
    pub const ADVERTISE_COUNT: &str = "com.docker.network.advertise_addr_nmsgs";
    /// Network option: the time between two announcements, 100 to 2000 milliseconds.
    pub const ADVERTISE_INTERVAL: &str = "com.docker.network.advertise_addr_ms";
    /// Endpoint option: the interface's name inside the sandbox.
    pub const ENDPOINT_IFNAME: &str = "com.docker.network.endpoint.ifname";
    /// Endpoint option: kernel settings of the interface, `net.X.Y.IFNAME.Z=V`, separated by commas.
    pub const ENDPOINT_SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
    /// IPAM option: allocate addresses one after the other instead of lowest first.
    pub const IPAM_SERIAL: &str = "com.docker.network.ipam.serial";
    /// Auxiliary address that becomes the sandboxes' IPv4 gateway instead of the bridge.
    pub const AUX_GATEWAY_V4: &str = "DefaultGatewayIPv4";
    /// Auxiliary address that becomes the sandboxes' IPv6 gateway instead of the bridge.
    pub const AUX_GATEWAY_V6: &str = "DefaultGatewayIPv6";
}
