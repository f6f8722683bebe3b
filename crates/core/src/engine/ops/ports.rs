//! Which ports are published where: they follow the sandbox's gateways, per family.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::spans;
use crate::drivers::Publishing;
use crate::engine::{Draft, Engine, HostProfile, gateway};
use crate::error::Error;
use crate::ipam::Ranges;
use crate::model::{Endpoint, EndpointId, Network, OpenPort, PortBinding, SandboxId};
use crate::ports::{HostPort, PortChoice, PortError, PortProto, PortQuery, PortRange, PortSpec, choose};

/// One request with everywhere it is to be published: at most one place a family, and the addresses of containers that
/// answer for themselves.
struct Wanted {
    spec: PortSpec,
    places: Vec<Place>,
    opened: Vec<(EndpointId, IpAddr)>,
}

/// A host address, and who answers for it.
struct Place {
    endpoint: EndpointId,
    host_ip: IpAddr,
    container_ip: IpAddr,
}

/// Where ports come from that nobody names; read off the host once, when first needed.
#[derive(Default)]
pub(in crate::engine) struct Ephemeral(OnceLock<(PortRange, Ranges<u16>)>);

impl Engine {
    /// Gives the endpoints of a sandbox the bindings they should have. Ports that were chosen before are kept.
    pub(super) fn bind_ports(&self, draft: &mut Draft<'_>, sandbox: SandboxId) -> Result<(), Error> {
        let members = gateway::ordered(draft.state(), sandbox);
        let wanted = self.wanted(draft, sandbox, &members)?;
        let answers = |wanted: &Wanted, id| {
            wanted.places.iter().any(|place| place.endpoint == id) || wanted.opened.iter().any(|(of, _)| *of == id)
        };
        let answering = members.iter().filter(|(member, _)| wanted.iter().any(|wanted| answers(wanted, member.id)));
        let _spans: Vec<_> = answering
            .map(|(member, network)| spans::program_external_connectivity(network, member).entered())
            .collect();
        let before: Vec<PortBinding> = members.iter().flat_map(|(endpoint, _)| endpoint.bindings.clone()).collect();
        // All are given back first, so that keeping a port is choosing it again.
        let publishes = |endpoint: &Endpoint| !endpoint.bindings.is_empty() || !endpoint.opened.is_empty();
        for (endpoint, _) in members.iter().filter(|(endpoint, _)| publishes(endpoint)) {
            draft.put_endpoint(Endpoint { bindings: Vec::new(), opened: Vec::new(), ..(**endpoint).clone() });
        }
        wanted.iter().for_each(|wanted| open(draft, wanted));
        let (named, chosen): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|wanted| matches!(wanted.spec.host(), HostPort::Exactly(_)));
        for wanted in named.into_iter().chain(chosen) {
            for container in pieces(&wanted.spec) {
                let host_port = self.choose_port(draft, &wanted, container, &before)?;
                bind(draft, &wanted, container, host_port);
            }
        }
        Ok(())
    }

    /// Returns what is to be published, the sandbox's own requests first.
    fn wanted(
        &self,
        draft: &Draft<'_>,
        sandbox: SandboxId,
        members: &[(Arc<Endpoint>, Arc<Network>)],
    ) -> Result<Vec<Wanted>, Error> {
        let gateways = gateway::of(draft.state(), sandbox);
        let of_sandbox = draft.state().sandbox(sandbox).map(|sandbox| sandbox.spec.ports.clone()).unwrap_or_default();
        let mut wanted = Vec::new();
        for spec in of_sandbox {
            // Who is reached by its own address is so whether or not others lead out.
            let answers = |endpoint: &Endpoint, publishing, v6| {
                publishing == Publishing::Open || gateways.of(v6) == Some(endpoint.id)
            };
            wanted.push(self.places(spec, members, answers)?);
        }
        for (publisher, _) in members {
            for spec in publisher.spec.publish.clone() {
                wanted.push(self.places(spec, members, |endpoint, _, _| endpoint.id == publisher.id)?);
            }
        }
        Ok(wanted)
    }

    fn places(
        &self,
        spec: PortSpec,
        members: &[(Arc<Endpoint>, Arc<Network>)],
        answers: impl Fn(&Endpoint, Publishing, bool) -> bool,
    ) -> Result<Wanted, Error> {
        check_supported(&spec)?;
        let (mut places, mut opened) = (Vec::new(), Vec::new());
        for v6 in [false, true] {
            for (endpoint, network) in members.iter().filter(|(_, network)| !network.spec.internal) {
                let publishing = self.publishing(network, v6)?;
                let host_ip = self.host_address(&spec, network, v6).filter(|_| answers(endpoint, publishing, v6));
                let (Some(host_ip), Some(container)) = (host_ip, endpoint.address(v6)) else { continue };
                let container_ip = container.addr();
                match publishing {
                    Publishing::OnHost => places.push(Place { endpoint: endpoint.id, host_ip, container_ip }),
                    Publishing::Open => opened.push((endpoint.id, container_ip)),
                }
            }
        }
        Ok(Wanted { spec, places, opened })
    }

    fn publishing(&self, network: &Network, v6: bool) -> Result<Publishing, Error> {
        let driver = self.registry().get(&network.spec.driver);
        Ok(driver.map_or(Ok(Publishing::default()), |driver| driver.publishing(network, v6))?)
    }

    /// Returns the host's address of a family that a request is published on, if it is on that family at all.
    fn host_address(&self, spec: &PortSpec, network: &Network, v6: bool) -> Option<IpAddr> {
        let driver = self.registry().get(&network.spec.driver);
        let default = driver.and_then(|driver| driver.host_binding(network));
        let any =
            if v6 { IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED) };
        match spec.host_ip().or(default) {
            None => Some(any),
            // The default binding says where nobody said anything: unspecified, it covers the other family too.
            Some(ip) if spec.host_ip().is_none() && ip == IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED) => Some(any),
            Some(ip) => (ip.is_ipv6() == v6).then_some(ip),
        }
    }

    fn choose_port(
        &self,
        draft: &Draft<'_>,
        wanted: &Wanted,
        container: PortRange,
        before: &[PortBinding],
    ) -> Result<u16, Error> {
        let addresses: Vec<IpAddr> = wanted.places.iter().map(|place| place.host_ip).collect();
        if addresses.is_empty() {
            return Ok(container.first());
        }
        let (proto, busy) = (wanted.spec.proto(), draft.busy_ports());
        let query = |choice| PortQuery { addresses: &addresses, proto, choice, busy };
        let ports = draft.state().ports();
        let kept = before.iter().find(|old| old.request == wanted.spec && old.container_port == container.first());
        if let Some(old) = kept
            && !matches!(wanted.spec.host(), HostPort::Exactly(_))
            && let Ok(port) = choose(ports, &query(PortChoice::Exact(old.host_port)))
        {
            return Ok(port);
        }
        let chosen = match wanted.spec.host() {
            HostPort::Exactly(range) => choose(ports, &query(PortChoice::Exactly(range))),
            HostPort::FirstOf(range) => choose(ports, &query(PortChoice::FirstOf(range))),
            HostPort::Ephemeral => {
                let (range, reserved) = self.ephemeral()?;
                choose(ports, &query(PortChoice::Ephemeral { range: *range, reserved }))
            }
        };
        Ok(chosen?)
    }

    fn ephemeral(&self) -> Result<&(PortRange, Ranges<u16>), Error> {
        if let Some(known) = self.ephemeral.0.get() {
            return Ok(known);
        }
        let HostProfile { ephemeral, reserved_ports, .. } = self.host().survey()?;
        Ok(self.ephemeral.0.get_or_init(|| (ephemeral, reserved_ports)))
    }
}

