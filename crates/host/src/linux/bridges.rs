//! Bridges on the host.

use std::fs;
use std::io::ErrorKind;

use pontoon_core::engine::HostError;
use pontoon_core::model::IfName;
use pontoon_core::objects::{Address, Bridge, Flaw, Place};
use pontoon_netlink::route::{
    self, Ipv4Setting, Kind, Link, LinkChange, NewLink, Target, addresses, delete_link, link,
};
use pontoon_netlink::{Error, Refusal};

use super::run::Run;
use super::{LINK_GROUP, PROTOCOL, REAP_GROUP, error};

/// Tries before an interface index or name that is always taken is given up.
const ATTEMPTS: usize = 16;

impl Run<'_> {
    pub(super) fn add_bridge(&mut self, bridge: &Bridge) -> Result<(), HostError> {
        for _ in 0..ATTEMPTS {
            match self.create_bridge(bridge) {
                Err(refusal) if refusal.errno == libc::EBUSY => continue,
                Err(refusal) if refusal.errno == libc::EEXIST => {}
                other => {
                    other.map_err(|refusal| error::refused(&refusal))?;
                    return self.furnish_bridge(bridge).inspect_err(|_| {
                        // The first error is what matters; what is left is in our group, where the next start finds it.
                        let _ = self.retire(bridge.name.as_str());
                    });
                }
            }
            match link(&mut self.route, bridge.name.as_str()).map_err(|e| error::failed(&e))? {
                Some(present) if present.group == LINK_GROUP && present.kind.as_deref() == Some("bridge") => {
                    return self.adjust_bridge(bridge, &present);
                }
                Some(present) => self.make_way(&present)?,
                None => {}
            }
        }
        Err(error::number(&format!("making the bridge {}", bridge.name), libc::EEXIST))
    }

    /// Makes it, down.
    fn create_bridge(&mut self, bridge: &Bridge) -> Result<(), Refusal> {
        let kind = route::Bridge { forward_delay: Some(0), spanning_tree: Some(false), ..route::Bridge::default() };
        // An index of our own: by name, the change would hit a foreign bridge if there is one.
        let (index, _) = self.host.draw_indices();
        let new = NewLink {
            index: Some(index),
            mac: Some(bridge.mac.octets()),
            mtu: Some(bridge.mtu.bytes() ^ 1),
            group: Some(LINK_GROUP),
            ..NewLink::new(bridge.name.as_str(), Kind::Bridge(kind))
        };
        // A bridge follows the MTU of its ports unless its own is changed after it was made: to what it is not.
        let change = LinkChange {
            mtu: Some(bridge.mtu.bytes()),
            ipv4: vec![(Ipv4Setting::RouteLocalnet, u32::from(bridge.route_localnet))],
            ..LinkChange::new(index)
        };
        let requests = [new.create(), change.set()];
        let mut answers = self.route.batch(&requests).map_err(|e| super::run::lost(&e))?.into_iter();
        answers.next().unwrap_or(Ok(()))?;
        answers.next().unwrap_or(Ok(())).inspect_err(|_| {
            // The first error is what matters; what is left is in our group, where the next start finds it.
            let _ = self.retire(index);
        })
    }

    /// Settings first: an interface that is up has a link-local address at once.
    fn furnish_bridge(&mut self, bridge: &Bridge) -> Result<(), HostError> {
        write_settings(bridge)?;
        let up = LinkChange { up: Some(true), ..LinkChange::new(bridge.name.as_str()) };
        self.route.request(&up.set()).map_err(|e| error::failed(&e))
    }

    pub(super) fn change_bridge(&mut self, bridge: &Bridge) -> Result<(), HostError> {
        match link(&mut self.route, bridge.name.as_str()).map_err(|e| error::failed(&e))? {
            Some(present) if present.group == LINK_GROUP && present.kind.as_deref() == Some("bridge") => {
                self.adjust_bridge(bridge, &present)
            }
            _ => self.add_bridge(bridge),
        }
    }

    fn adjust_bridge(&mut self, bridge: &Bridge, present: &Link) -> Result<(), HostError> {
        write_settings(bridge)?;
        let change = LinkChange {
            mac: (present.mac != Some(bridge.mac.octets())).then(|| bridge.mac.octets()),
            mtu: Some(bridge.mtu.bytes()),
            // A repair that is taken back leaves it as it was.
            up: Some(bridge.flaw != Some(Flaw::Down)),
            ..LinkChange::new(present.index)
        };
        self.route.request(&change.set()).map_err(|e| error::failed(&e))
    }

    /// Frees a name if what has it only waits to be deleted.
    pub(super) fn make_way(&mut self, present: &Link) -> Result<(), HostError> {
        if present.group != REAP_GROUP {
            return Err(HostError::Foreign { what: format!("the interface {}", present.name) });
        }
        match self.route.request(&delete_link(present.index)) {
            Err(Error::Refused(refusal)) if refusal.errno == libc::ENODEV => Ok(()),
            other => other.map_err(|e| error::failed(&e)),
        }
    }

    pub(super) fn remove_bridge(&mut self, step: usize, bridge: &Bridge) -> Result<(), HostError> {
        let Some(present) = self.ours(&bridge.name)? else { return Ok(()) };
        let addresses = addresses(&mut self.route, Some(present.index)).map_err(|e| error::failed(&e))?;
        let ours = addresses.into_iter().filter(|address| address.protocol == PROTOCOL);
        let graves =
            ours.map(|a| Address { place: Place::Host, link: bridge.name.clone(), prefix: a.prefix }).collect();
        self.graves.insert(step, graves);
        self.indices.remove(bridge.name.as_str());
        self.retire(present.index)
    }

    /// Returns the link of that name if it is ours and not waiting to be deleted.
    pub(super) fn ours(&mut self, name: &IfName) -> Result<Option<Link>, HostError> {
        let present = link(&mut self.route, name.as_str()).map_err(|e| error::failed(&e))?;
        Ok(present.filter(|link| link.group == LINK_GROUP))
    }

    /// Makes a link of ours harmless and leaves its deletion to the reaper.
    ///
    /// A port that is down neither receives nor sends. It stays a port: leaving its bridge would wait for the kernel's
    /// readers once more, and comes with the deletion anyway.
    pub(super) fn retire(&mut self, target: impl Into<Target>) -> Result<(), HostError> {
        self.reap = true;
        let down = LinkChange { up: Some(false), group: Some(REAP_GROUP), ..LinkChange::new(target) };
        match self.route.request(&down.set()) {
            Err(Error::Refused(refusal)) if refusal.errno == libc::ENODEV => Ok(()),
            other => other.map_err(|e| error::failed(&e)),
        }
    }
}

