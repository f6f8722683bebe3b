//! Answers that are too long.

use pontoon_dns::{Decision, Registration, Service, SharedZone, Transport, View, Zone, answer};

use crate::common::{A, SRV, ask, query, registration, render, view, with_opt};

/// Checks how long an answer is, how many records it has, and whether more would have been there.
fn check_size(view: &View, query: &[u8], transport: Transport, expected: (usize, usize, bool)) {
    let Decision::Reply(reply) = answer(query, view, transport, &mut |_| 0) else { panic!("a known name is answered") };
    let text = render(&reply);
    let records = text.lines().filter(|line| line.starts_with('=')).count();
    let truncated = text.lines().next().unwrap().contains(" tc");
    assert_eq!((reply.len(), records, truncated), expected);
}

#[test]
fn answers_are_as_long_as_the_client_takes() {
    let mut names = Zone::new("front");
    for number in 0..5000_u32 {
        let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
        names.insert(registration(&format!("e{number}"), &format!("s: {address}")));
    }
    // 19 bytes of header and question, then 16 for each address.
    for number in 0..30 {
        names.insert(registration(&format!("f{number}"), &format!("f: 10.1.0.{number}")));
        names.insert(registration(&format!("gg{number}"), &format!("{}: 10.2.0.{number}", "g".repeat(14))));
    }
    let view = view([SharedZone::new(names)]);
    check_size(&view, &query("f", A), Transport::Udp, (19 + 30 * 16, 30, false));
    check_size(&view, &query("s", A), Transport::Udp, (19 + 30 * 16, 30, true));
    // Exactly 512 bytes are not too long, and the OPT record has its room.
    check_size(&view, &query(&"g".repeat(14), A), Transport::Udp, (32 + 30 * 16, 30, false));
    check_size(&view, &with_opt(query(&"g".repeat(14), A), 512, 0), Transport::Udp, (32 + 29 * 16 + 11, 29, true));
    check_size(&view, &with_opt(query("s", A), 100, 0), Transport::Udp, (19 + 30 * 16 + 11, 30, true));
    check_size(&view, &with_opt(query("s", A), 1232, 0), Transport::Udp, (19 + 75 * 16 + 11, 75, true));
    check_size(&view, &with_opt(query("s", A), 65535, 0), Transport::Udp, (19 + 4092 * 16 + 11, 4092, true));
    check_size(&view, &query("s", A), Transport::Tcp, (19 + 4094 * 16, 4094, true));
    check_size(&view, &with_opt(query("s", A), 512, 0), Transport::Tcp, (19 + 4094 * 16 + 11, 4094, true));
}

#[test]
fn services_that_do_not_fit_leave_out_addresses_first() {
    let mut zone = Zone::new("front");
    for number in 0..12 {
        let services = vec![Service { name: "_http._tcp.web".into(), port: 80 }];
        zone.insert(Registration {
            services,
            ..registration(&format!("t{number}"), &format!("w{number}: 10.0.0.{number}"))
        });
    }
    let view = view([SharedZone::new(zone)]);
    let text = ask(&view, &query("_http._tcp.web", SRV));
    // 32 bytes of header and question, 10 * 22 + 2 * 23 of services, and 18 or 19 for each address.
    let count = |sign| text.lines().filter(|line| line.starts_with(sign)).count();
    assert_eq!((count('='), count('+'), text.contains(" tc ")), (12, 11, true), "{text}");
}
