//! A published port as a user writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::error::PortError;
use super::proto::PortProto;
use super::range::PortRange;
use crate::ipam::Family;

/// Which host port a published port gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPort {
    /// A free one, chosen for each container port.
    Ephemeral,
    /// Port by port; as many as container ports.
    Exactly(PortRange),
    /// The first free one, for a single container port.
    FirstOf(PortRange),
}

/// One entry of `-p`: `[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp][;from=PREFIX][;proxy-protocol]`.
///
/// The text is also its form in records. `from=` may be repeated; a missing host port and `0` both mean an ephemeral one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortSpec {
    host_ip: Option<IpAddr>,
    host: HostPort,
    container: PortRange,
    proto: PortProto,
    from: Vec<IpNet>,
    proxy_protocol: bool,
}

impl PortSpec {
    /// Returns the specification of container ports on ephemeral host ports.
    pub fn new(container: PortRange, proto: PortProto) -> Self {
        PortSpec { host_ip: None, host: HostPort::Ephemeral, container, proto, from: Vec::new(), proxy_protocol: false }
    }

    /// Sets the host ports: as many as container ports, or any number for a single container port.
    pub fn with_host_ports(mut self, host: PortRange) -> Result<Self, PortError> {
        self.host = match (host.count(), self.container.count()) {
            (h, c) if h == c => HostPort::Exactly(host),
            (_, 1) => HostPort::FirstOf(host),
            _ => {
                return Err(PortError::UnequalRanges { host, container: self.container });
            }
        };
        Ok(self)
    }

    /// Sets the host address; a v4-mapped one is IPv4.
    pub fn with_host_ip(mut self, ip: IpAddr) -> Result<Self, PortError> {
        self.host_ip = Some(ip.to_canonical());
        self.check_sources()
    }

    /// Adds a prefix that may connect; without any, everybody may.
    pub fn with_source(mut self, from: IpNet) -> Result<Self, PortError> {
        if from.trunc() != from {
            return Err(PortError::InvalidSource {
                value: from.to_string(),
                reason: format!("it has bits set after its prefix length, it should be {}", from.trunc()),
            });
        }
        self.from.push(from);
        self.check_sources()
    }

    /// Tells the container who connects by the PROXY protocol.
    pub fn with_proxy_protocol(mut self) -> Result<Self, PortError> {
        if self.proto != PortProto::Tcp {
            return Err(PortError::ProxyProtocol { proto: self.proto });
        }
        self.proxy_protocol = true;
        Ok(self)
    }

    /// Reads several specifications separated by commas.
    pub fn parse_list(text: &str) -> Result<Vec<PortSpec>, PortError> {
        text.split(',').map(|one| one.trim().parse()).collect()
    }

    /// Returns the host address; without one, the network's default.
    pub fn host_ip(&self) -> Option<IpAddr> {
        self.host_ip
    }

    /// Returns which host ports are wanted.
    pub fn host(&self) -> HostPort {
        self.host
    }

    /// Returns the container ports.
    pub fn container(&self) -> PortRange {
        self.container
    }

    /// Returns the protocol.
    pub fn proto(&self) -> PortProto {
        self.proto
    }

    /// Returns who may connect; nobody named means everybody.
    pub fn from(&self) -> &[IpNet] {
        &self.from
    }

    /// Says whether the container is told who connects by the PROXY protocol.
    pub fn proxy_protocol(&self) -> bool {
        self.proxy_protocol
    }

    fn check_sources(self) -> Result<Self, PortError> {
        let Some(ip) = self.host_ip else {
            return Ok(self);
        };
        let family = Family::of(ip);
        match self.from.iter().find(|from| Family::of_prefix(from) != family) {
            None => Ok(self),
            Some(from) => Err(PortError::InvalidSource {
                value: from.to_string(),
                reason: format!("it can never reach the {family} address {ip}"),
            }),
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        match (self.host, self.host_ip) {
            (HostPort::Exactly(host) | HostPort::FirstOf(host), _) => write!(f, "{host}:")?,
            (HostPort::Ephemeral, Some(_)) => f.write_str(":")?,
            (HostPort::Ephemeral, None) => {}
        }
        write!(f, "{}/{}", self.container, self.proto)?;
        for from in &self.from {
            write!(f, ";from={from}")?;
        }
        if self.proxy_protocol {
            f.write_str(";proxy-protocol")?;
        }
        Ok(())
    }
}

impl FromStr for PortSpec {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let mut parts = text.split(';');
        let ports = parts.next().unwrap_or_default();
        let spec = parse_ports(ports)?;
        parts.try_fold(spec, |spec, option| match option.split_once('=') {
            Some(("from", prefix)) => spec.with_source(parse_source(prefix)?),
            None if option == "proxy-protocol" => spec.with_proxy_protocol(),
            _ => Err(PortError::UnknownOption { value: option.to_owned() }),
        })
    }
}

impl TryFrom<String> for PortSpec {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, PortError> {
        text.parse()
    }
}

impl From<PortSpec> for String {
    fn from(spec: PortSpec) -> String {
        spec.to_string()
    }
}

/// Reads everything before the options.
fn parse_ports(text: &str) -> Result<PortSpec, PortError> {
    let (host_ip, rest) = split_host_ip(text)?;
    let (rest, proto) = match rest.split_once('/') {
        Some((rest, proto)) => (rest, proto.parse()?),
        None => (rest, PortProto::Tcp),
    };
    let (host, container) = match rest.split_once(':') {
        Some((host, container)) => (host, container),
        None => ("", rest),
    };
    if container.contains(':') {
        return Err(PortError::InvalidSpec { value: text.to_owned() });
    }
    let mut spec = PortSpec::new(container.parse()?, proto);
    if !matches!(host, "" | "0") {
        spec = spec.with_host_ports(host.parse()?)?;
    }
    match host_ip {
        Some(ip) => spec.with_host_ip(ip),
        None => Ok(spec),
    }
}

/// Splits off `1.2.3.4:` or `[::1]:`; what is left are ports.
fn split_host_ip(text: &str) -> Result<(Option<IpAddr>, &str), PortError> {
    let invalid = |value: &str| PortError::InvalidHostIp { value: value.to_owned() };
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once("]:").ok_or_else(|| invalid(text))?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| invalid(ip))?;
        return Ok((Some(ip.into()), rest));
    }
    let Some((first, rest)) = text.split_once(':') else {
        return Ok((None, text));
    };
    // Three fields mean that the first is an address; so does a dot.
    let fields = rest.split('/').next().unwrap_or_default();
    if first.contains('.') || (fields.matches(':').count() == 1 && !first.is_empty()) {
        let ip: Ipv4Addr = first.parse().map_err(|_| invalid(first))?;
        return Ok((Some(ip.into()), rest));
    }
    Ok((None, text))
}

/// Reads a prefix, or an address as the prefix of it alone.
fn parse_source(text: &str) -> Result<IpNet, PortError> {
    let host = text.parse::<IpAddr>().map(IpNet::from);
    host.or_else(|_| text.parse()).map_err(|_| PortError::InvalidSource {
        value: text.to_owned(),
        reason: "write a prefix, such as 192.0.2.0/24".to_owned(),
    })
}
