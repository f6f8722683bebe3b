//! Veth pairs between a bridge and a sandbox.
//!
//! The other end is made in the sandbox at once: moving it there would wait for the kernel's readers.

use std::os::fd::AsRawFd;

use pontoon_core::engine::HostError;
use pontoon_core::model::{IfName, MacAddr, SandboxId};
use pontoon_core::objects::{Advertise, Flaw, Veth};
use pontoon_netlink::Request;
use pontoon_netlink::route::{BridgePort, Kind, Link, LinkChange, NewLink, Peer, delete_link, index_of, link};

use tracing::info_span;

use super::reaper::Pair;
use super::run::Run;
use super::{LINK_GROUP, error};

/// Tries before an interface index or name that is always taken is given up.
const ATTEMPTS: usize = 16;

impl Run<'_> {
    pub(super) fn add_veth(&mut self, step: usize, veth: &Veth) -> Result<(), HostError> {
        // The host end is made a port of its bridge, and up, by the message that makes it: one moment, two of upstream's spans.
        let _bridged =
            info_span!("libnetwork.drivers.bridge.addToBridge", ifaceName = %veth.name, bridgeName = bridge_name(veth))
                .entered();
        let _up = info_span!("libnetwork.drivers.bridge.linkUp", host = %veth.name).entered();
        if self.host.reaper.is_leaving(veth.name.as_str()) {
            self.host.reaper.settle(None)?;
        }
        let namespace = self.inside(veth.sandbox)?.open.namespace.as_raw_fd();
        let master = self.bridge_of(veth)?;
        let mut settled = false;
        for _ in 0..ATTEMPTS {
            let (index, peer) = self.host.draw_indices();
            let new = NewLink {
                index: Some(index),
                mtu: Some(veth.mtu.bytes()),
                master: Some(master),
                group: Some(LINK_GROUP),
                transmit_queue: Some(0),
                up: true,
                ..NewLink::new(veth.name.as_str(), Kind::Veth(self::peer(veth, peer, namespace)))
            };
            let mut requests = vec![new.create()];
            requests.extend(dress(veth, index));
            let mut answers = self.route.batch(&requests).map_err(|e| error::failed(&e))?.into_iter();
            match answers.next().unwrap_or(Ok(())) {
                Ok(()) => {
                    if let Some(Err(refusal)) = answers.find(Result::is_err) {
                        // The first error is what matters; what is left is in our group, where the next start finds it.
                        let _ = self.retire(index);
                        return Err(error::refused(&refusal));
                    }
                    self.woken.extend([index, master]);
                    return self.expect_up(step, veth, peer);
                }
                Err(refusal) if refusal.errno == libc::EBUSY => {}
                Err(refusal) if refusal.errno == libc::EEXIST => {
                    if self.resolve_collision(step, veth, &mut settled)? {
                        return Ok(());
                    }
                }
                Err(refusal) => return Err(error::refused(&refusal)),
            }
        }
        Err(error::number(&format!("making the interface {}", veth.name), libc::EBUSY))
    }

    /// Returns the index of its bridge; 0 if it is to be a port of none, as it was before a repair that is taken back.
    fn bridge_of(&mut self, veth: &Veth) -> Result<u32, HostError> {
        let Some(bridge) = &veth.bridge else { return Ok(0) };
        let index = self.host_stack().index(bridge)?;
        index.ok_or_else(|| HostError::Missing { what: format!("the bridge {bridge}") })
    }

    /// The other end is set up with the batch that gives it addresses.
    fn expect_up(&mut self, step: usize, veth: &Veth, peer: u32) -> Result<(), HostError> {
        let inside = self.inside(veth.sandbox)?;
        inside.indices.insert(veth.peer.to_string(), peer);
        if veth.flaw != Some(Flaw::PeerDown) {
            inside.pending.push((step, peer));
        }
        Ok(())
    }

    /// Finds out who has the name. Returns whether it was the very pair that is wanted, which is right now.
    fn resolve_collision(&mut self, step: usize, veth: &Veth, settled: &mut bool) -> Result<bool, HostError> {
        match link(&mut self.route, veth.name.as_str()).map_err(|e| error::failed(&e))? {
            Some(_) if self.host.reaper.is_leaving(veth.name.as_str()) => self.host.reaper.settle(None).map(|()| false),
            Some(present) if is_ours(&present) => self.adjust_veth(step, veth, &present),
            Some(present) => self.make_way(&present).map(|()| false),
            // The name inside may be that of a pair that waits to be deleted.
            None if !*settled => {
                *settled = true;
                self.host.reaper.reap();
                self.host.reaper.settle(None).map(|()| false)
            }
            None => {
                let what = format!("the interface {} in sandbox {}", veth.peer, veth.sandbox.short());
                Err(HostError::Foreign { what })
            }
        }
    }

    pub(super) fn change_veth(&mut self, step: usize, veth: &Veth) -> Result<(), HostError> {
        match self.ours(&veth.name)? {
            // A repair that is taken back: an end that was lost is not lost again.
            _ if matches!(veth.flaw, Some(Flaw::PeerLost | Flaw::Unfinished)) => Ok(()),
            Some(present) if is_ours(&present) && self.adjust_veth(step, veth, &present)? => Ok(()),
            _ => self.add_veth(step, veth),
        }
    }

    /// Sets a pair of ours right. One that leads elsewhere is deleted, and `false` returned.
    fn adjust_veth(&mut self, step: usize, veth: &Veth, present: &Link) -> Result<bool, HostError> {
        let master = self.bridge_of(veth)?;
        let inside = self.inside(veth.sandbox)?;
        let peer = match present.peer {
            Some(index) => link(&mut inside.open.socket, index).map_err(|e| error::failed(&e))?,
            None => None,
        };
        let Some(peer) = peer.filter(|peer| peer.name == veth.peer.as_str() && peer.peer == Some(present.index)) else {
            self.route.request(&delete_link(present.index)).map_err(|e| error::failed(&e))?;
            return Ok(false);
        };
        let ours = LinkChange {
            mtu: Some(veth.mtu.bytes()),
            mac: Some(veth.mac.octets()),
            up: (veth.flaw == Some(Flaw::PeerDown)).then_some(false),
            ..LinkChange::new(peer.index)
        };
        inside.open.socket.request(&ours.set()).map_err(|e| error::failed(&e))?;
        let host = LinkChange {
            mtu: Some(veth.mtu.bytes()),
            master: Some(master),
            up: Some(veth.flaw != Some(Flaw::Down)),
            ..LinkChange::new(present.index)
        };
        let mut requests = vec![host.set()];
        requests.extend(dress(veth, present.index));
        if master != 0 {
            let (isolated, hairpin) = (Some(veth.isolated), Some(veth.hairpin));
            requests.push(BridgePort { isolated, hairpin, ..BridgePort::new(present.index) }.set());
        }
        for answer in self.route.batch(&requests).map_err(|e| error::failed(&e))? {
            answer.map_err(|refusal| error::refused(&refusal))?;
        }
        self.woken.extend([present.index, master]);
        self.expect_up(step, veth, peer.index)?;
        Ok(true)
    }

    pub(super) fn remove_veth(&mut self, veth: &Veth) -> Result<(), HostError> {
        if let Some(inside) = self.inside.get_mut(&veth.sandbox) {
            let gone = inside.indices.remove(veth.peer.as_str());
            inside.pending.retain(|(_, index)| Some(*index) != gone);
        }
        let addresses = self.end_tenancy(veth);
        if self.ending.contains(&veth.sandbox) {
            let present = index_of(&self.route, veth.name.as_str()).map_err(|e| error::failed(&e))?;
            match present {
                Some(index) => self.leaving.1.push(Pair { name: veth.name.to_string(), index, addresses }),
                None => self.host.reaper.forget_addresses(addresses),
            }
            return Ok(());
        }
        if let Some(present) = self.ours(&veth.name)?.filter(is_ours) {
            self.retire(present.index)?;
        }
        self.host.reaper.forget_addresses(addresses);
        Ok(())
    }
}

