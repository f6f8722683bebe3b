//! What must hold.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::probe::{Answer, connect, look_up, ping};
use super::stage::{OUTSIDE, PUBLISHED, Place, Stage, UNPUBLISHED};
use crate::enter::Namespace;
use crate::errors::Failure;

/// What came of a check.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// What was checked.
    #[serde(rename = "Name")]
    pub(super) name: String,
    /// Whether it held.
    #[serde(rename = "Ok")]
    pub(super) ok: bool,
    /// What was seen instead, if it did not.
    #[serde(rename = "Detail")]
    pub(super) detail: String,
}

impl Verdict {
    /// Holds if the list is empty.
    pub(super) fn nothing_left(name: &str, left: Vec<String>) -> Self {
        Self { name: name.to_owned(), ok: left.is_empty(), detail: left.join(", ") }
    }
}

/// A packet to send, and what must come of it.
pub(super) struct Check<'a> {
    name: String,
    from: &'a Namespace,
    packet: Packet,
    expected: Expected,
}

enum Packet {
    Ping(IpAddr),
    Connect(SocketAddr),
    /// To the address that a name has, in a family.
    PingByName(&'static str, bool),
}

enum Expected {
    Reply,
    /// The server sees this client.
    Client(IpAddr),
    Nothing,
}

impl Check<'_> {
    /// Sends the packet and judges what comes back.
    pub(super) fn run(self) -> Verdict {
        let patient = !matches!(self.expected, Expected::Nothing);
        let answer = match self.packet {
            Packet::Ping(to) => ping(self.from, to, patient),
            Packet::Connect(to) => connect(self.from, to, patient),
            Packet::PingByName(name, v6) => match look_up(self.from, name, v6) {
                Ok(to) => ping(self.from, to, patient),
                Err(error) => Answer::None(format!("{name} was not found: {error}")),
            },
        };
        let (ok, detail) = match (&self.expected, answer) {
            (Expected::Nothing, Answer::None(_)) | (Expected::Reply, Answer::Reply | Answer::Client(_)) => {
                (true, String::new())
            }
            (Expected::Client(wanted), Answer::Client(seen)) => (seen == *wanted, format!("the server saw {seen}")),
            (Expected::Nothing, _) => (false, "there was an answer".to_owned()),
            (_, Answer::None(reason)) => (false, reason),
            (Expected::Client(_), Answer::Reply) => (false, "the server did not say whom it saw".to_owned()),
        };
        Verdict { name: self.name, ok, detail: if ok { String::new() } else { detail } }
    }
}

/// Returns all checks of packets, for the families that there are.
pub(super) fn all(stage: &Stage) -> Result<Vec<Check<'_>>, Failure> {
    let mut checks = Vec::new();
    for (v6, family) in [(false, "IPv4"), (true, "IPv6")] {
        if stage.place("host")?.address(v6).is_some() {
            of_family(stage, v6, family, &mut checks)?;
        }
    }
    Ok(checks)
}

fn of_family<'a>(stage: &'a Stage, v6: bool, family: &str, checks: &mut Vec<Check<'a>>) -> Result<(), Failure> {
    let to = |sandbox: &str, network: &str| {
        stage.address(sandbox, network, v6)?.ok_or_else(|| Failure::new(format!("{sandbox} has no {family} address")))
    };
    let of = |name: &str| {
        stage.place(name)?.address(v6).ok_or_else(|| Failure::new(format!("{name} has no {family} address")))
    };
    let (web, db, safe) = (to("web", "front")?, to("db", "back")?, to("safe", "vault")?);
    let (host, outside) = (of("host")?, of("outside")?);
    let port = PUBLISHED.1;
    let mut check = |from: &'static str, what: &str, packet: Packet, expected: Expected| {
        let name = format!("{family}: {what}");
        checks.push(Check { name, from: &place(stage, from)?.namespace, packet, expected });
        Ok::<_, Failure>(())
    };
    use {Expected::*, Packet::*};
    let tcp = |address, port| Connect(SocketAddr::new(address, port));
    check("app", "app pings web on the same network", Ping(web), Reply)?;
    check("app", "app finds web by name and pings it", PingByName("web", v6), Reply)?;
    check("app", "app does not find db, which is on another network, by name", PingByName("db", v6), Nothing)?;
    check("app", "app connects to web on the same network", tcp(web, port), Reply)?;
    check("db", "db connects to safe on the internal network", tcp(safe, port), Reply)?;
    check("app", "app cannot ping db on another network", Ping(db), Nothing)?;
    check("app", "app cannot connect to db on another network", tcp(db, port), Nothing)?;
    check("app", "app cannot connect to safe on the internal network", tcp(safe, port), Nothing)?;
    check("app", "app reaches the outside under the host's address", tcp(outside, OUTSIDE), Client(host))?;
    check("safe", "safe on the internal network cannot ping the outside", Ping(outside), Nothing)?;
    check("safe", "safe on the internal network cannot connect to the outside", tcp(outside, OUTSIDE), Nothing)?;
    let published = format!("the outside reaches web on port {}, which sees the client's own address", PUBLISHED.0);
    check("outside", &published, tcp(host, PUBLISHED.0), Client(outside))?;
    let closed = format!("the outside does not reach port {UNPUBLISHED}, which is not published");
    check("outside", &closed, tcp(host, UNPUBLISHED), Nothing)
}

fn place<'a>(stage: &'a Stage, name: &str) -> Result<&'a Place, Failure> {
    stage.place(name)
}
