//! Any bytes as a query.
#![no_main]

#[path = "../../tests/resolver/common/decode.rs"]
mod decode;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pontoon_dns::{Decision, Endpoint, Registration, Service, SharedZone, Transport, View, Zone, answer};

static VIEW: LazyLock<View> = LazyLock::new(view);

fuzz_target!(|input: &[u8]| {
    let Some((choice, query)) = input.split_first() else { return };
    let transport = if choice & 1 == 0 { Transport::Udp } else { Transport::Tcp };
    let random = usize::from(choice >> 1);
    if let Decision::Reply(reply) = answer(query, &VIEW, transport, &mut |count| random % count) {
        decode::render(&reply);
        assert_eq!(reply[..2], query[..2]);
        assert!(query[2] & 0x80 == 0 && reply[2] & 0x80 != 0);
    }
});

fn view() -> View {
    let owner = |owner: &str, names: &[&str], addresses: &[&str]| Registration {
        owner: owner.into(),
        names: names.iter().map(ToString::to_string).collect(),
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
        ..Registration::default()
    };
    let service = || vec![Service { name: "_h._tcp.w".into(), port: 80 }];
    let mut front = Zone::new("f");
    front.insert(Registration { services: service(), ..owner("1", &["w", "a.b"], &["10.0.0.2", "fd00::2"]) });
    front.insert(Registration { services: service(), ..owner("2", &["v"], &["10.0.0.3"]) });
    for number in 0..100 {
        front.insert(owner(
            &format!("m{number}"),
            &["m"],
            &[&format!("10.0.1.{number}"), &format!("fd00::1:{number}")],
        ));
    }
    let mut back = Zone::new(&"n".repeat(64));
    back.insert(owner("3", &["d"], &["10.0.2.3"]));
    let aliases = [("x".to_string(), "w".to_string())].into();
    let endpoints = vec![Endpoint { zone: SharedZone::new(front), aliases }, SharedZone::new(back).into()];
    View { endpoints, ndots: Some(1), ..View::default() }
}
