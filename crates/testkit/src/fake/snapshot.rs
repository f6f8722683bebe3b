//! Everything on the host as text.

use std::fmt;

use pontoon_core::objects::Advertise;

use super::world::{Kind, Link, Netns, NetnsKey, World};

/// Everything on a host at one moment, one line each, foreign things included; two are equal if the hosts were.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot(Vec<String>);

impl Snapshot {
    pub(super) fn of(world: &World) -> Self {
        let mut lines = Vec::new();
        for (key, netns) in &world.netns {
            lines.push(format!("namespace {key}"));
            lines.extend(netns.lines().map(|line| format!("  {line}")));
        }
        lines.extend(world.sandboxes.values().map(ToString::to_string));
        lines.extend(
            world
                .files
                .iter()
                .map(|((sandbox, name), written)| format!("file {name} of sandbox {}: {written:?}", sandbox.short())),
        );
        if let Some(table) = &world.table {
            lines.push(table.ruleset.to_string());
            lines.extend(table.elements.values().map(|present| format!("  {}", present.element)));
        }
        let mut held: Vec<String> = world.held.iter().map(ToString::to_string).collect();
        held.sort_unstable();
        lines.extend(held);
        let occupied = world.occupied.iter();
        lines.extend(occupied.map(|(proto, ip, port)| format!("foreign socket {ip} {port}/{proto}")));
        Self(lines)
    }

    /// Returns the lines that only this one has with `-`, and those that only `later` has with `+`.
    pub fn difference(&self, later: &Self) -> String {
        let only = |one: &Self, other: &Self, sign: char| -> String {
            one.0.iter().filter(|line| !other.0.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
        };
        only(self, later, '-') + &only(later, self, '+')
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for NetnsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("of the host"),
            Self::Made(sandbox) => write!(f, "made for {}", sandbox.short()),
            Self::At(path) => write!(f, "at {path}"),
        }
    }
}

impl Netns {
    fn lines(&self) -> impl Iterator<Item = String> {
        let whose = |ours: bool| if ours { "" } else { "foreign " };
        let links = self.links.iter().map(|(name, link)| format!("link {name} {link}"));
        let addresses = self
            .addresses
            .iter()
            .map(move |address| format!("{}address {} on {}", whose(address.ours), address.prefix, address.link));
        let routes = self.routes.iter().map(move |route| {
            let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
            format!("{}route {}{via} on {}", whose(route.ours), route.to, route.link)
        });
        let settings = self.settings.iter().map(|(name, value)| format!("sysctl {name} = {value}"));
        let redirect = self.redirect.map(|port| format!("redirect to port {port}"));
        let mut changing: Vec<String> = addresses.chain(routes).chain(redirect).collect();
        changing.sort_unstable();
        links.chain(changing).chain(settings).collect::<Vec<_>>().into_iter()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Loopback => f.write_str("loopback")?,
            Kind::Bridge => f.write_str("bridge")?,
            Kind::Veth { peer: (netns, peer), .. } => write!(f, "veth to {peer} in the namespace {netns}")?,
            Kind::Ifb => f.write_str("ifb")?,
            Kind::Other => f.write_str("other")?,
        }
        if !self.ours {
            f.write_str(" foreign")?;
        }
        if let Some(mac) = self.mac {
            write!(f, " mac {mac}")?;
        }
        write!(f, " mtu {}", self.mtu.bytes())?;
        if let Some(port) = &self.port {
            write!(f, " on {}", port.bridge)?;
            f.write_str(if port.isolated { " isolated" } else { "" })?;
            f.write_str(if port.hairpin { " hairpin" } else { "" })?;
        }
        if let Kind::Veth { advertise: Some(Advertise { count, interval }), .. } = self.kind {
            write!(f, " announced {count} times every {interval} ms")?;
        }
        self.rate.iter().try_for_each(|rate| write!(f, " sends {rate}bit/s"))?;
        self.leads_to.iter().try_for_each(|to| write!(f, " leads to {to}"))?;
        f.write_str(if self.up { "" } else { " down" })?;
        self.conf.iter().filter(|(_, value)| *value != "0").try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}
