//! Hosts files: made, edited, and merged with what the container wrote.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::prelude::*;

use super::ip;
use crate::error::Kind;
use crate::files::hosts::{HostEntry, Hosts, add, delete, merge, update};
use crate::files::{FileError, Ipv6};

/// `10.0.0.1 a b; fd00::1 a`.
fn entries(text: &str) -> Vec<HostEntry> {
    text.split("; ").filter(|text| !text.is_empty()).map(|text| text.parse().expect("an entry")).collect()
}

/// The goldens of white space: `→` for a tab.
fn shown(text: &str) -> String {
    text.replace('\t', "→")
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&shown(text));
}

fn default_hosts() -> String {
    Hosts::default().to_string()
}

/// Upstream `TestBuildDefault`: the same lines in the same order, always.
#[test]
fn the_default_names_localhost() {
    let expected = expect![[r#"
        127.0.0.1→localhost
        ::1→localhost ip6-localhost ip6-loopback
        fe00::→ip6-localnet
        ff00::→ip6-mcastprefix
        ff02::1→ip6-allnodes
        ff02::2→ip6-allrouters
    "#]];
    for ipv6 in [Ipv6::Unknown, Ipv6::On] {
        let hosts = Hosts { ipv6, ..Hosts::default() };
        expected.assert_eq(&shown(&hosts.to_string()));
    }
}

/// Upstream `TestBuildNoIPv6`.
#[test]
fn without_ipv6_no_line_has_ipv6() {
    let hosts = Hosts {
        ipv6: Ipv6::Off,
        extra: entries("fdbb:c59c:d015::3 another.example; 10.11.12.13 another.example"),
        own: entries("172.18.0.2 web; fd00::2 web"),
    };
    check(
        &hosts.to_string(),
        expect![[r#"
        127.0.0.1→localhost
        10.11.12.13→another.example
        172.18.0.2→web
    "#]],
    );
}

/// Upstream `TestHostsEntries`: both families, a full name, and the extra hosts before the own ones.
#[test]
fn the_own_addresses_come_last() {
    let own = ["192.168.222.2", "fe90::2"].map(|text| HostEntry::own(ip(text), "somehost.example.com", None));
    let hosts = Hosts {
        ipv6: Ipv6::On,
        extra: entries("10.0.0.9 zeta; 10.0.0.1 alpha"),
        own: own.into_iter().collect::<Result<_, _>>().expect("entries"),
    };
    check(
        &hosts.to_string(),
        expect![[r#"
        127.0.0.1→localhost
        ::1→localhost ip6-localhost ip6-loopback
        fe00::→ip6-localnet
        ff00::→ip6-mcastprefix
        ff02::1→ip6-allnodes
        ff02::2→ip6-allrouters
        10.0.0.9→zeta
        10.0.0.1→alpha
        192.168.222.2→somehost.example.com somehost
        fe90::2→somehost.example.com somehost
    "#]],
    );
}

#[test]
fn an_own_address_has_the_full_name_and_the_short_one() {
    let check = |hostname: &str, domainname: Option<&str>, names: &str| {
        let entry = HostEntry::own(ip("172.18.0.2"), hostname, domainname).expect("an entry");
        assert_eq!(entry.names(), names, "{hostname} {domainname:?}");
    };
    check("web", None, "web");
    check("web", Some(""), "web");
    check("web", Some("example.org"), "web.example.org web");
    check("web.example", Some("org"), "web.example.org web");
    check("web.example.org", None, "web.example.org web");
}

#[test]
fn entries_that_cannot_be_lines_are_refused() {
    let check = |error: FileError, text: &str| {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), Kind::Invalid);
    };
    let parse = |text: &str| text.parse::<HostEntry>().expect_err(text);
    check(parse("web 10.0.0.1"), r#"invalid hosts entry "web 10.0.0.1": begin with an IP address"#);
    check(parse("10.0.0.1"), r#"invalid hosts entry "10.0.0.1 ": name at least one host after the address"#);
    check(
        parse("10.0.0.1 web # mine"),
        r##"invalid hosts entry "10.0.0.1 web # mine": control characters and `#` are not allowed in a host name"##,
    );
    check(
        HostEntry::new(ip("10.0.0.1"), "web\n10.0.0.2 bank").expect_err("two lines"),
        r#"invalid hosts entry "10.0.0.1 web\n10.0.0.2 bank": control characters and `#` are not allowed in a host name"#,
    );
    check(
        HostEntry::own(ip("10.0.0.1"), "", Some("example.org")).expect_err("no host"),
        r#"invalid hosts entry "10.0.0.1 ": name at least one host after the address"#,
    );
}

#[test]
fn an_entry_is_a_text_in_records() {
    let entry: HostEntry = " 10.0.0.1 \t web\tw ".parse().expect("an entry");
    let json = serde_json::to_string(&entry).expect("a record");
    assert_eq!(json, r#""10.0.0.1\tweb w""#);
    assert_eq!(serde_json::from_str::<HostEntry>(&json).expect("the entry"), entry);
    assert_eq!((entry.ip(), entry.names()), (ip("10.0.0.1"), "web w"));
}

/// Upstream `TestAdd`, `TestAddEmpty`.
#[test]
fn add_appends() {
    let hosts = default_hosts();
    assert_eq!(add(&hosts, &[]), hosts);
    assert_eq!(add(&hosts, &entries("2.2.2.2 testhostname")), format!("{hosts}2.2.2.2\ttesthostname\n"));
    check(
        &add("# a line without end", &entries("1.1.1.1 a; ::1 b c")),
        expect![[r#"
        # a line without end
        1.1.1.1→a
        ::1→b c
    "#]],
    );
    check(
        &add("", &entries("1.1.1.1 a")),
        expect![[r#"
        1.1.1.1→a
    "#]],
    );
}

/// Upstream `TestDelete`, `TestDeleteEmpty`, `TestDeleteNewline`.
#[test]
fn delete_takes_whole_entries() {
    let hosts = default_hosts();
    let three = add(&hosts, &entries("1.1.1.1 testhostname1; 2.2.2.2 testhostname2; 3.3.3.3 testhostname3"));
    assert_eq!(
        delete(&three, &entries("1.1.1.1 testhostname1; 3.3.3.3 testhostname3")),
        format!("{hosts}2.2.2.2\ttesthostname2\n")
    );
    assert_eq!(delete("1.1.1.1\ta\n\n", &[]), "1.1.1.1\ta\n\n");
    assert_eq!(delete("\n", &entries("2.2.2.2 prefix")), "");
}

#[test]
fn delete_keeps_comments_and_other_spellings_of_hosts() {
    let text =
        "#1.1.1.1\ta\n\n1.1.1.1\ta\n1.1.1.1 \t a\r\n1.1.1.1\ta b\n1.1.1.1\ta # mine\n2.2.2.2\ta\n \t\n1.1.1.1\ta";
    check(
        &delete(text, &entries("1.1.1.1 a")),
        expect![[r#"
        #1.1.1.1→a
        1.1.1.1→a b
        1.1.1.1→a # mine
        2.2.2.2→a
    "#]],
    );
    assert_eq!(delete("fd00:0:0::1\ta\nfd00::2\ta\n", &entries("fd00::1 a")), "fd00::2\ta\n");
}

/// Upstream `TestDeleteIgnoresPrefixedHostname`.
#[test]
fn delete_leaves_longer_names_alone() {
    let text = add(&default_hosts(), &entries("1.1.1.1 prefix; 1.1.1.1 prefixAndMore; 2.2.2.2 prefixAndMore"));
    assert_eq!(
        delete(&text, &entries("1.1.1.1 prefix")),
        format!("{}1.1.1.1\tprefixAndMore\n2.2.2.2\tprefixAndMore\n", default_hosts())
    );
}

/// Upstream `TestUpdate`.
#[test]
fn update_replaces_the_address_of_the_first_name() {
    let hosts = default_hosts();
    let check = |before: &str, host: &str, address: &str, after: &str| {
        assert_eq!(update(&format!("{hosts}{before}"), host, ip(address)), format!("{hosts}{after}"), "{host}");
    };
    let line = "10.11.12.13\ttesthostname.testdomainname testhostname\n";
    check(line, "testhostname", "1.1.1.1", "1.1.1.1\ttesthostname.testdomainname testhostname\n");
    check(line, "testhostname.testdomainname", "fd00::1", "fd00::1\ttesthostname.testdomainname testhostname\n");
    check(line, "testdomainname", "1.1.1.1", line);
    check("1.1.1.1\tother alias\n", "alias", "2.2.2.2", "1.1.1.1\tother alias\n");
    check("1.1.1.1\ta\n# 1.1.1.1\ta\n 1.1.1.1  a b", "a", "2.2.2.2", "2.2.2.2\ta\n# 1.1.1.1\ta\n 2.2.2.2  a b");
    check("", "nobody", "2.2.2.2", "");
}

/// Upstream `TestUpdateIgnoresPrefixedHostname`.
#[test]
fn update_leaves_longer_names_alone() {
    let text = add("", &entries("2.2.2.2 prefix; 3.3.3.3 prefixAndMore; 3.3.3.3 prefix2; 4.4.4.4 unaffectedHost"));
    check(
        &update(&text, "prefix", ip("5.5.5.5")),
        expect![[r#"
        5.5.5.5→prefix
        3.3.3.3→prefixAndMore
        3.3.3.3→prefix2
        4.4.4.4→unaffectedHost
    "#]],
    );
}

/// Upstream `TestEtcHostsDisconnect`: only the lines of that network go.
#[test]
fn merge_follows_the_endpoints_and_keeps_what_the_container_wrote() {
    let hosts = |own: &str| Hosts { own: entries(own), ..Hosts { ipv6: Ipv6::Off, ..Hosts::default() } }.to_string();
    let (none, one) = (hosts(""), hosts("172.18.0.2 web; fd00::2 web"));
    let two = hosts("172.18.0.2 web; fd00::2 web; 172.19.0.2 web");

    let joined = merge(&none, &none, &one);
    assert_eq!(joined, one);
    let edited = format!("# mine\n{joined}\n192.0.2.1 db # the real one");
    let edited = merge(&edited, &one, &two);
    check(
        &edited,
        expect![[r#"
        # mine
        127.0.0.1→localhost
        172.18.0.2→web

        192.0.2.1 db # the real one
        172.19.0.2→web
    "#]],
    );
    check(
        &merge(&edited, &two, &hosts("172.19.0.2 web")),
        expect![[r#"
        # mine
        127.0.0.1→localhost

        192.0.2.1 db # the real one
        172.19.0.2→web
    "#]],
    );
}

#[test]
fn merge_counts_lines() {
    let check = |present: &str, before: &str, after: &str, merged: &str| {
        assert_eq!(merge(present, before, after), merged, "{before:?} → {after:?}");
    };
    let a = "1.1.1.1\ta\n";
    // Twice there, once ours: the first goes.
    check("1.1.1.1 a\n#\n1.1.1.1\ta\n", a, "", "#\n1.1.1.1\ta\n");
    check("1.1.1.1\ta\n1.1.1.1\ta\n1.1.1.1\ta\n", "1.1.1.1\ta\n1.1.1.1\ta\n1.1.1.1\ta\n", a, a);
    // The container edited or removed ours.
    check("1.1.1.1\ta b\n", a, "", "1.1.1.1\ta b\n");
    check("", a, "", "");
    check("", a, a, "");
    // The same call again.
    check(a, "", a, a);
    check("", "", "1.1.1.1\ta\n1.1.1.1\ta\n", "1.1.1.1\ta\n1.1.1.1\ta\n");
    // A new address for the same hosts.
    check("1.1.1.1\ta\n# end", a, "2.2.2.2\ta\n", "# end\n2.2.2.2\ta\n");
    // A copy of the host's file, with its comments.
    check("#\n\n1.1.1.1\ta\nmine\n", "#\n\n1.1.1.1\ta\n", "# new\n1.1.1.1\ta\n", "1.1.1.1\ta\nmine\n# new\n");
}

/// A few lines, so that the same ones meet often, some of them the same in another spelling.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["1.1.1.1\ta", "1.1.1.1\tab", "2.2.2.2\ta", "fd00::1\ta b", "fd00::2\tb", "# note", ""])
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec!["1.1.1.1  a", "fd00:0::1\ta b ", " # note", "\t"]).prop_map(str::to_owned),
        1 => "[ -~\\t\\r]{0,12}",
    ]
}

fn file() -> impl Strategy<Value = String> {
    (vec(line(), 0..8), any::<bool>()).prop_map(|(lines, ends)| lines.join("\n") + if ends { "\n" } else { "" })
}

/// What each line says, its spelling aside, and how often; told in another way than `merge` does.
fn tally(text: &str) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for line in text.split('\n').filter(|line| !line.trim_ascii().is_empty()) {
        let line = line.trim_ascii();
        let said = match line.split_once([' ', '\t', '\r']) {
            Some((address, names)) if address.parse::<std::net::IpAddr>().is_ok() => {
                format!("{} is {}", ip(address), names.trim_ascii())
            }
            _ => line.to_owned(),
        };
        *tally.entry(said).or_default() += 1;
    }
    tally
}

proptest! {
    #[test]
    fn merging_no_change_changes_nothing(present in any::<String>(), lines in file(), file in file()) {
        prop_assert_eq!(&merge(&present, &lines, &lines), &present);
        prop_assert_eq!(&merge(&file, &lines, &lines), &file);
    }

    #[test]
    fn an_unedited_file_becomes_what_is_wanted(before in file(), after in file()) {
        prop_assert_eq!(tally(&merge(&before, &before, &after)), tally(&after));
    }

    #[test]
    fn whatever_the_container_added_the_wanted_lines_are_there(before in file(), own in file(), after in file()) {
        let present = format!("{before}\n{own}");
        let merged = merge(&present, &before, &after);
        let there = tally(&merged);
        for (line, times) in tally(&after) {
            prop_assert!(there.get(&line).copied().unwrap_or(0) >= times, "{line:?} of {after:?} is not in {merged:?}");
        }
    }

    #[test]
    fn what_was_not_there_before_stays_in_its_order(present in file(), before in file(), after in file()) {
        let ours = tally(&before);
        let foreign = |line: &&str| tally(line).keys().all(|said| !ours.contains_key(said)) && !line.trim().is_empty();
        let merged = merge(&present, &before, &after);
        let kept: Vec<&str> = merged.split('\n').filter(foreign).collect();
        let written: Vec<&str> = present.split('\n').filter(foreign).collect();
        prop_assert!(kept.starts_with(&written), "{written:?} became {kept:?}");
    }

    #[test]
    fn no_more_lines_go_than_before_had_more_of(present in file(), before in file(), after in file()) {
        let (had, has, merged) = (tally(&before), tally(&after), tally(&merge(&present, &before, &after)));
        let of = |tally: &BTreeMap<String, usize>, line: &String| tally.get(line).copied().unwrap_or(0);
        for (line, times) in tally(&present) {
            let may_go = of(&had, &line).saturating_sub(of(&has, &line));
            prop_assert!(of(&merged, &line) >= times.saturating_sub(may_go), "{line:?}");
        }
    }

    #[test]
    fn a_repeated_join_adds_nothing(present in file(), before in file(), own in vec(line(), 0..4)) {
        let own = entries_of(&own);
        let after = add(&before, &own);
        let once = merge(&before, &before, &after);
        prop_assert_eq!(&merge(&once, &before, &after), &once);
        prop_assert_eq!(tally(&delete(&add(&present, &own), &own)), tally(&delete(&present, &own)));
    }

    #[test]
    fn nothing_panics(a in any::<String>(), b in any::<String>(), c in any::<String>(), line in any::<String>()) {
        merge(&a, &b, &c);
        update(&a, &b, ip("10.0.0.1"));
        let entries: Vec<HostEntry> = line.parse().into_iter().chain(HostEntry::own(ip("::1"), &b, Some(&c))).collect();
        let added = add(&a, &entries);
        prop_assert!(entries.iter().all(|entry| added.contains(&entry.to_string())));
        delete(&added, &entries);
    }
}

fn entries_of(lines: &[String]) -> Vec<HostEntry> {
    lines.iter().filter_map(|line| line.parse().ok()).collect()
}
