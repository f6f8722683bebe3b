//! Whatever comes, nothing breaks, and every answer can be read.

use std::sync::LazyLock;

use pontoon_dns::{Decision, Registration, Service, SharedZone, Transport, View, Zone, answer};
use proptest::prelude::*;

use crate::common::{endpoint, query, registration, render, zone};

static SAMPLE: LazyLock<View> = LazyLock::new(sample);

fn sample() -> View {
    let mut front = Zone::new("front");
    let services = vec![Service { name: "_http._tcp.web".into(), port: 80 }];
    front.insert(Registration { services, ..registration("e1", "web a.b www: 10.0.0.2 fd00::2") });
    for number in 0..100 {
        front.insert(registration(&format!("m{number}"), &format!("many: 10.0.1.{number} fd00::1:{number:x}")));
    }
    let back = zone(&"n".repeat(64), &["web: 10.0.2.2", "db: 10.0.2.3"]);
    let endpoints = vec![endpoint(SharedZone::new(front), &[("db", "web")]), endpoint(back, &[])];
    View { endpoints, ndots: Some(1), ..View::default() }
}

/// Checks what holds for whatever comes.
fn check(octets: &[u8], transport: Transport, random: u64) -> Result<(), TestCaseError> {
    let mut random = random;
    let mut below = |count: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % count
    };
    let Decision::Reply(reply) = answer(octets, &SAMPLE, transport, &mut below) else { return Ok(()) };
    let text = render(&reply);
    let limit = if transport == Transport::Udp { 65507 } else { 65535 };
    prop_assert!(reply.len() <= limit);
    prop_assert_eq!(&reply[..2], &octets[..2], "{}", text);
    prop_assert!(octets[2] & 0x80 == 0 && reply[2] & 0x80 != 0, "{}", text);
    // Neither recursion nor authority are in doubt.
    prop_assert_eq!((reply[2] & 0x04, reply[3] & 0x80), (0, 0x80), "{}", text);
    prop_assert_eq!((octets[2] ^ reply[2]) & 0x79, 0, "{}", text);
    Ok(())
}

const KNOWN: &[&str] =
    &["web", "WEB", "a", "b", "front", "many", "db", "in-addr", "arpa", "10", "2", "0", "_http", "_tcp"];

/// Names of which some are known, and some are too much.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![prop::sample::select(KNOWN).prop_map(String::from), "[a-z]{1,63}"], 0..6)
        .prop_map(|labels| labels.join("."))
}

fn kind() -> impl Strategy<Value = u16> {
    prop_oneof![prop::sample::select(&[1_u16, 12, 15, 16, 28, 33, 41, 255][..]), any::<u16>()]
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(octets in prop::collection::vec(any::<u8>(), 0..600), transport in transport(), random: u64) {
        check(&octets, transport, random)?;
    }

    #[test]
    fn any_bytes_after_a_plausible_header(
        counts in prop::array::uniform4(0_u8..3),
        octets in prop::collection::vec(prop_oneof![0_u8..4, Just(0xc0), Just(12), any::<u8>()], 0..100),
        transport in transport(),
        random: u64,
    ) {
        let mut message = vec![1, 2, 1, 0];
        message.extend(counts.into_iter().flat_map(|count| [0, count]));
        message.extend(octets);
        check(&message, transport, random)?;
    }

    #[test]
    fn queries_with_changes(
        name in name(),
        kind in kind(),
        payload in prop::option::of(any::<u16>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        transport in transport(),
        random: u64,
    ) {
        let mut message = query(&name, kind);
        if let Some(payload) = payload {
            message = crate::common::with_opt(message, payload, 0);
        }
        for (index, value) in changes {
            let index = index.index(message.len());
            message[index] = value;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        check(&message, transport, random)?;
    }

    #[test]
    fn a_zone_is_what_was_registered(steps in prop::collection::vec((0_u8..4, 0_u8..4, 0_u8..4, any::<bool>()), 0..40)) {
        let mut zone = Zone::new("n");
        let mut model = std::collections::BTreeMap::new();
        for (owner, name, address, gone) in steps {
            if gone {
                zone.remove(&owner.to_string());
                model.remove(&owner);
            } else {
                zone.insert(registration(&owner.to_string(), &format!("N{name}: 10.0.0.{address}")));
                model.insert(owner, (name, address));
            }
        }
        let view = crate::common::view([SharedZone::new(zone)]);
        for name in 0..4_u8 {
            let mut expected: Vec<u8> = model.values().filter(|(n, _)| *n == name).map(|(_, address)| *address).collect();
            expected.sort_unstable();
            expected.dedup();
            let text = crate::common::ask(&view, &query(&format!("n{name}"), crate::common::A));
            let mut found: Vec<u8> =
                text.lines().filter_map(|line| line.split(" IN A 10.0.0.").nth(1)).map(|last| last.parse().unwrap()).collect();
            found.sort_unstable();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(text == "forward\n", expected.is_empty());
        }
        for address in 0..4_u8 {
            let names: Vec<u8> = model.values().filter(|(_, a)| *a == address).map(|(name, _)| *name).collect();
            let text = crate::common::ask(&view, &query(&format!("{address}.0.0.10.in-addr.arpa"), crate::common::PTR));
            match text.lines().find_map(|line| line.split(" IN PTR N").nth(1)) {
                Some(target) => prop_assert!(names.contains(&target.trim_end_matches(".n.").parse().unwrap())),
                None => prop_assert!(names.is_empty()),
            }
        }
    }
}
