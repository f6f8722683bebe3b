//! What the kernel has, as `ip`, `nft`, `ss` and `/proc` say: everything that Pontoon could leave behind.
//!
//! What the kernel counts or draws by itself is left out: indices, handles, counters, timers, carriers, link-local addresses.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;
use std::process::Command;

use pontoon_testkit::nft_json;
use serde_json::{Map, Value};

/// Fields of interfaces that say what somebody asked for.
const LINK: [&str; 6] = ["mtu", "master", "group", "ifalias", "link_type", "address"];
/// Fields of bridges and of their ports.
const BRIDGE: [&str; 5] = ["forward_delay", "stp_state", "vlan_filtering", "ageing_time", "mcast_snooping"];
const PORT: [&str; 6] = ["hairpin", "isolated", "guard", "learning", "flood", "neigh_suppress"];
const SETTINGS: [&str; 6] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/default/forwarding",
    "net/ipv4/conf/default/route_localnet",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/ipv6/conf/all/disable_ipv6",
];
const LINK_SETTINGS: [&str; 6] = [
    "ipv4/conf/LINK/forwarding",
    "ipv4/conf/LINK/route_localnet",
    "ipv4/conf/LINK/rp_filter",
    "ipv6/conf/LINK/forwarding",
    "ipv6/conf/LINK/disable_ipv6",
    "ipv6/conf/LINK/accept_ra",
];

/// The host and every sandbox at one moment, as sorted lines; two are equal if the kernel was.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture(Vec<String>);

impl Picture {
    /// Looks at this process's namespace and at those kept in `run_dir`.
    pub(crate) fn take(run_dir: &Path) -> Self {
        let mut lines = namespace("host", None);
        lines.extend(ruleset());
        lines.extend(disciplines());
        lines.extend(sockets());
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        lines
            .extend(points.filter(|point| Path::new(point).starts_with(run_dir)).map(|point| format!("mount {point}")));
        files(run_dir, &mut lines);
        for entry in fs::read_dir(run_dir.join("netns")).into_iter().flatten() {
            let path = entry.expect("the run directory can be read").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            lines.extend(namespace(&name, Some(&path)));
        }
        lines.sort_unstable();
        Self(lines)
    }

    /// Adds lines of the caller's own.
    pub(crate) fn with(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.0.extend(more);
        self.0.sort_unstable();
        self
    }

