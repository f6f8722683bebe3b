//! Kernel settings and which of them move others.

use std::collections::BTreeMap;

use pontoon_core::engine::{HostError, NoIpv6};
use pontoon_core::model::IfName;
use pontoon_core::objects::{Place, Sysctl, Tenure};

use super::world::{ENOENT, EROFS, Netns, World, errno, missing};

/// Settings of a link, with the value a new one has where the namespace's `default` says nothing.
const PER_LINK: [&str; 5] =
    ["ipv4.forwarding", "ipv4.route_localnet", "ipv6.forwarding", "ipv6.disable_ipv6", "ipv6.accept_ra"];

/// Returns the settings of a fresh namespace.
pub(super) fn defaults() -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([
        ("net.ipv4.ip_forward".to_owned(), "0".to_owned()),
        ("net.ipv4.ip_unprivileged_port_start".to_owned(), "1024".to_owned()),
    ]);
    for setting in PER_LINK {
        let (family, leaf) = setting.split_once('.').expect("written with a dot above");
        let value = if leaf == "accept_ra" { "1" } else { "0" };
        for scope in ["all", "default"] {
            settings.insert(format!("net.{family}.conf.{scope}.{leaf}"), value.to_owned());
        }
    }
    settings
}

/// Gives a new link its namespace's default settings.
pub(super) fn inherit(settings: &BTreeMap<String, String>, conf: &mut BTreeMap<String, String>) {
    for setting in PER_LINK {
        let (family, leaf) = setting.split_once('.').expect("written with a dot above");
        if let Some(value) = settings.get(&format!("net.{family}.conf.default.{leaf}")) {
            conf.insert(setting.to_owned(), value.clone());
        }
    }
}

/// A setting of a link: the link and the name below it.
fn of_link(netns: &Netns, name: &str) -> Option<(IfName, String)> {
    let (family, rest) = name.strip_prefix("net.")?.split_once(".conf.")?;
    let (link, leaf) = rest.split_once('.')?;
    // A slash stands for a dot in a name.
    let link = IfName::new(link.replace('/', ".")).ok()?;
    netns.links.contains_key(&link).then(|| (link, format!("{family}.{leaf}")))
}

impl Netns {
    /// Returns a setting's value.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let value = match of_link(self, name) {
            Some((link, setting)) => self.links.get(&link)?.conf.get(&setting),
            None => self.settings.get(name),
        };
        value.map(String::as_str)
    }

    /// Writes a setting, which may move others and cost addresses.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if self.setting(name) == Some(value) {
            return;
        }
        match of_link(self, name) {
            Some((link, setting)) => self.set_on_link(&link, &setting, value),
            None => {
                self.settings.insert(name.to_owned(), value.to_owned());
                self.spread(name, value);
            }
        }
    }

    fn set_on_link(&mut self, link: &IfName, setting: &str, value: &str) {
        if let Some(link) = self.links.get_mut(link) {
            link.conf.insert(setting.to_owned(), value.to_owned());
        }
        if setting == "ipv6.disable_ipv6" {
            self.drop_ipv6(link);
        }
    }

    /// Settings for all interfaces (`devinet_sysctl_forward`, `addrconf_fixup_forwarding`, `addrconf_disable_ipv6`).
    fn spread(&mut self, name: &str, value: &str) {
        let setting = match name {
            "net.ipv4.ip_forward" | "net.ipv4.conf.all.forwarding" => "ipv4.forwarding",
            "net.ipv6.conf.all.forwarding" => "ipv6.forwarding",
            "net.ipv6.conf.all.disable_ipv6" => "ipv6.disable_ipv6",
            _ => return,
        };
        let (family, leaf) = setting.split_once('.').expect("written with a dot above");
        if setting == "ipv4.forwarding" {
            // Two names of one thing.
            self.settings.insert("net.ipv4.ip_forward".to_owned(), value.to_owned());
            self.settings.insert("net.ipv4.conf.all.forwarding".to_owned(), value.to_owned());
        }
        self.settings.insert(format!("net.{family}.conf.default.{leaf}"), value.to_owned());
        let links: Vec<IfName> = self.links.keys().cloned().collect();
        links.iter().for_each(|link| self.set_on_link(link, setting, value));
    }
}

/// Who asks for IPv6 may go on without.
fn refusal(sysctl: &Sysctl) -> HostError {
    let interface = sysctl.link().filter(|_| sysctl.is_ipv6_switch() && sysctl.value == "0");
    match (sysctl.place, interface.and_then(|link| link.parse().ok())) {
        (Place::Sandbox(sandbox), Some(interface)) => {
            HostError::NoIpv6(Box::new(NoIpv6 { sandbox, interface, reason: "Read-only file system".to_owned() }))
        }
        _ => errno(EROFS),
    }
}

impl World {
    pub(super) fn add_sysctl(&mut self, sysctl: &Sysctl) -> Result<(), HostError> {
        let present = self.read(sysctl)?;
        self.write(sysctl, &present)
    }

    /// Writes only over the value that is expected: another is somebody else's wish.
    pub(super) fn change_sysctl(&mut self, from: &Sysctl, to: &Sysctl) -> Result<(), HostError> {
        let present = self.read(to)?;
        if present != from.value {
            return Ok(());
        }
        self.write(to, &present)
    }

    fn read(&mut self, sysctl: &Sysctl) -> Result<String, HostError> {
        let netns = self.enter(sysctl.place)?;
        let value = netns.setting(&sysctl.name).map(str::to_owned);
        value.ok_or_else(|| match sysctl.tenure {
            Tenure::Own => errno(ENOENT),
            _ => missing(format!("sysctl {}", sysctl.name)),
        })
    }

    fn write(&mut self, sysctl: &Sysctl, present: &str) -> Result<(), HostError> {
        if present == sysctl.value {
            return Ok(());
        }
        if self.read_only.contains(&sysctl.name) {
            return Err(refusal(sysctl));
        }
        self.enter(sysctl.place)?.set(&sysctl.name, &sysctl.value);
        Ok(())
    }
}
