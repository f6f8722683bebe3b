//! What the kernel at hand can do. A feature that is missing is printed and counted.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fmt};

use crate::namespace::test_name;

/// Names the file that collects what is missing, for comparison with what is expected to be.
const LIST: &str = "PONTOON_MISSING_FILE";
const PROBE: &str = "probe0";
const PARENT: &str = "probe1";

/// A kernel feature that a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// IPv6.
    Ipv6,
    /// Pairs of virtual Ethernet interfaces.
    Veth,
    /// Bridges.
    Bridge,
    /// Bridges whose ports belong to VLANs.
    BridgeVlan,
    /// nftables.
    NfTables,
    /// Connection tracking.
    Conntrack,
    /// macvlan interfaces.
    Macvlan,
    /// ipvlan interfaces.
    Ipvlan,
    /// 802.1Q interfaces.
    Vlan,
    /// VXLAN interfaces.
    Vxlan,
    /// Dummy interfaces.
    Dummy,
    /// Limits of rates: `tbf`, `ifb`, `u32` and `mirred`.
    Shaping,
    /// Control groups of the second version, which can be mounted: the runtimes of containers do not work without.
    Cgroup2,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv6 => "ipv6",
            Self::Veth => "veth",
            Self::Bridge => "bridge",
            Self::BridgeVlan => "bridge-vlan",
            Self::NfTables => "nftables",
            Self::Conntrack => "conntrack",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Vlan => "vlan",
            Self::Vxlan => "vxlan",
            Self::Dummy => "dummy",
            Self::Shaping => "shaping",
            Self::Cgroup2 => "cgroup2",
        })
    }
}

/// Returns whether the kernel has a feature; if not, says so as `MISSING <feature> <test>`.
///
/// The line is also appended to the file named by `PONTOON_MISSING_FILE`, so that a skipped test
/// is never a silent one. Call it inside [`isolated`](crate::isolated): it makes and deletes a
/// link or a table of the present namespace.
///
/// # Panics
///
/// If that file cannot be written.
pub fn require(feature: Feature) -> bool {
    let present = probe(feature);
    if !present {
        let line = format!("MISSING {feature} {}\n", test_name());
        print!("{line}");
        if let Some(path) = env::var_os(LIST) {
            append(Path::new(&path), &line);
        }
    }
    present
}

fn probe(feature: Feature) -> bool {
    match feature {
        Feature::Ipv6 => Path::new("/proc/net/if_inet6").exists(),
        Feature::Conntrack => Path::new("/proc/sys/net/netfilter/nf_conntrack_max").exists(),
        Feature::NfTables => {
            succeeds("nft", &["add", "table", "inet", PROBE]) && succeeds("nft", &["delete", "table", "inet", PROBE])
        }
        Feature::Veth => link(&["type", "veth", "peer", "name", PARENT]),
        Feature::Bridge => link(&["type", "bridge"]),
        Feature::BridgeVlan => link(&["type", "bridge", "vlan_filtering", "1"]),
        // In a mount namespace of its own, which is gone with the process.
        Feature::Cgroup2 => succeeds("unshare", &["--cgroup", "--mount", "mount", "-t", "cgroup2", "cgroup2", "/sys"]),
        Feature::Shaping => shaping(),
        Feature::Dummy => link(&["type", "dummy"]),
        Feature::Vxlan => link(&["type", "vxlan", "id", "1", "dstport", "4789"]),
        Feature::Macvlan => link_above(&["type", "macvlan"]),
        Feature::Ipvlan => link_above(&["type", "ipvlan"]),
        Feature::Vlan => link_above(&["type", "vlan", "id", "2"]),
    }
}

fn link(description: &[&str]) -> bool {
    let add = [&["link", "add", "name", PROBE], description].concat();
    succeeds("ip", &add) && succeeds("ip", &["link", "delete", PROBE])
}

fn shaping() -> bool {
    let steps = [
        ["qdisc", "add", "dev", PROBE, "root", "tbf", "rate", "8mbit", "burst", "64k", "limit", "64k"].as_slice(),
        &["qdisc", "add", "dev", PROBE, "ingress"],
        &[
            "filter", "add", "dev", PROBE, "parent", "ffff:", "u32", "match", "u32", "0", "0", "action", "mirred",
            "egress",
        ],
    ];
    let to = ["redirect", "dev", PROBE];
    let present = succeeds("ip", &["link", "add", "name", PROBE, "type", "ifb"])
        && succeeds("tc", steps[0])
        && succeeds("tc", steps[1])
        && succeeds("tc", &[steps[2], &to].concat());
    succeeds("ip", &["link", "delete", PROBE]) && present
}

fn link_above(description: &[&str]) -> bool {
    if !succeeds("ip", &["link", "add", "name", PARENT, "type", "bridge"]) {
        return false;
    }
    let present = link(&[&["link", PARENT], description].concat());
    present & succeeds("ip", &["link", "delete", PARENT])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// One write of one short line, so that tests running at the same time do not mix theirs.
fn append(path: &Path, line: &str) {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("could not write {}: {error}", path.display()));
}
