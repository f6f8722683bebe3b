//! What becomes of a query: data in, text out.

use crate::common::{
    A, AAAA, ANY, MX, PTR, SRV, TXT, ask, ask_by, endpoint, query, registration, view, with_opt, zone,
};
use expect_test::{Expect, expect};
use pontoon_dns::{Registration, Reverse, Service, SharedZone, Transport, View, Zone};

fn check(view: &View, name: &str, kind: u16, expected: Expect) {
    expected.assert_eq(&ask(view, &query(name, kind)));
}

/// Checks what each name becomes, in short: its addresses, or what else.
fn check_names(view: &View, expected: &[(&str, &str)]) {
    for (name, addresses) in expected {
        let reply = ask(view, &query(name, A));
        let found: Vec<&str> = reply.lines().filter_map(|line| line.split(" IN A ").nth(1)).collect();
        let short = if reply.starts_with("4660 NOERROR") { found.join(" ") } else { reply.trim_end().to_string() };
        assert_eq!(short, *addresses, "{name}");
    }
}

fn front() -> View {
    view([zone("front", &["web www: 10.0.0.2 fd00::2", "db: 10.0.0.3", "six: fd00::4"])])
}

#[test]
fn names_have_addresses_of_both_families() {
    check(
        &front(),
        "web",
        A,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? web. IN A
        = web. 600 IN A 10.0.0.2
    "#]],
    );
    check(
        &front(),
        "www",
        AAAA,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? www. IN AAAA
        = www. 600 IN AAAA fd00::2
    "#]],
    );
    check(
        &front(),
        "WeB.",
        A,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? WeB. IN A
        = WeB. 600 IN A 10.0.0.2
    "#]],
    );
}

#[test]
fn a_known_name_without_the_family_is_not_forwarded() {
    check(
        &front(),
        "db",
        AAAA,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? db. IN AAAA
    "#]],
    );
    check(
        &front(),
        "six",
        A,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? six. IN A
    "#]],
    );
}

#[test]
fn mail_exchangers_of_known_names_do_not_exist() {
    check(
        &front(),
        "db",
        MX,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? db. IN MX
    "#]],
    );
    check(
        &front(),
        "six",
        MX,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? six. IN MX
    "#]],
    );
    check(&front(), "example.com", MX, expect!["forward\n"]);
}

#[test]
fn other_types_and_classes_and_names_are_forwarded() {
    for (name, kind) in [("web", TXT), ("web", ANY), ("example.com", A), ("com", A), ("", A), ("_http._tcp.web", SRV)] {
        check(&front(), name, kind, expect!["forward\n"]);
    }
    let mut chaos = query("web", A);
    *chaos.last_mut().unwrap() = 3;
    expect!["forward\n"].assert_eq(&ask(&front(), &chaos));
}

#[test]
fn addresses_lead_back_to_the_first_name() {
    check(
        &front(),
        "2.0.0.10.in-addr.arpa",
        PTR,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? 2.0.0.10.in-addr.arpa. IN PTR
        = 2.0.0.10.in-addr.arpa. 600 IN PTR web.front.
    "#]],
    );
    let reversed = "4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.D.F.IP6.ARPA";
    check(
        &front(),
        reversed,
        PTR,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? 4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.D.F.IP6.ARPA. IN PTR
        = 4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.D.F.IP6.ARPA. 600 IN PTR six.front.
    "#]],
    );
    check(&front(), "9.0.0.10.in-addr.arpa", PTR, expect!["forward\n"]);
    check(&front(), "0.10.in-addr.arpa", PTR, expect!["forward\n"]);
}

