//! Kernel settings that are asked for one interface of a sandbox.

use std::fmt;
use std::str::FromStr;

use super::IfName;
use crate::objects::{DISABLE_IPV6, Place, Sysctl, written};

/// A kernel setting of an interface whose name is not known yet: `net.X.Y.IFNAME.Z=V`, with `ipv4`, `ipv6` or `mpls` for X.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSetting {
    family: String,
    group: String,
    leaf: String,
    value: String,
}

/// Why a text is no setting of an interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// There is no value.
    #[error("expected sysctl '{text}' to have format name=value")]
    Value {
        /// The text.
        text: String,
    },
    /// The name has another form.
    #[error("expected sysctl '{text}' to have format net.X.Y.IFNAME.Z")]
    Name {
        /// The text.
        text: String,
    },
    /// One setting with two values.
    #[error("sysctl '{one}' and sysctl '{other}' contradict each other: give one of them")]
    Twice {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
}

impl InterfaceSetting {
    /// Reads several; each setting has one value.
    ///
    /// # Errors
    ///
    /// [`SettingError`] names the text that is wrong.
    pub fn read_all(texts: &[String]) -> Result<Vec<Self>, SettingError> {
        let mut settings: Vec<Self> = Vec::new();
        for text in texts {
            let new: Self = text.parse()?;
            match settings.iter().find(|one| one.is_same_as(&new)) {
                Some(one) if *one == new => {}
                Some(one) => return Err(SettingError::Twice { one: one.to_string(), other: new.to_string() }),
                None => settings.push(new),
            }
        }
        Ok(settings)
    }

    /// Returns whether it switches the interface's IPv6 off.
    pub fn switches_ipv6_off(&self) -> bool {
        let is_switch =
            (self.family.as_str(), self.group.as_str(), self.leaf.as_str()) == ("ipv6", "conf", DISABLE_IPV6);
        is_switch && self.value != "0"
    }

    /// Returns the setting of one interface.
    pub fn of(&self, place: Place, link: &IfName) -> Sysctl {
        let name = format!("net.{}.{}.{}.{}", self.family, self.group, written(link), self.leaf);
        Sysctl::own(place, name, self.value.clone())
    }

    fn is_same_as(&self, other: &Self) -> bool {
        (&self.family, &self.group, &self.leaf) == (&other.family, &other.group, &other.leaf)
    }
}

impl FromStr for InterfaceSetting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (name, value) = text.split_once('=').ok_or_else(|| SettingError::Value { text: text.to_owned() })?;
        let parts: Vec<&str> = name.trim().split('.').collect();
        let is_word = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !part.is_empty() && part.chars().all(allowed)
        };
        match parts.as_slice() {
            ["net", family @ ("ipv4" | "ipv6" | "mpls"), group, "IFNAME" | "ifname", leaf]
                if is_word(group) && is_word(leaf) =>
            {
                let (group, leaf) = ((*group).to_owned(), (*leaf).to_owned());
                Ok(Self { family: (*family).to_owned(), group, leaf, value: value.trim().to_owned() })
            }
            _ => Err(SettingError::Name { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for InterfaceSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net.{}.{}.IFNAME.{}={}", self.family, self.group, self.leaf, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SandboxId;

    fn read(texts: &[&str]) -> Result<Vec<InterfaceSetting>, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        InterfaceSetting::read_all(&texts).map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_takes_the_interfaces_name() {
        let settings = read(&["net.ipv4.conf.IFNAME.rp_filter=2", "net.ipv6.conf.ifname.mtu = 1400"]).unwrap();
        let place = Place::Sandbox(SandboxId::draw(|bytes| bytes.fill(7)));
        let names: Vec<_> = settings.iter().map(|one| one.of(place, &IfName::new("lan.2").unwrap())).collect();
        assert_eq!((names[0].name.as_str(), names[0].value.as_str()), ("net.ipv4.conf.lan/2.rp_filter", "2"));
        assert_eq!((names[1].name.as_str(), names[1].value.as_str()), ("net.ipv6.conf.lan/2.mtu", "1400"));
        assert_eq!(names[0].link().as_deref(), Some("lan.2"));
    }

    #[test]
    fn other_forms_are_refused_in_upstreams_words() {
        for (text, refusal) in [
            (
                "net.ipv4.conf.IFNAME.rp_filter",
                "expected sysctl 'net.ipv4.conf.IFNAME.rp_filter' to have format name=value",
            ),
            ("", "expected sysctl '' to have format name=value"),
        ] {
            assert_eq!(read(&[text]).unwrap_err(), refusal);
        }
        for text in [
            "net.ipv4.conf.eth0.rp_filter=1",
            "net.ipv4.ip_forward=1",
            "net.core.conf.IFNAME.x=1",
            "kernel.ipv4.conf.IFNAME.x=1",
            "net.ipv4.conf.IFNAME.x.y=1",
            "net.ipv4.conf.IFNAME.=1",
            "net.ipv4.//.IFNAME.x=1",
            "net.ipv4.conf.IFNAME.../x=1",
            "net.ipv4.conf.IFNAME.a b=1",
            "=",
        ] {
            assert_eq!(read(&[text]).unwrap_err(), format!("expected sysctl '{text}' to have format net.X.Y.IFNAME.Z"));
        }
    }

    #[test]
    fn one_setting_has_one_value() {
        let (one, other) = ("net.ipv4.conf.IFNAME.rp_filter=1", "net.ipv4.conf.ifname.rp_filter=2");
        assert_eq!(read(&[one, one]).unwrap().len(), 1);
        assert!(read(&[one, other]).unwrap_err().contains("contradict each other"));
    }

    #[test]
    fn ipv6_is_switched_off_by_one_setting_only() {
        let off = |text: &str| text.parse::<InterfaceSetting>().unwrap().switches_ipv6_off();
        assert!(off("net.ipv6.conf.IFNAME.disable_ipv6=1"));
        assert!(!off("net.ipv6.conf.IFNAME.disable_ipv6=0"));
        assert!(!off("net.ipv6.conf.IFNAME.accept_ra=1"));
    }
}