    /// Returns the lines that only this one has with `-`, and those that only `later` has with `+`.
    pub(crate) fn difference(&self, later: &Self) -> String {
        let mut text = String::new();
        let only = |one: &Self, other: &Self| -> Vec<String> {
            one.0.iter().filter(|line| !other.0.contains(line)).cloned().collect()
        };
        only(self, later).iter().for_each(|line| writeln!(text, "- {line}").expect("a string takes all"));
        only(later, self).iter().for_each(|line| writeln!(text, "+ {line}").expect("a string takes all"));
        text
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Interfaces, addresses, routes and settings of one namespace.
fn namespace(name: &str, path: Option<&Path>) -> Vec<String> {
    let mut lines = Vec::new();
    for link in list(&ip(path, &["address"])) {
        let ifname = text(link, "ifname");
        lines.push(format!("{name}: link {ifname} {}", self::link(link, path.is_none())));
        for address in link["addr_info"].as_array().into_iter().flatten() {
            let drawn = text(address, "local").starts_with("fe80:");
            if !drawn {
                let asked = without(address, &["valid_life_time", "preferred_life_time", "tentative"]);
                lines.push(format!("{name}: address on {ifname} {asked}"));
            }
        }
        if path.is_none() {
            for setting in LINK_SETTINGS {
                let setting = format!("net/{}", setting.replace("LINK", &ifname));
                lines.push(format!("{name}: {setting} = {}", read(&setting)));
            }
        }
    }
    for route in list(&ip(path, &["route", "show", "table", "all"])) {
        // The other tables follow from the addresses.
        if text(route, "table") == "main" && !text(route, "dst").starts_with("fe80:") {
            lines.push(format!("{name}: route {}", without(route, &["flags"])));
        }
    }
    if path.is_none() {
        lines.extend(SETTINGS.iter().map(|setting| format!("{name}: {setting} = {}", read(setting))));
    }
    lines
}

fn link(link: &Value, on_host: bool) -> Value {
    let mut kept = pick(link, &LINK);
    let info = &link["linkinfo"];
    let is_drawn = ["veth", "ifb"].contains(&info["info_kind"].as_str().unwrap_or_default());
    if on_host && is_drawn {
        // The kernel draws it.
        kept.remove("address");
    }
    let up = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
    kept.insert("up".to_owned(), up.into());
    kept.insert("kind".to_owned(), info["info_kind"].clone());
    kept.insert("bridge".to_owned(), pick(&info["info_data"], &BRIDGE).into());
    kept.insert("port".to_owned(), pick(&info["info_slave_data"], &PORT).into());
    kept.into()
}

/// The whole ruleset, one line for each rule, set and element.
fn ruleset() -> Vec<String> {
    let listed = nft_json(&["list", "ruleset"]);
    let mut lines = Vec::new();
    for entry in list(&listed["nftables"]).iter().filter(|entry| entry["metainfo"].is_null()) {
        let mut entry = (*entry).clone();
        unnumber(&mut entry);
        for kind in ["set", "map"] {
            let elements = entry.get_mut(kind).and_then(|set| set.get_mut("elem")).map(Value::take);
            for element in elements.iter().flat_map(list) {
                lines.push(format!("nft: element of {}: {element}", text(&entry[kind], "name")));
            }
        }
        lines.push(format!("nft: {entry}"));
    }
    lines
}

fn unnumber(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for number in ["handle", "packets", "bytes", "expires"] {
                fields.remove(number);
            }
            fields.values_mut().for_each(unnumber);
        }
        Value::Array(values) => values.iter_mut().for_each(unnumber),
        _ => {}
    }
}

/// How interfaces of the host send, and what is redirected.
fn disciplines() -> Vec<String> {
    let read = |arguments: &[&str]| -> Vec<Value> {
        serde_json::from_str(&pontoon_testkit::run("tc", &[&["-json"], arguments].concat())).unwrap_or_default()
    };
    let shown = read(&["qdisc", "show"]);
    let mut lines: Vec<String> =
        shown.iter().map(|one| format!("qdisc {}", without(one, &["handle", "refcnt"]))).collect();
    for link in shown.iter().filter(|one| one["kind"] == "ingress").map(|one| text(one, "dev")) {
        for mut filter in read(&["filter", "show", "dev", &link, "ingress"]) {
            // The kernel counts actions.
            if let Some(action) = filter.pointer_mut("/options/actions/0") {
                *action = without(action, &["index"]);
            }
            lines.push(format!("filter of {link} {filter}"));
        }
    }
    lines
}

fn sockets() -> Vec<String> {
    let text = pontoon_testkit::run("ss", &["--no-header", "--tcp", "--udp", "--listening", "--numeric"]);
    text.lines().map(|line| format!("socket {}", line.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

fn files(directory: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("the run directory can be read").path();
        let content = fs::read_to_string(&path).unwrap_or_default().replace('\n', " ");
        lines.push(format!("file {} {content}", path.display()));
        if path.is_dir() {
            files(&path, lines);
        }
    }
}

fn ip(inside: Option<&Path>, arguments: &[&str]) -> Value {
    let mut command = match inside {
        None => Command::new("ip"),
        Some(path) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", path.display())).arg("ip");
            command
        }
    };
    let output = command.args(["-json", "-details"]).args(arguments).output().expect("ip can be run");
    assert!(output.status.success(), "ip {arguments:?} in {inside:?}: {}", String::from_utf8_lossy(&output.stderr));
    // It prints nothing for an empty list.
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn pick(value: &Value, fields: &[&str]) -> Map<String, Value> {
    let found = fields.iter().filter_map(|field| Some(((*field).to_owned(), value.get(field)?.clone())));
    found.collect()
}

fn without(value: &Value, fields: &[&str]) -> Value {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        fields.iter().for_each(|field| drop(map.remove(*field)));
    }
    value
}

fn read(setting: &str) -> String {
    fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap_or_default().trim().to_owned()
}
