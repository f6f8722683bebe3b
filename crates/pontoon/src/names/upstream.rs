//! The servers that are asked for names that no network has.

use std::fs;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use pontoon_core::engine::names::SandboxNames;
use pontoon_core::files::NameServer;
use pontoon_core::files::resolv_conf::ResolvConf;
use pontoon_dns::{Reach, Server};
use pontoon_host::linux::name_servers;

use crate::Error;

/// The port of name servers.
const DNS: u16 = 53;

/// Returns the name servers of the host, as its file says now; none without a file.
///
/// # Errors
///
/// If the file cannot be read, or says something else.
pub(super) fn of_host() -> Result<Vec<NameServer>, Error> {
    let origin = name_servers()?;
    Ok(ResolvConf::parse(&origin.text, &origin.path)?.name_servers().to_vec())
}

/// Returns the servers that a sandbox's resolver asks, in order.
pub(super) fn of_sandbox(names: &SandboxNames, of_host: &[NameServer]) -> Vec<Server> {
    let (servers, reach) = match &names.servers {
        Some(servers) => (servers.as_slice(), Reach::Sandbox),
        None => (of_host, Reach::Host),
    };
    servers.iter().filter_map(|server| Some(Server { address: address(server)?, reach })).collect()
}

/// Returns where a server is; nothing if its zone is no interface of the host.
fn address(server: &NameServer) -> Option<SocketAddr> {
    let (IpAddr::V6(ip), Some(zone)) = (server.ip(), server.zone()) else {
        return Some(SocketAddr::new(server.ip(), DNS));
    };
    // A name could not be looked up elsewhere; who asks for a server of the sandbox's gives the index.
    let index = zone.parse().ok().or_else(|| {
        let text = fs::read_to_string(format!("/sys/class/net/{zone}/ifindex")).ok()?;
        text.trim().parse().ok()
    });
    Some(SocketAddrV6::new(ip, DNS, 0, index?).into())
}
