//! `/etc/hosts` (hosts(5)): making it, and editing it beside the container.
//!
//! The edits take a text and return one. Two lines are the same if they name equal addresses and exactly the same hosts, or,
//! where there is no address, are the same text; white space around either does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{FileError, Ipv6};

const LOCALHOST: &str = "127.0.0.1\tlocalhost";
const LOCALHOST_IPV6: &str = "\
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters";

/// What a container's hosts file holds; its text is the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Whether the container has IPv6.
    pub ipv6: Ipv6,
    /// What was asked for, in order.
    pub extra: Vec<HostEntry>,
    /// The container's own addresses, see [`HostEntry::own`]. The caller leaves out those that nobody shall find by name.
    pub own: Vec<HostEntry>,
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{LOCALHOST}")?;
        if self.ipv6 != Ipv6::Off {
            writeln!(f, "{LOCALHOST_IPV6}")?;
        }
        for entry in self.extra.iter().chain(&self.own).filter(|entry| self.ipv6.allows(entry.ip)) {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    }
}

/// A line of a hosts file: an address and the names it has, the canonical one first.
///
/// The text, `192.0.2.7<tab>db.example.org db`, is also its form in records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostEntry {
    ip: IpAddr,
    names: String,
}

impl HostEntry {
    /// Returns the entry of an address and its names, which blanks separate.
    pub fn new(ip: IpAddr, names: &str) -> Result<Self, FileError> {
        let invalid = |reason| FileError::HostEntry { value: format!("{ip} {names}"), reason };
        let words: Vec<&str> = names.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Err(invalid("name at least one host after the address"));
        }
        // A line feed would begin an entry that nobody asked for, and `#` ends what is read.
        if words.iter().any(|word| word.contains(|c: char| c.is_control() || c == '#')) {
            return Err(invalid("control characters and `#` are not allowed in a host name"));
        }
        Ok(Self { ip, names: words.join(" ") })
    }

    /// Returns the entry of one of the container's own addresses: its full name, and its short one where they differ.
    ///
    /// The host name may hold the domain already (`web.example.org`): the short name is what is before the first dot.
    pub fn own(ip: IpAddr, hostname: &str, domainname: Option<&str>) -> Result<Self, FileError> {
        let full = match domainname {
            Some(domain) if !domain.is_empty() && !hostname.is_empty() => format!("{hostname}.{domain}"),
            _ => hostname.to_owned(),
        };
        match full.split_once('.') {
            Some((short, _)) => Self::new(ip, &format!("{full} {short}")),
            None => Self::new(ip, &full),
        }
    }

    /// Returns the address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns the names, with a blank between them.
    pub fn names(&self) -> &str {
        &self.names
    }

    fn line(&self) -> Line<'_> {
        Line::Entry(self.ip, &self.names)
    }
}

impl fmt::Display for HostEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.ip, self.names)
    }
}

impl FromStr for HostEntry {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        let text = text.trim_ascii();
        let (ip, names) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        match ip.parse() {
            Ok(ip) => Self::new(ip, names),
            Err(_) => Err(FileError::HostEntry { value: text.to_owned(), reason: "begin with an IP address" }),
        }
    }
}

impl TryFrom<String> for HostEntry {
    type Error = FileError;

    fn try_from(text: String) -> Result<Self, FileError> {
        text.parse()
    }
}

impl From<HostEntry> for String {
    fn from(entry: HostEntry) -> Self {
        entry.to_string()
    }
}

/// Returns a file that the container may have edited, changed as `before` became `after`.
///
/// What `before` had more often than `after` goes, the first ones first and only as many as there are more. What `after` has
/// more often is appended, unless the file has it as often already: then an earlier call was interrupted. All else stays as
/// it is, byte by byte.
pub fn merge(present: &str, before: &str, after: &str) -> String {
    let (had, has, there) = (Tally::of(before), Tally::of(after), Tally::of(present));
    let mut gone = had.map(|line, times| times.saturating_sub(has.get(line)));
    let mut missing = has.map(|line, times| times.saturating_sub(had.get(line).max(there.get(line))));

    let mut text: String = present.split_inclusive('\n').filter(|line| !gone.take(Line::read(line))).collect();
    for line in after.lines().filter(|line| missing.take(Line::read(line))) {
        append(&mut text, line);
    }
    text
}

/// Returns a file with entries at its end.
pub fn add(text: &str, entries: &[HostEntry]) -> String {
    let mut text = text.to_owned();
    for entry in entries {
        append(&mut text, &entry.to_string());
    }
    text
}

/// Returns a file without these entries, however often it has them, and without blank lines; for no entries, as it is.
pub fn delete(text: &str, entries: &[HostEntry]) -> String {
    if entries.is_empty() {
        return text.to_owned();
    }
    let entries: BTreeSet<Line<'_>> = entries.iter().map(HostEntry::line).collect();
    let stays = |line: &&str| {
        let line = Line::read(line);
        line != Line::Text("") && !entries.contains(&line)
    };
    text.split_inclusive('\n').filter(stays).collect()
}

/// Returns a file in which each entry of a host has this address.
///
/// An entry is the host's if its first name is `host`, or is `host` and a domain: `db` and `db.example.org`, but not `db2`.
pub fn update(text: &str, host: &str, ip: IpAddr) -> String {
    let mut updated = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match (Line::read(line), line.split_ascii_whitespace().next()) {
            (Line::Entry(_, names), Some(old)) if begins_with_host(names, host) => {
                updated.push_str(&line.replacen(old, &ip.to_string(), 1));
            }
            _ => updated.push_str(line),
        }
    }
    updated
}

/// A line, as far as it can be told from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Line<'a> {
    /// An address and all that follows it.
    Entry(IpAddr, &'a str),
    /// Anything else: comments, blank lines, addresses that only the C library understands.
    Text(&'a str),
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.trim_ascii();
        let entry = line.split_once(|c: char| c.is_ascii_whitespace());
        match entry.and_then(|(ip, names)| Some((ip.parse().ok()?, names))) {
            Some((ip, names)) => Self::Entry(ip, names.trim_ascii()),
            None => Self::Text(line),
        }
    }
}

/// How often each line occurs.
struct Tally<'a>(BTreeMap<Line<'a>, usize>);

impl<'a> Tally<'a> {
    fn of(text: &'a str) -> Self {
        let mut tally = BTreeMap::new();
        for line in text.lines() {
            *tally.entry(Line::read(line)).or_default() += 1;
        }
        Self(tally)
    }

    fn map(&self, times: impl Fn(Line<'_>, usize) -> usize) -> Self {
        Self(self.0.iter().map(|(line, old)| (*line, times(*line, *old))).collect())
    }

    fn get(&self, line: Line<'_>) -> usize {
        self.0.get(&line).copied().unwrap_or(0)
    }

    /// Takes one off, and says whether there was one.
    fn take(&mut self, line: Line<'a>) -> bool {
        match self.0.get_mut(&line) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }
}

fn append(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

fn begins_with_host(names: &str, host: &str) -> bool {
    let first = names.split_ascii_whitespace().next();
    first.and_then(|name| name.strip_prefix(host)).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