fn bridge_name(veth: &Veth) -> Option<&str> {
    veth.bridge.as_ref().map(IfName::as_str)
}

fn is_ours(link: &Link) -> bool {
    link.group == LINK_GROUP && link.kind.as_deref() == Some("veth")
}

fn peer(veth: &Veth, index: u32, namespace: i32) -> Peer {
    Peer {
        index: Some(index),
        mac: Some(veth.mac.octets()),
        mtu: Some(veth.mtu.bytes()),
        namespace: Some(namespace),
        ..Peer::new(veth.peer.as_str())
    }
}

/// What cannot be said in the message that makes a link.
fn dress(veth: &Veth, index: u32) -> Vec<Request> {
    let mut requests = vec![LinkChange { alias: Some(alias(veth)), ..LinkChange::new(index) }.set()];
    if veth.isolated || veth.hairpin {
        let on = |flag: bool| flag.then_some(true);
        let port = BridgePort { isolated: on(veth.isolated), hairpin: on(veth.hairpin), ..BridgePort::new(index) };
        requests.push(port.set());
    }
    requests
}

/// Says where the other end is: that cannot be seen from here.
fn alias(veth: &Veth) -> String {
    let advertise = match veth.advertise {
        Some(Advertise { count, interval }) => format!("{count}x{interval}"),
        None => "0".to_owned(),
    };
    format!("pontoon {} {} {} {advertise}", veth.sandbox, veth.peer, veth.mac)
}

/// What [`alias`] says.
pub(super) struct Told {
    pub(super) sandbox: SandboxId,
    pub(super) peer: IfName,
    pub(super) mac: MacAddr,
    pub(super) advertise: Option<Advertise>,
}

/// Reads what [`alias`] wrote.
pub(super) fn read_alias(text: &str) -> Option<Told> {
    let mut words = text.strip_prefix("pontoon ")?.split(' ');
    let (sandbox, peer, mac) = (words.next()?, words.next()?, words.next()?);
    let advertise = words.next().and_then(|text| text.split_once('x'));
    let advertise =
        advertise.and_then(|(n, ms)| Some(Advertise { count: n.parse().ok()?, interval: ms.parse().ok()? }));
    Some(Told { sandbox: sandbox.parse().ok()?, peer: peer.parse().ok()?, mac: mac.parse().ok()?, advertise })
}
