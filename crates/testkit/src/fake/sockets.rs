//! Bound host ports.

use std::net::IpAddr;

use pontoon_core::engine::HostError;
use pontoon_core::objects::Held;
use pontoon_core::ports::PortProto;

use super::world::{EADDRNOTAVAIL, EEXIST, NetnsKey, World, errno};

impl World {
    pub(super) fn add_held(&mut self, held: &Held) -> Result<(), HostError> {
        match self.held.iter().find(|present| is_same(present, held)) {
            Some(present) if present == held => return Ok(()),
            Some(_) => return Err(errno(EEXIST)),
            None => {}
        }
        self.check_free(held)?;
        self.held.push(held.clone());
        Ok(())
    }

    /// Holds more or fewer ports; those held already stay held.
    pub(super) fn change_held(&mut self, to: &Held) -> Result<(), HostError> {
        let before = self.held.clone();
        self.remove_held(to);
        let taken = self.check_free(to);
        match taken {
            Ok(()) => self.held.push(to.clone()),
            Err(_) => self.held = before,
        }
        taken
    }

    pub(super) fn remove_held(&mut self, held: &Held) {
        self.held.retain(|present| !is_same(present, held));
    }

    fn check_free(&self, held: &Held) -> Result<(), HostError> {
        if !self.is_local(held.ip) {
            return Err(errno(EADDRNOTAVAIL));
        }
        match ports(held).find(|port| self.is_busy(held.proto, held.ip, *port)) {
            Some(port) => Err(HostError::PortBusy { ip: held.ip, port, proto: held.proto }),
            None => Ok(()),
        }
    }

    fn is_local(&self, ip: IpAddr) -> bool {
        let host = self.netns.get(&NetnsKey::Host);
        let mut assigned = host.into_iter().flat_map(|netns| &netns.addresses).map(|address| address.prefix.addr());
        ip.is_unspecified() || ip.is_loopback() || assigned.any(|address| address == ip)
    }

    /// Two sockets of one port collide if they have one address or either has all: listening sockets of TCP even with
    /// SO_REUSEADDR, and those of UDP without it. IPv6 sockets here take IPv6 only.
    fn is_busy(&self, proto: PortProto, ip: IpAddr, port: u16) -> bool {
        let foreign = self.occupied.iter().map(|&(proto, ip, port)| (proto, ip, port));
        let ours = self.held.iter().flat_map(|held| ports(held).map(|port| (held.proto, held.ip, port)));
        foreign.chain(ours).any(|(other_proto, other, other_port)| {
            let meet = other == ip || other.is_unspecified() || ip.is_unspecified();
            other_proto == proto && other_port == port && other.is_ipv4() == ip.is_ipv4() && meet
        })
    }
}

fn is_same(one: &Held, other: &Held) -> bool {
    (one.proto, one.ip, one.port) == (other.proto, other.ip, other.port)
}

fn ports(held: &Held) -> impl Iterator<Item = u16> + use<> {
    let first = held.port;
    (0..held.count).filter_map(move |i| first.checked_add(i))
}
