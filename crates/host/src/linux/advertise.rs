//! Telling the neighbours of a sandbox who has an address now: they may remember another MAC address.
//!
//! The first announcement is made when the interface is up, by the thread that applies the plan. An [`Announcer`] makes the
//! others on a thread of its own: that of the host, or that of a process that lives longer.

mod packet;
mod worker;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pontoon_core::engine::HostError;
use pontoon_core::model::{IfName, MacAddr, SandboxId, is_link_local};
use pontoon_core::objects::{Advertise, Object, Op, Place, Veth};
use pontoon_netlink::Request;
use pontoon_netlink::netns::Visitor;
use pontoon_netlink::route::{PortState, addresses, announce, link, look};

use super::namespaces::Open;
use super::run::Run;
use super::{PROTOCOL, error};

pub use worker::{Announcer, Ticket};

/// How long a bridge port may take to forward, and an interface to be able to send.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(10);

/// What is announced of an interface of a sandbox, how often, and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The interface's name there.
    pub link: IfName,
    /// Its MAC address; with another one it is another interface, of which nothing is announced.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// How often.
    pub count: u8,
    /// The time from one to the next.
    pub interval: Duration,
}

impl Run<'_> {
    /// Announces the addresses of interfaces that steps made or changed. A failure is no reason to undo anything.
    pub(super) fn announce(&mut self, ops: &[Op]) {
        for op in ops {
            let (Op::Add(Object::Veth(veth)) | Op::Change { to: Object::Veth(veth), .. }) = op else { continue };
            let Some(advertise) = veth.advertise.filter(|_| veth.flaw.is_none()) else { continue };
            match self.announce_first(ops, op, veth, advertise) {
                Ok(rest) => {
                    if let (Some(announcer), Some(rest)) = (&self.host.announcer, rest) {
                        let interval = rest.interval;
                        announcer.ask(rest, interval);
                    }
                }
                Err(error) => {
                    let (interface, sandbox) = (&veth.peer, veth.sandbox.short());
                    tracing::warn!(%error, %interface, sandbox, "the addresses of an interface could not be announced");
                }
            }
        }
    }

    /// Announces once; returns what remains to be announced.
    fn announce_first(
        &mut self,
        ops: &[Op],
        op: &Op,
        veth: &Veth,
        Advertise { count, interval }: Advertise,
    ) -> Result<Option<Announcement>, HostError> {
        let Some(&index) = self.inside(veth.sandbox)?.indices.get(veth.peer.as_str()) else { return Ok(None) };
        let addresses = match op {
            Op::Add(_) => given(ops, veth),
            _ => self.present(veth.sandbox, index)?,
        };
        if addresses.is_empty() {
            return Ok(None);
        }
        self.await_port(veth)?;
        let announcement = Announcement {
            sandbox: veth.sandbox,
            link: veth.peer.clone(),
            mac: veth.mac,
            addresses,
            count: count.saturating_sub(1),
            interval: Duration::from_millis(interval.into()),
        };
        let visitor = self.host.visitor.clone();
        send(&announcement, index, &mut self.inside(veth.sandbox)?.open, &visitor)?;
        Ok((announcement.count > 0).then_some(announcement))
    }

    /// Returns the addresses that an interface has from us.
    fn present(&mut self, sandbox: SandboxId, index: u32) -> Result<Vec<IpAddr>, HostError> {
        let socket = &mut self.inside(sandbox)?.open.socket;
        let listed = addresses(socket, Some(index)).map_err(|e| error::failed(&e))?;
        let ours = listed.into_iter().filter(|one| one.protocol == PROTOCOL).map(|one| one.prefix.addr());
        Ok(ours.filter(|address| !is_link_local(*address)).collect())
    }

    /// Waits until the bridge passes what the interface sends; without spanning tree it does so at once, or nearly.
    fn await_port(&mut self, veth: &Veth) -> Result<(), HostError> {
        let began = Instant::now();
        loop {
            let present = link(&mut self.route, veth.name.as_str()).map_err(|e| error::failed(&e))?;
            let state = present.and_then(|link| link.port).and_then(|port| port.state);
            if state == Some(PortState::Forwarding) || began.elapsed() > PATIENCE {
                return Ok(());
            }
            sleep(PAUSE);
        }
    }
}

/// Returns the addresses that steps give to an interface. Link-local ones are announced by nobody: whoever takes one asks first
/// (RFC 3927 section 2.4).
fn given(ops: &[Op], veth: &Veth) -> Vec<IpAddr> {
    let place = Place::Sandbox(veth.sandbox);
    ops.iter()
        .filter_map(|op| match op {
            Op::Add(Object::Address(one)) if one.place == place && one.link == veth.peer => Some(one.prefix.addr()),
            _ => None,
        })
        .filter(|address| !is_link_local(*address))
        .collect()
}

/// Announces once, inside the sandbox, from the interface of an index.
fn send(announcement: &Announcement, index: u32, open: &mut Open, visitor: &Visitor) -> Result<(), HostError> {
    let mac = announcement.mac;
    let v4: Vec<Ipv4Addr> = announcement.addresses.iter().filter_map(|one| ipv4(*one)).collect();
    let v6: Vec<Ipv6Addr> = announcement.addresses.iter().filter_map(|one| ipv6(*one)).collect();
    let mut requests: Vec<Request> = v4.into_iter().flat_map(|address| announce(index, address)).collect();
    if !v6.is_empty() {
        // IPv6 sends nothing before it knows of the carrier.
        requests.push(look(index));
    }
    for answer in open.socket.batch(&requests).map_err(|e| error::failed(&e))? {
        answer.map_err(|refusal| error::refused(&refusal))?;
    }
    if v6.is_empty() {
        return Ok(());
    }
    let sent = visitor.visit(&open.namespace, move || v6.iter().try_for_each(|one| patiently(index, mac, *one)));
    let what = "sending a neighbour advertisement";
    sent.map_err(|e| error::because(what, &e))?.map_err(|e| error::io(what, &e))
}

/// Sends a neighbour advertisement as soon as there is a way for it.
fn patiently(index: u32, mac: MacAddr, address: Ipv6Addr) -> std::io::Result<()> {
    let began = Instant::now();
    loop {
        match packet::advertise(index, mac, address) {
            Err(e)
                if [libc::ENETUNREACH, libc::EADDRNOTAVAIL].map(Some).contains(&e.raw_os_error())
                    && began.elapsed() < PATIENCE =>
            {
                sleep(PAUSE);
            }
            sent => return sent,
        }
    }
}

fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn ipv6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(address),
    }
}