/// Returns the value of a setting of an interface; `None` if the kernel lacks it.
pub(super) fn setting(family: &str, link: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/net/{family}/conf/{link}/{name}")).ok()?;
    Some(text.trim().to_owned())
}

fn write_settings(bridge: &Bridge) -> Result<(), HostError> {
    let name = bridge.name.as_str();
    write_setting("ipv4", name, "route_localnet", bridge.route_localnet)?;
    write_setting("ipv6", name, "disable_ipv6", !bridge.ipv6)?;
    if bridge.ipv6 {
        write_setting("ipv6", name, "accept_ra", false)?;
        // The kernel asks for neighbours from the link-local address. While that is being probed for duplicates, for a
        // second or two after the first port, nobody but the host itself reaches containers over IPv6.
        write_setting("ipv6", name, "accept_dad", false)?;
    }
    Ok(())
}

/// Writes a setting unless it is right; one that the kernel lacks is off.
fn write_setting(family: &str, link: &str, name: &str, on: bool) -> Result<(), HostError> {
    let value = if on { "1" } else { "0" };
    match setting(family, link, name) {
        Some(present) if present == value => return Ok(()),
        // A kernel without IPv6 has it disabled.
        None if family == "ipv6" && on == (name == "disable_ipv6") => return Ok(()),
        _ => {}
    }
    let path = format!("/proc/sys/net/{family}/conf/{link}/{name}");
    fs::write(&path, value).map_err(|e| match e.kind() {
        ErrorKind::NotFound if family == "ipv6" => HostError::Unsupported { what: "IPv6".to_owned() },
        _ => error::io(&format!("setting {name} of {link} to {value}"), &e),
    })
}
