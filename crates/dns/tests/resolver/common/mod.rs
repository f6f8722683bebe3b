//! Queries as bytes, and answers as text, without the library that the crate reads and writes messages with.

mod decode;
pub(crate) mod upstream;

use std::collections::HashMap;

use pontoon_dns::{Decision, Endpoint, Registration, SharedZone, Transport, View, Zone, answer};

pub(crate) use decode::render;

/// Numbers of record types (RFC 1035 §3.2.2, RFC 3596, RFC 2782).
pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const SRV: u16 = 33;
pub(crate) const ANY: u16 = 255;

/// Returns a query with the identity 4660 for a name of a type, with recursion desired.
pub(crate) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets.extend_from_slice(&kind.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    octets
}

/// Adds an OPT record to a query.
pub(crate) fn with_opt(mut query: Vec<u8>, payload: u16, version: u8) -> Vec<u8> {
    query[11] += 1;
    query.extend_from_slice(&[0, 0, 41]);
    query.extend_from_slice(&payload.to_be_bytes());
    query.extend_from_slice(&[0, version, 0, 0, 0, 0]);
    query
}

/// Returns what an endpoint is called: `"web www: 10.0.0.2 fd00::2"`.
pub(crate) fn registration(owner: &str, text: &str) -> Registration {
    let (names, addresses) = text.split_once(": ").expect("names, a colon, addresses");
    Registration {
        owner: owner.into(),
        names: names.split(' ').map(Into::into).collect(),
        addresses: addresses.split(' ').map(|address| address.parse().expect("an address")).collect(),
        ..Registration::default()
    }
}

/// Returns a network with names, a line each.
pub(crate) fn zone(network: &str, names: &[&str]) -> SharedZone {
    let mut zone = Zone::new(network);
    for (number, text) in names.iter().enumerate() {
        zone.insert(registration(&format!("e{number}"), text));
    }
    zone.into()
}

/// Returns an endpoint with aliases.
pub(crate) fn endpoint(zone: SharedZone, aliases: &[(&str, &str)]) -> Endpoint {
    let aliases: HashMap<_, _> = aliases.iter().map(|(alias, name)| (alias.to_string(), name.to_string())).collect();
    Endpoint { zone, aliases }
}

/// Returns a view of networks, without aliases or servers.
pub(crate) fn view(zones: impl IntoIterator<Item = SharedZone>) -> View {
    View { endpoints: zones.into_iter().map(Endpoint::from).collect(), ..View::default() }
}

/// Returns what becomes of a query by UDP, as text; addresses keep their order.
pub(crate) fn ask(view: &View, query: &[u8]) -> String {
    ask_by(view, query, Transport::Udp)
}

/// Returns what becomes of a query, as text.
pub(crate) fn ask_by(view: &View, query: &[u8], transport: Transport) -> String {
    match answer(query, view, transport, &mut |count| count - 1) {
        Decision::Reply(reply) => render(&reply),
        Decision::Forward => "forward\n".into(),
        Decision::Drop => "drop\n".into(),
    }
}
