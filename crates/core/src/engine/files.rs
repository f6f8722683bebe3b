//! The files of a sandbox, from records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::gateway;
use super::names;
use super::state::State;
use crate::error::Error;
use crate::files::hosts::{HostEntry, Hosts};
use crate::files::resolv_conf::{ContainerResolvConf, ResolvConf};
use crate::files::{FileError, HostAddress, Ipv6};
use crate::model::{NamespaceSource, Sandbox, SandboxSpec, check_word};
use crate::objects::{File, FileName, RESOLVER_ADDRESS};

/// Returns the files that a sandbox has.
pub(super) fn of(state: &State, sandbox: &Sandbox) -> Result<[File; 2], Error> {
    let file = |name, content| File { sandbox: sandbox.id, name, content: Some(content) };
    Ok([
        file(FileName::Hosts, hosts(state, sandbox)?),
        file(FileName::ResolvConf, resolv_conf(state, sandbox)?.to_string()),
    ])
}

/// Returns a sandbox's resolv.conf, with the servers that its resolver asks.
///
/// # Errors
///
/// [`Error::File`] if the host's file cannot be understood.
pub fn resolv_conf(state: &State, sandbox: &Sandbox) -> Result<ContainerResolvConf, Error> {
    let origin = &sandbox.basis.resolv_conf;
    let conf = ResolvConf::parse(&origin.text, &origin.path)?.with(&sandbox.spec.dns);
    Ok(if sandbox.spec.namespace == NamespaceSource::Host {
        conf.host()
    } else if names::wants_resolver(state, sandbox) {
        conf.internal(RESOLVER_ADDRESS.into())
    } else {
        conf.legacy(reach(state, sandbox))
    })
}

/// Refuses what cannot stand in a sandbox's files, before anything is joined.
pub(super) fn check(sandbox: &Sandbox) -> Result<(), Error> {
    ResolvConf::parse(&sandbox.basis.resolv_conf.text, &sandbox.basis.resolv_conf.path)?;
    let spec = &sandbox.spec;
    own(spec, Ipv4Addr::LOCALHOST.into())?;
    let names = [("sandbox name", Some(&spec.name)), ("host name", spec.hostname.as_ref())];
    let names = names.into_iter().chain([("domain name", spec.domainname.as_ref())]);
    let words = names.filter_map(|(what, name)| Some((what, name?)));
    let search = spec.dns.search.iter().map(|domain| ("search domain", domain));
    let options = spec.dns.options.iter().map(|option| ("resolver option", option));
    for (what, word) in words.chain(search).chain(options) {
        check_word(what, word)?;
    }
    Ok(())
}

fn hosts(state: &State, sandbox: &Sandbox) -> Result<String, Error> {
    let spec = &sandbox.spec;
    let shared = spec.namespace == NamespaceSource::Host;
    if let Some(text) = sandbox.basis.hosts.as_ref().filter(|_| shared && spec.extra_hosts.is_empty()) {
        return Ok(text.clone());
    }
    let gateways = if shared { host_itself() } else { gateway_addresses(state, sandbox) };
    let mut extra = Vec::new();
    for host in &spec.extra_hosts {
        match host.address() {
            HostAddress::Ip(ip) => extra.push(HostEntry::new(ip, host.name())?),
            HostAddress::Gateway => {
                for ip in &gateways {
                    extra.push(HostEntry::new(*ip, host.name())?);
                }
            }
        }
    }
    let endpoints = gateway::ordered(state, sandbox.id);
    let addresses = endpoints.iter().filter(|(endpoint, _)| !endpoint.automatic).flat_map(|(one, _)| &one.addresses);
    let own: Result<Vec<HostEntry>, FileError> = addresses.map(|address| own(spec, address.addr())).collect();
    Ok(Hosts { ipv6: sandbox.basis.ipv6, extra, own: own? }.to_string())
}

/// Returns the line of one of a sandbox's own addresses. Without a host name it is found by its container's.
fn own(spec: &SandboxSpec, ip: IpAddr) -> Result<HostEntry, FileError> {
    let hostname = spec.hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or(&spec.name);
    HostEntry::own(ip, hostname, spec.domainname.as_deref())
}

/// Returns where a sandbox reaches the host, per family.
fn gateway_addresses(state: &State, sandbox: &Sandbox) -> Vec<IpAddr> {
    let gateways = gateway::of(state, sandbox.id);
    let address = |v6| {
        let endpoint = gateways.of(v6).and_then(|id| state.endpoint(id))?;
        endpoint.attached.as_ref()?.routing.gateway(v6)
    };
    [false, true].into_iter().filter_map(address).collect()
}

fn host_itself() -> Vec<IpAddr> {
    vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
}

/// Returns whether a sandbox reaches servers by IPv6; of one that reaches nobody yet nothing is known.
fn reach(state: &State, sandbox: &Sandbox) -> Ipv6 {
    let mut reach = Ipv6::Unknown;
    for endpoint in state.attached_to(sandbox.id) {
        if endpoint.address(true).is_some() {
            return Ipv6::On;
        }
        reach = Ipv6::Off;
    }
    reach
}
