//! Privileges, and what the kernel can do.

use std::path::Path;

use pontoon::HostProfile;

use super::{Finding, read};
use crate::settings::Settings;

/// Says whose namespaces are used.
pub(super) fn privileges(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![if settings.rootless {
        Finding::note("you are an ordinary user", "networks and published ports are in a user namespace of your own")
    } else {
        Finding::ok("privileges: this user may change the machine's network")
    }];
    findings.extend(user_namespaces());
    findings
}

/// Ordinary users need them, and so do some containers.
fn user_namespaces() -> Option<Finding> {
    let forbidding = [
        ("user/max_user_namespaces", "0", "1"),
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ];
    if !Path::new("/proc/self/ns/user").exists() {
        return Some(Finding::note("user namespaces: this kernel has none", "only root can use pontoon"));
    }
    let forbidden =
        forbidding.iter().find(|(name, value, _)| read(&format!("/proc/sys/{name}")).as_deref() == Some(value));
    Some(match forbidden {
        None => Finding::ok("user namespaces: ordinary users may have them"),
        Some((name, value, allowed)) => Finding::note(
            format!("user namespaces: ordinary users may not have them, {name} is {value}"),
            format!("to let them use pontoon, set it to {allowed}"),
        ),
    })
}

/// Says what can be known without asking for anything.
pub(super) fn abilities() -> Vec<Finding> {
    ["bridge", "veth"].into_iter().map(module).chain([forwarding()]).chain(bridge_filter()).collect()
}

/// A part of the kernel is there if it is built in or loaded, and can be loaded if the list of modules has it.
fn module(name: &str) -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let list = |list: &str| read(&format!("/lib/modules/{release}/{list}"));
    let file = format!("/{name}.ko");
    let loaded = Path::new(&format!("/sys/module/{name}")).exists();
    let known = ["modules.builtin", "modules.dep"].into_iter().filter_map(list).collect::<Vec<_>>();
    match (loaded, known.iter().any(|text| text.contains(&file))) {
        (true, _) => Finding::ok(format!("{name}: loaded")),
        (_, true) => Finding::ok(format!("{name}: available")),
        // Without lists nothing is known: creating a network will tell.
        _ if known.is_empty() => {
            Finding::ok(format!("{name}: built in or unknown, this kernel has no list of its modules"))
        }
        _ => Finding::wrong(
            format!("{name}: this kernel does not have it"),
            format!("install the package with the kernel's modules, or a kernel with CONFIG_{}", name.to_uppercase()),
        ),
    }
}

fn forwarding() -> Finding {
    let families = [("IPv4", "ipv4/ip_forward"), ("IPv6", "ipv6/conf/all/forwarding")];
    let off = |path: &str| read(&format!("/proc/sys/net/{path}")).as_deref() == Some("0");
    let off: Vec<_> = families.into_iter().filter(|(_, path)| off(path)).map(|(family, _)| family).collect();
    match off.as_slice() {
        [] => Finding::ok("forwarding: on"),
        families => Finding::note(
            format!("forwarding: off for {}", families.join(" and ")),
            "it is switched on with the first network that leads out",
        ),
    }
}

/// With br_netfilter, packets inside a bridge pass the IP firewall.
fn bridge_filter() -> Option<Finding> {
    let names = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];
    let on: Vec<_> = names
        .into_iter()
        .filter(|name| read(&format!("/proc/sys/net/bridge/{name}")).as_deref() == Some("1"))
        .collect();
    (!on.is_empty()).then(|| {
        Finding::note(
            format!("br_netfilter: {} on", on.join(" and ")),
            "other firewalls see packets inside a network too; set it to 0 if they drop them and nothing else needs it",
        )
    })
}

/// Says what the kernel answered when it was asked.
pub(super) fn surveyed(profile: &HostProfile) -> Vec<Finding> {
    vec![
        match profile.nf_tables {
            true => Finding::ok("nf_tables: usable"),
            false => Finding::wrong(
                "nf_tables: this kernel does not have it, or does not let this process use it",
                "load the module nf_tables, or use a kernel with CONFIG_NF_TABLES",
            ),
        },
        match profile.ipv6 {
            true => Finding::ok("IPv6: usable"),
            false => Finding::note("IPv6: this kernel does not have it", "networks can have IPv4 only"),
        },
        match profile.publishes {
            true => Finding::ok("ports: published on the machine"),
            false => {
                Finding::note("ports: published in a user namespace only", "run as root to publish them on the machine")
            }
        },
    ]
}