#[test]
fn what_messages_cannot_carry_is_a_failure() {
    let view = view([zone(&"n".repeat(64), &["web: 10.0.0.2"])]);
    check(
        &view,
        "2.0.0.10.in-addr.arpa",
        PTR,
        expect![[r#"
        4660 SERVFAIL qr rd ra
        ? 2.0.0.10.in-addr.arpa. IN PTR
    "#]],
    );
    check(
        &view,
        "web",
        A,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? web. IN A
        = web. 600 IN A 10.0.0.2
    "#]],
    );
}

#[test]
fn services_come_with_their_addresses() {
    let mut zone = Zone::new("front");
    let service = |port| vec![Service { name: "_http._tcp.web".into(), port }];
    zone.insert(Registration { services: service(80), ..registration("t1", "web.1: 10.0.0.2 fd00::2") });
    zone.insert(Registration { services: service(8080), ..registration("t2", "web.2: 10.0.0.3") });
    zone.insert(Registration { reverse: Reverse::Nothing, ..registration("s", "web: 10.0.0.9") });
    let mut bad = registration("bad", &format!("{}: 10.0.0.4", "a".repeat(64)));
    bad.services = vec![Service { name: "_http._tcp.bad".into(), port: 80 }];
    zone.insert(bad);
    let view = view([SharedZone::new(zone)]);
    check(
        &view,
        "_HTTP._tcp.web",
        SRV,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? _HTTP._tcp.web. IN SRV
        = _HTTP._tcp.web. 600 IN SRV 0 0 80 web.1.
        = _HTTP._tcp.web. 600 IN SRV 0 0 8080 web.2.
        + web.1. 600 IN A 10.0.0.2
        + web.1. 600 IN AAAA fd00::2
        + web.2. 600 IN A 10.0.0.3
    "#]],
    );
    check(
        &view,
        "_http._tcp.bad",
        SRV,
        expect![[r#"
        4660 SERVFAIL qr rd ra
        ? _http._tcp.bad. IN SRV
    "#]],
    );
    check(&view, "9.0.0.10.in-addr.arpa", PTR, expect!["forward\n"]);
}

#[test]
fn names_are_looked_up_with_and_without_their_network() {
    let front = zone("front", &["web: 10.0.0.2", "a.b: 10.0.0.3", "both: 10.0.0.4"]);
    let back = zone("B.c", &["web: 10.0.1.2", "db: 10.0.1.3", "both: 10.0.1.4"]);
    let expected = [
        // The first network that knows a name answers.
        ("web", "10.0.0.2"),
        ("db", "10.0.1.3"),
        ("both", "10.0.0.4"),
        ("web.front", "10.0.0.2"),
        ("web.b.c", "10.0.1.2"),
        ("WEB.B.C", "10.0.1.2"),
        ("both.b.c", "10.0.1.4"),
        ("a.b", "10.0.0.3"),
        ("a.b.front", "10.0.0.3"),
        ("db.front", "forward"),
        ("web.c", "forward"),
        ("web.other", "forward"),
        ("b", "forward"),
    ];
    check_names(&view([front, back]), &expected);
}

#[test]
fn the_first_network_that_knows_a_name_answers_for_both_families() {
    let view = view([zone("front", &["db: 10.0.0.3"]), zone("back", &["db: fd00::3"])]);
    check(
        &view,
        "db",
        AAAA,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? db. IN AAAA
    "#]],
    );
    check(
        &view,
        "db.back",
        AAAA,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? db.back. IN AAAA
        = db.back. 600 IN AAAA fd00::3
    "#]],
    );
}

#[test]
fn aliases_come_before_names() {
    let front = zone("front", &["web: 10.0.0.2", "db: 10.0.0.3"]);
    let back = zone("back", &["web: 10.0.1.2", "cache: 10.0.1.5"]);
    let aliases = &[("db", "web"), ("Cache", "cache"), ("x.y", "WEB"), ("lost", "nobody")];
    let view = View { endpoints: vec![endpoint(front, &[]), endpoint(back, aliases)], ..View::default() };
    let expected = [
        ("web", "10.0.0.2"),
        // An alias of a later network beats a name of an earlier one.
        ("db", "10.0.1.2"),
        ("db.front", "10.0.0.3"),
        ("db.back", "10.0.1.2"),
        ("x.y", "10.0.1.2"),
        ("x.y.back", "10.0.1.2"),
        ("x", "forward"),
        // Aliases are case-sensitive, and hide names of their own network only.
        ("Cache", "10.0.1.5"),
        ("cache", "10.0.1.5"),
        ("DB", "10.0.0.3"),
        ("lost", "forward"),
    ];
    check_names(&view, &expected);
}

#[test]
fn an_alias_hides_the_name_on_its_network() {
    let front = zone("front", &["db: 10.0.0.3"]);
    let aliased = View { endpoints: vec![endpoint(front.clone(), &[("db", "gone")])], ..View::default() };
    check_names(&aliased, &[("db", "forward"), ("DB", "10.0.0.3")]);
    let endpoints = vec![endpoint(front, &[("db", "gone")]), endpoint(zone("back", &["db: 10.0.1.3"]), &[])];
    check_names(&View { endpoints, ..View::default() }, &[("db", "10.0.1.3")]);
}

#[test]
fn an_address_of_two_owners_is_one_address() {
    check_names(
        &view([zone("front", &["a s: 10.0.0.2", "b s: 10.0.0.2", "c s: 10.0.0.3"])]),
        &[("s", "10.0.0.2 10.0.0.3")],
    );
}

#[test]
fn a_search_list_keeps_single_labels_here() {
    let with = |ndots| View { ndots, ..front() };
    for name in ["com", ""] {
        check(&with(None), name, A, expect!["forward\n"]);
        check(&with(Some(0)), name, A, expect!["forward\n"]);
    }
    check(
        &with(Some(1)),
        "com",
        A,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? com. IN A
    "#]],
    );
    check(
        &with(Some(5)),
        "com",
        AAAA,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? com. IN AAAA
    "#]],
    );
    check(
        &with(Some(1)),
        "",
        A,
        expect![[r#"
        4660 NOERROR qr rd ra
        ? . IN A
    "#]],
    );
    check(&with(Some(1)), "com", MX, expect!["forward\n"]);
    check(&with(Some(1)), "example.com", A, expect!["forward\n"]);
}

#[test]
fn addresses_are_shuffled() {
    let names: Vec<String> = (1..=8).map(|n| format!("s: 10.0.0.{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let view = view([zone("front", &names)]);
    let mut first = std::collections::BTreeMap::<String, u32>::new();
    let mut random = 0_usize;
    let mut below = |count: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % count
    };
    for _ in 0..8000 {
        let pontoon_dns::Decision::Reply(reply) =
            pontoon_dns::answer(&query("s", A), &view, Transport::Udp, &mut below)
        else {
            panic!("a known name is answered")
        };
        let text = crate::common::render(&reply);
        let mut found: Vec<&str> = text.lines().filter_map(|line| line.split(" IN A ").nth(1)).collect();
        *first.entry(found[0].into()).or_default() += 1;
        found.sort_unstable();
        assert_eq!(found.len(), 8);
    }
    assert!(first.len() == 8 && first.values().all(|count| (800..1200).contains(count)), "{first:?}");
}

#[test]
fn who_speaks_edns_is_answered_in_it() {
    let ask = |query: Vec<u8>| ask(&front(), &query);
    expect![[r#"
        4660 NOERROR qr rd ra
        ? db. IN A
        = db. 600 IN A 10.0.0.3
        + OPT version 0 payload 4096
    "#]]
    .assert_eq(&ask(with_opt(query("db", A), 1232, 0)));
    expect![[r#"
        4660 NOERROR qr rd ra
        ? db. IN AAAA
        + OPT version 0 payload 4096
    "#]]
    .assert_eq(&ask(with_opt(query("db", AAAA), 0, 0)));
    expect![[r#"
        4660 BADVERS qr rd ra
        ? db. IN A
        + OPT version 0 payload 4096
    "#]]
    .assert_eq(&ask(with_opt(query("db", A), 1232, 1)));
    // One record is allowed.
    expect![[r#"
        4660 FORMERR qr rd ra
    "#]]
    .assert_eq(&ask(with_opt(with_opt(query("db", A), 1232, 0), 1232, 0)));
    expect!["forward\n"].assert_eq(&ask(with_opt(query("example.com", A), 1232, 0)));
}

#[test]
fn only_the_first_question_counts() {
    let mut two = query("db", A);
    two[5] = 2;
    two.extend_from_slice(&query("web", A)[12..]);
    expect![[r#"
        4660 NOERROR qr rd ra
        ? db. IN A
        = db. 600 IN A 10.0.0.3
    "#]]
    .assert_eq(&ask(&front(), &two));
}

#[test]
fn what_is_no_query_is_not_answered_as_one() {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut query = query("web", A);
        change(&mut query);
        ask(&front(), &query)
    };
    // An answer.
    expect!["drop\n"].assert_eq(&changed(&|query| query[2] |= 0x80));
    // No header.
    expect!["drop\n"].assert_eq(&changed(&|query| query.truncate(11)));
    expect!["drop\n"].assert_eq(&changed(&Vec::clear));
    // No question.
    expect!["drop\n"].assert_eq(&changed(&|query| query[5] = 0));
    // A notification, an update without a zone.
    expect![[r#"
        4660 NOTIMP opcode 4 qr rd ra
    "#]]
    .assert_eq(&changed(&|query| query[2] |= 4 << 3));
    expect![[r#"
        4660 NOTIMP opcode 5 qr rd ra
    "#]]
    .assert_eq(&changed(&|query| {
        query[2] |= 5 << 3;
        query[5] = 0;
    }));
}

#[test]
fn what_cannot_be_read_is_a_format_error() {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut query = query("web", A);
        change(&mut query);
        ask(&front(), &query)
    };
    let error = || expect!["4660 FORMERR qr rd ra\n"];
    // Cut off: in the name, in the class, after the header.
    error().assert_eq(&changed(&|query| query.truncate(14)));
    error().assert_eq(&changed(&|query| query.truncate(19)));
    error().assert_eq(&changed(&|query| query.truncate(12)));
    // A second question, or a record, that is not there.
    error().assert_eq(&changed(&|query| query[5] = 2));
    error().assert_eq(&changed(&|query| query[7] = 1));
    error().assert_eq(&changed(&|query| query[11] = 1));
    // A label of an unknown kind; a name that points to itself, and one that points forward.
    error().assert_eq(&changed(&|query| query[12] = 0x41));
    error().assert_eq(&changed(&|query| query[12..14].copy_from_slice(&[0xc0, 12])));
    error().assert_eq(&changed(&|query| query[12..14].copy_from_slice(&[0xc0, 16])));
    // A name of more than 255 bytes.
    let labels = ["a".repeat(63).as_str(); 4].join(".");
    error().assert_eq(&ask(&front(), &query(&labels, A)));
}

#[test]
fn the_longest_name_is_answered() {
    let long = format!("{}.{}", ["a".repeat(63).as_str(); 3].join("."), "b".repeat(61));
    let view = view([zone("front", &[&format!("{long}: 10.0.0.2")])]);
    check_names(&view, &[(&long, "10.0.0.2")]);
    assert!(ask_by(&view, &query(&long, A), Transport::Tcp).contains("10.0.0.2"));
}
