//! Values on the command line that have a form of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use clap::Args;
use ipnet::IpNet;
use pontoon::{EndpointSpec, IfName, MacAddr, PortSpec, Rate, StaticRoute, on_link};

/// Reads `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// Reads `KEY[=VALUE]`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').unwrap_or((text, "")) {
        ("", _) => Err("write KEY=VALUE".to_owned()),
        (key, value) => Ok((key.to_owned(), value.to_owned())),
    }
}

/// Reads a subnet.
pub(crate) fn subnet(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| format!("{text} is not a subnet, write ADDRESS/LENGTH such as 10.1.0.0/16"))
}

/// Reads an address.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text} is not an IP address"))
}

/// Reads `NAME=ADDRESS`.
pub(crate) fn named_address(text: &str) -> Result<(String, IpAddr), String> {
    let (name, value) = key_value(text).map_err(|_| "write NAME=ADDRESS".to_owned())?;
    Ok((name, address(&value)?))
}

/// Reads `PREFIX[,NEXTHOP]`.
pub(crate) fn static_route(text: &str) -> Result<StaticRoute, String> {
    let (to, via) = match text.split_once(',') {
        Some((to, via)) => (to, Some(address(via)?)),
        None => (text, None),
    };
    Ok(StaticRoute { to: subnet(to)?, via })
}

/// Several published ports separated by commas.
#[derive(Clone, Debug)]
pub(crate) struct Ports(pub(crate) Vec<PortSpec>);

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        PortSpec::parse_list(text).map(Self).map_err(|error| error.to_string())
    }
}

/// How fast data may pass interfaces.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// How fast data may come in to every interface, in bits per second with k, M or G
    #[arg(long, value_name = "RATE")]
    rate_in: Option<Rate>,
    /// How fast data may go out of every interface, likewise
    #[arg(long, value_name = "RATE")]
    rate_out: Option<Rate>,
}

impl Rates {
    /// Returns the first flag that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [("--rate-in", self.rate_in), ("--rate-out", self.rate_out)];
        flags.into_iter().find(|(_, rate)| rate.is_some()).map(|(flag, _)| flag)
    }

    /// Returns the endpoint with these limits.
    pub(crate) fn limit(self, endpoint: EndpointSpec) -> EndpointSpec {
        EndpointSpec { rate_in: self.rate_in, rate_out: self.rate_out, ..endpoint }
    }
}

/// A network to join, and how: `NET[,ip=A][,ip6=A][,mac=M][,ifname=I][,gw-priority=N][,alias=N][,link=S:A]
/// [,link-local-ip=A][,opt=K=V]`.
#[derive(Clone, Debug)]
pub(crate) struct Joining {
    pub(crate) network: String,
    pub(crate) endpoint: EndpointSpec,
}

impl FromStr for Joining {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let network = parts.next().unwrap_or_default();
        let network = network.strip_prefix("name=").unwrap_or(network).to_owned();
        if network.is_empty() {
            return Err("name the network first".to_owned());
        }
        let mut endpoint = EndpointSpec::default();
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} has no value, write KEY=VALUE"))?;
            set(&mut endpoint, key, value)?;
        }
        Ok(Self { network, endpoint })
    }
}

fn set(endpoint: &mut EndpointSpec, key: &str, value: &str) -> Result<(), String> {
    match key {
        "ip" => endpoint.ipv4 = Some(ipv4(value)?),
        "ip6" => endpoint.ipv6 = Some(ipv6(value)?),
        "mac" | "mac-address" => endpoint.mac = Some(mac(value)?),
        "ifname" => endpoint.ifname = Some(ifname(value)?),
        "gw-priority" => endpoint.priority = priority(value)?,
        "opt" | "driver-opt" => {
            let (key, value) = key_value(value)?;
            endpoint.options.insert(key, value);
        }
        "alias" => endpoint.dns_names.push(alias(value)?),
        "link" => endpoint.links.push(link(value)?),
        "link-local-ip" => endpoint.link_local.push(link_local(value)?),
        _ => {
            return Err(format!(
                "unknown key {key:?}, the keys are ip, ip6, mac, ifname, gw-priority, alias, link, link-local-ip and opt"
            ));
        }
    }
    Ok(())
}

/// Reads a name by which others find a sandbox.
pub(crate) fn alias(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(format!("{text:?} is not a name")),
        false => Ok(text.to_owned()),
    }
}

/// Reads `SANDBOX[:ALIAS]`: what another sandbox is called here, and its name.
pub(crate) fn link(text: &str) -> Result<(String, String), String> {
    let (sandbox, called) = text.split_once(':').unwrap_or((text, text));
    match (alias(called), alias(sandbox)) {
        (Ok(called), Ok(sandbox)) => Ok((called, sandbox)),
        _ => Err(format!("{text:?} is no link, write SANDBOX or SANDBOX:ALIAS")),
    }
}

/// Reads a link-local address, `ADDRESS[/LENGTH]`: without a length it is that of its family's link.
pub(crate) fn link_local(text: &str) -> Result<IpNet, String> {
    let prefix = match text.contains('/') {
        true => text.parse().ok(),
        false => text.parse().ok().map(on_link),
    };
    prefix.ok_or_else(|| format!("{text} is not a link-local address, such as 169.254.7.7 or fe80::7"))
}

/// Reads an IPv4 address.
pub(crate) fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("{text} is not an IPv4 address"))
}

/// Reads an IPv6 address.
pub(crate) fn ipv6(text: &str) -> Result<Ipv6Addr, String> {
    text.parse().map_err(|_| format!("{text} is not an IPv6 address"))
}

/// Reads a MAC address.
pub(crate) fn mac(text: &str) -> Result<MacAddr, String> {
    text.parse().map_err(|error: pontoon::NameError| error.to_string())
}

pub(crate) fn ifname(text: &str) -> Result<IfName, String> {
    text.parse().map_err(|error: pontoon::NameError| error.to_string())
}

fn priority(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("{text} is not a priority, write a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_joined_as_described() {
        let joining: Joining =
            "front,ip=10.0.0.9,ip6=fd00::9,ifname=lan0,gw-priority=-3,alias=www,link=db:store,link-local-ip=169.254.7.7,opt=a=b=c"
                .parse()
                .unwrap();
        assert_eq!(joining.network, "front");
        assert_eq!(joining.endpoint.ipv4, Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(joining.endpoint.ifname.unwrap().as_str(), "lan0");
        assert_eq!(joining.endpoint.priority, -3);
        assert_eq!(joining.endpoint.options["a"], "b=c");
        assert_eq!(joining.endpoint.link_local, ["169.254.7.7/16".parse().unwrap()]);
        assert_eq!(joining.endpoint.dns_names, ["www"]);
        assert_eq!(joining.endpoint.links, [("store".to_owned(), "db".to_owned())]);
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |text: &str| text.parse::<Joining>().unwrap_err();
        assert_eq!(refused(",ip=10.0.0.1"), "name the network first");
        assert_eq!(refused("a,ip"), "\"ip\" has no value, write KEY=VALUE");
        assert_eq!(refused("a,ip=fd00::1"), "fd00::1 is not an IPv4 address");
        assert_eq!(refused("a,colour=red"), {
            "unknown key \"colour\", the keys are ip, ip6, mac, ifname, gw-priority, alias, link, link-local-ip and opt"
        });
        assert!(refused("a,ifname=a/b").contains("a/b"));
        assert_eq!(refused("a,alias="), "\"\" is not a name");
        assert_eq!(refused("a,link=:x"), "\":x\" is no link, write SANDBOX or SANDBOX:ALIAS");
    }
}