/// Ports that are named stay one range; ports that are chosen are chosen one by one.
fn pieces(spec: &PortSpec) -> Vec<PortRange> {
    let container = spec.container();
    match spec.host() {
        HostPort::Exactly(_) => vec![container],
        HostPort::FirstOf(_) | HostPort::Ephemeral => {
            container.iter().filter_map(|port| PortRange::single(port).ok()).collect()
        }
    }
}

fn bind(draft: &mut Draft<'_>, wanted: &Wanted, container: PortRange, host_port: u16) {
    for place in &wanted.places {
        let Some(endpoint) = draft.state().endpoint(place.endpoint).cloned() else { continue };
        let mut endpoint = (*endpoint).clone();
        endpoint.bindings.push(PortBinding {
            proto: wanted.spec.proto(),
            host_ip: place.host_ip,
            host_port,
            container_ip: place.container_ip,
            container_port: container.first(),
            count: container.count(),
            request: wanted.spec.clone(),
        });
        draft.put_endpoint(endpoint);
    }
}

/// Opens what a request asks for where containers answer for themselves; the host's ports do not matter there.
fn open(draft: &mut Draft<'_>, wanted: &Wanted) {
    let container = wanted.spec.container();
    for &(id, ip) in &wanted.opened {
        let Some(endpoint) = draft.state().endpoint(id).cloned() else { continue };
        let mut endpoint = (*endpoint).clone();
        let port = OpenPort { proto: wanted.spec.proto(), ip, port: container.first(), count: container.count() };
        // Two requests may publish one port on the host twice.
        if !endpoint.opened.contains(&port) {
            endpoint.opened.push(port);
            draft.put_endpoint(endpoint);
        }
    }
}

fn check_supported(spec: &PortSpec) -> Result<(), PortError> {
    let refuse = |what| Err(PortError::Unsupported { spec: spec.to_string(), what });
    match spec {
        spec if spec.proto() == PortProto::Sctp => refuse("SCTP"),
        spec if !spec.from().is_empty() => refuse("a source prefix (from=)"),
        spec if spec.proxy_protocol() => refuse("the PROXY protocol"),
        _ => Ok(()),
    }
}
