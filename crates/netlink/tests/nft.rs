//! Our nftables messages on a real kernel, read back with the `nft` program.

use std::net::Ipv4Addr;

use pontoon_netlink::nft::{
    self, Chain, Change, Element, Family, Field, Layout, Ownership, Part, Relation, Rule, Set, SetRef, Statement,
    TransactionError, Value, Verdict,
};
use pontoon_netlink::{Protocol, Socket};
use pontoon_testkit::{Feature, isolated, nft_json, require, run};
use serde_json::Value as Json;

#[path = "nft/ruleset.rs"]
mod ruleset;
#[path = "nft/samples.rs"]
mod samples;

use ruleset::TCP;
use samples::{compare, ipv4, more_rules, rule, samples, small_table};

const TABLE: &str = "pontoon";
const RULESET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ruleset.nft");

/// Runs a test in its namespaces with a socket, if the kernel has nftables.
fn on_kernel(test: impl FnOnce(&mut Socket)) {
    isolated(|| {
        if require(Feature::NfTables) {
            test(&mut Socket::open(Protocol::Netfilter).unwrap());
        }
    });
}

fn apply(socket: &mut Socket, changes: &[Change]) -> Result<(), TransactionError> {
    nft::apply(socket, Family::Inet, TABLE, changes)
}

fn set_ref(name: &str) -> SetRef {
    let set = ruleset::sets().into_iter().find(|set| set.name == name);
    set.unwrap().reference()
}

fn add(set: &str, elements: Vec<Element>) -> Change {
    Change::AddElements { set: set_ref(set), elements }
}

fn delete(set: &str, elements: Vec<Element>) -> Change {
    Change::DeleteElements { set: set_ref(set), elements }
}

fn elements(socket: &mut Socket, set: &str) -> Vec<Element> {
    nft::elements(socket, Family::Inet, TABLE, &set_ref(set)).unwrap()
}

/// The table as `nft` reads it, without what differs between two equal ones.
fn listed() -> Vec<Json> {
    let mut listing = nft_json(&["list", "table", "inet", TABLE]);
    let objects = listing["nftables"].as_array_mut().unwrap();
    let mut objects = objects.split_off(1);
    for object in &mut objects {
        for (_, fields) in object.as_object_mut().unwrap() {
            fields.as_object_mut().unwrap().remove("handle");
        }
    }
    // Sets are listed in the order of their handles, which is no difference.
    objects.sort_by_key(|object| {
        let place = object["rule"].is_object() || object["chain"].is_object();
        let set = [&object["set"]["name"], &object["map"]["name"]];
        (place, set.map(ToString::to_string).concat())
    });
    objects
}

/// Compares object by object, for a difference that can be read.
fn assert_listed(wanted: &[Json]) {
    let ours = listed();
    for (ours, wanted) in ours.iter().zip(wanted) {
        assert_eq!(ours, wanted);
    }
    assert_eq!(ours.len(), wanted.len());
}

fn ports_map(range: std::ops::Range<u16>) -> Vec<Element> {
    range
        .map(|port| {
            Element::new([Part::protocol(TCP), Part::port(port)])
                .with_values([ipv4(1).into(), Value::Port(port.wrapping_add(1))])
        })
        .collect()
}

#[test]
fn our_ruleset_is_the_one_nft_makes() {
    on_kernel(|socket| {
        run("nft", &["-f", RULESET]);
        let wanted = listed();
        let wanted_expressions = expressions(socket);
        apply(socket, &[Change::DeleteTable]).unwrap();
        apply(socket, &ruleset::changes()).unwrap();
        assert_listed(&wanted);
        assert_eq!(expressions(socket), wanted_expressions);
    });
}

/// What rules consist of. A byte order conversion that `nft` 1.0 puts behind
/// one-byte fields changes nothing and is left out.
fn expressions(socket: &mut Socket) -> Vec<(String, Vec<String>)> {
    let rules = nft::rules(socket, Family::Inet, TABLE).unwrap();
    rules
        .into_iter()
        .map(|rule| {
            let mut names = rule.expressions;
            names.retain(|name| name != "byteorder");
            (rule.chain, names)
        })
        .collect()
}

#[test]
fn tables_chains_and_sets_are_read_back() {
    on_kernel(|socket| {
        let mut changes = ruleset::changes();
        changes[0] = Change::AddTable { comment: Some("of the tests".to_owned()), ownership: Ownership::Persistent };
        apply(socket, &changes).unwrap();
        let tables = nft::tables(socket).unwrap();
        assert_eq!(tables.len(), 1);
        assert_eq!(tables[0].comment.as_deref(), Some("of the tests"));
        assert_eq!(tables[0].ownership, Ownership::Persistent);
        assert_eq!((tables[0].family, &*tables[0].name), (Family::Inet, TABLE));

        let by_name = |mut sets: Vec<Set>| {
            sets.sort_by(|one, other| one.name.cmp(&other.name));
            sets
        };
        let sets = nft::sets(socket, Family::Inet, TABLE).unwrap();
        assert_eq!(by_name(sets), by_name(ruleset::sets()));

        let chains = nft::chains(socket, Family::Inet, TABLE).unwrap();
        let wanted: Vec<Chain> = changes
            .iter()
            .filter_map(|change| match change {
                Change::AddChain(chain) => Some(chain.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(chains, wanted);
        assert!(nft::chains(socket, Family::Inet, "other").unwrap().is_empty());
        let missing = nft::sets(socket, Family::Inet, "other").unwrap_err();
        assert_eq!(missing.errno(), Some(libc::ENOENT));
    });
}

#[test]
fn elements_are_the_ones_nft_makes() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        for (set, _, words) in samples() {
            run("nft", &["add", "element", "inet", TABLE, set, &format!("{{ {words} }}")]);
        }
        let wanted = listed();
        let read: Vec<_> = ruleset::sets().iter().map(|set| elements(socket, &set.name)).collect();
        apply(socket, &[Change::DeleteTable]).unwrap();
        apply(socket, &ruleset::changes()).unwrap();
        for (set, element, _) in samples() {
            apply(socket, &[add(set, vec![element])]).unwrap();
        }
        assert_listed(&wanted);
        for (set, theirs) in ruleset::sets().iter().zip(&read) {
            let mut added: Vec<Element> =
                samples().into_iter().filter(|(name, ..)| *name == set.name).map(|(_, element, _)| element).collect();
            added.sort_by(|one, other| one.key.cmp(&other.key));
            assert_eq!(elements(socket, &set.name), added, "{}", set.name);
            assert_eq!(*theirs, added, "{} as nft made it", set.name);
        }
    });
}

#[test]
fn elements_are_deleted() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        let empty = listed();
        let changes = |change: fn(&str, Vec<Element>) -> Change| -> Vec<Change> {
            samples().into_iter().map(|(set, element, _)| change(set, vec![element])).collect()
        };
        apply(socket, &changes(add)).unwrap();
        assert_ne!(listed(), empty);
        // Adding what is there is no error, deleting what is not there is.
        apply(socket, &changes(add)).unwrap();
        apply(socket, &changes(delete)).unwrap();
        assert_eq!(listed(), empty);
        let refused = apply(socket, &changes(delete)[..1]).unwrap_err();
        assert_eq!(refused.errno(), Some(libc::ENOENT));

        apply(socket, &changes(add)).unwrap();
        let flush = Change::FlushSet("publish4".to_owned());
        apply(socket, &[flush]).unwrap();
        assert_eq!(elements(socket, "publish4"), []);
    });
}

#[test]
fn a_conflicting_element_is_named() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        apply(socket, &[add("publish_any4", ports_map(1000..1001))]).unwrap();
        let mut many = ports_map(1..3000);
        many[999] = many[999].clone().with_values([ipv4(7).into(), Value::Port(1)]);
        let changes = [add("publish_any4", ports_map(5000..5002)), add("publish_any4", many)];
        let error = apply(socket, &changes).unwrap_err();
        let TransactionError::Refused { failures } = error else {
            panic!("{error}");
        };
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].change, failures[0].element), (1, Some(999)));
        assert_eq!(failures[0].refusal.errno, libc::EEXIST);
        assert_eq!(elements(socket, "publish_any4"), ports_map(1000..1001));
    });
}

#[test]
fn one_bad_change_among_any_number_is_reported_and_undoes_all() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        let before = listed();
        for count in [1, 2, 62, 63, 64, 65, 126, 127, 128, 129, 256] {
            for bad in [0, count / 2, count - 1] {
                let changes: Vec<Change> = (0..count)
                    .map(|index| match index == bad {
                        true => Change::DeleteChain("absent".to_owned()),
                        false => Change::AddChain(Chain { name: format!("extra_{index}"), base: None }),
                    })
                    .collect();
                let error = apply(socket, &changes).unwrap_err();
                let TransactionError::Refused { failures } = error else {
                    panic!("{count} changes: {error}");
                };
                assert_eq!(failures.len(), 1, "{count} changes");
                assert_eq!(failures[0].change, bad);
                assert_eq!(failures[0].refusal.errno, libc::ENOENT);
            }
        }
        assert_eq!(listed(), before);
    });
}

#[test]
fn every_bad_change_is_reported() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        let absent = || Change::DeleteSet("absent".to_owned());
        let fine = || add("bridges", vec![Element::new([Part::interface("br0")])]);
        let error = apply(socket, &[fine(), absent(), fine(), absent()]).unwrap_err();
        let TransactionError::Refused { failures } = &error else {
            panic!("{error}");
        };
        let changes: Vec<usize> = failures.iter().map(|failure| failure.change).collect();
        assert_eq!(changes, [1, 3]);
        assert!(error.to_string().contains("ENOENT"), "{error}");
        let long = Element::new([Part::interface("a-name-that-is-too-long")]);
        let error = apply(socket, &[add("bridges", vec![long])]).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EINVAL));
        assert_eq!(elements(socket, "bridges"), []);
    });
}

#[test]
fn a_loop_of_chains_is_refused() {
    on_kernel(|socket| {
        apply(socket, &small_table()).unwrap();
        let before = listed();
        let jump = |chain: &str, target: &str| {
            Change::AddRule(Rule {
                chain: chain.to_owned(),
                statements: vec![Statement::Verdict(Verdict::Jump(target.to_owned()))],
                comment: String::new(),
            })
        };
        let hook = Change::AddChain(Chain {
            name: "x3".to_owned(),
            base: Some(nft::BaseChain {
                hook: nft::Hook::Input,
                kind: nft::ChainKind::Filter,
                priority: 0,
                policy: nft::Policy::Drop,
            }),
        });
        let changes = [hook, jump("x3", "x1"), jump("x1", "x2"), jump("x2", "x1")];
        let error = apply(socket, &changes).unwrap_err();
        assert!([Some(libc::ELOOP), Some(libc::EMLINK)].contains(&error.errno()), "{error}");
        assert_eq!(listed(), before);
    });
}

#[test]
fn ten_thousand_elements_go_in_one_transaction() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        let many = ports_map(1..10_001);
        apply(socket, &[add("publish_any4", many.clone())]).unwrap();
        assert_eq!(elements(socket, "publish_any4"), many);
        apply(socket, &[delete("publish_any4", many)]).unwrap();
        assert_eq!(elements(socket, "publish_any4"), []);

        let hosts: Vec<Element> = (0..10_000u32)
            .map(|host| Element::new([Part::address(Ipv4Addr::from_bits(0x0a00_0000 + 2 * host))]))
            .collect();
        apply(socket, &[add("subnets4", hosts.clone())]).unwrap();
        assert_eq!(elements(socket, "subnets4"), hosts);
    });
}

#[test]
fn a_table_is_rebuilt_in_one_transaction() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        let fresh = listed();
        apply(socket, &[add("publish_any4", ports_map(1..3))]).unwrap();
        let mut changes = vec![ruleset::changes().remove(0), Change::DeleteTable];
        changes.extend(ruleset::changes());
        apply(socket, &changes).unwrap();
        assert_eq!(listed(), fresh);
    });
}

#[test]
fn a_persistent_table_is_taken_over() {
    on_kernel(|socket| {
        let mut changes = ruleset::changes();
        changes[0] = Change::AddTable { comment: None, ownership: Ownership::Persistent };
        let mut first = Socket::open(Protocol::Netfilter).unwrap();
        apply(&mut first, &changes).unwrap();
        let error = apply(socket, &changes).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EPERM));
        drop(first);
        apply(socket, &[changes.remove(0), add("publish_any4", ports_map(1..3))]).unwrap();
        assert_eq!(elements(socket, "publish_any4"), ports_map(1..3));
    });
}

#[test]
fn a_rule_that_no_message_can_hold_is_refused() {
    on_kernel(|socket| {
        apply(socket, &small_table()).unwrap();
        let endless = Change::AddRule(rule(vec![Statement::Counter; 2000]));
        let error = apply(socket, &[Change::FlushChain("x1".into()), endless]).unwrap_err();
        assert!(error.to_string().contains("change 1: it exceeds"), "{error}");
    });
}

#[test]
fn a_flushed_ruleset_makes_adding_fail() {
    on_kernel(|socket| {
        apply(socket, &ruleset::changes()).unwrap();
        run("nft", &["flush", "ruleset"]);
        let error = apply(socket, &[add("publish_any4", ports_map(1..3))]).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENOENT));
        apply(socket, &ruleset::changes()).unwrap();
    });
}

#[test]
fn an_owned_table_survives_a_foreign_flush() {
    on_kernel(|socket| {
        let mut changes = ruleset::changes();
        changes[0] = Change::AddTable { comment: None, ownership: Ownership::Persistent };
        apply(socket, &changes).unwrap();
        run("nft", &["flush", "ruleset"]);
        apply(socket, &[add("publish_any4", ports_map(1..3))]).unwrap();
        let mut other = Socket::open(Protocol::Netfilter).unwrap();
        let error = apply(&mut other, &[add("publish_any4", ports_map(3..4))]).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EPERM));
    });
}

#[test]
fn every_statement_is_the_one_nft_makes() {
    on_kernel(|socket| {
        apply(socket, &small_table()).unwrap();
        for (_, words) in more_rules() {
            run("nft", &["add", "rule", "inet", TABLE, "x1", words]);
        }
        let wanted = listed();
        let wanted_expressions = expressions(socket);
        apply(socket, &[Change::FlushChain("x1".to_owned())]).unwrap();
        for (statements, words) in more_rules() {
            apply(socket, &[Change::AddRule(rule(statements))]).unwrap_or_else(|error| panic!("{words}: {error}"));
        }
        assert_listed(&wanted);
        assert_eq!(expressions(socket), wanted_expressions);
    });
}

#[test]
fn comments_and_handles_of_rules() {
    on_kernel(|socket| {
        apply(socket, &small_table()).unwrap();
        let commented = |comment: &str| Rule { comment: comment.to_owned(), ..rule(vec![Statement::Counter]) };
        let last = Change::AddRule(commented("last"));
        apply(socket, &[last, Change::InsertRule(commented("first"))]).unwrap();
        let text = run("nft", &["list", "table", "inet", TABLE]);
        assert!(text.contains(r#"comment "first""#), "{text}");
        assert!(text.contains(r#"comment "of a map""#), "{text}");
        let rules = nft::rules(socket, Family::Inet, TABLE).unwrap();
        let comments: Vec<&str> = rules.iter().map(|rule| &*rule.comment).collect();
        assert_eq!(comments, ["first", "last"]);
        let delete = Change::DeleteRule { chain: "x1".to_owned(), handle: rules[0].handle };
        apply(socket, &[delete]).unwrap();
        let rules = nft::rules(socket, Family::Inet, TABLE).unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].comment, "last");
        assert_eq!(rules[0].expressions, ["counter"]);
        apply(socket, &[Change::FlushChain("x1".into()), Change::DeleteChain("x1".into())]).unwrap();
    });
}

#[test]
fn other_families_need_other_checks() {
    on_kernel(|socket| {
        for (family, name) in [(Family::Ip, "ip"), (Family::Ip6, "ip6"), (Family::Bridge, "bridge")] {
            let (field, address, words) = match family {
                Family::Ip6 => (Field::Ip6Saddr, "fd00::1", "ip6 saddr fd00::1 accept"),
                _ => (Field::Ip4Saddr, "10.0.0.1", "ip saddr 10.0.0.1 accept"),
            };
            let value = Value::Address(address.parse().unwrap());
            let accept = Statement::Verdict(Verdict::Accept);
            let one = rule(vec![compare(field, Relation::Equal, value), accept]);
            let mut changes = small_table();
            changes.push(Change::AddRule(one));
            nft::apply(socket, family, TABLE, &changes).unwrap();
            let text = run("nft", &["list", "table", name, TABLE]);
            assert!(text.contains(words), "{text}");
        }
    });
}

#[test]
fn a_layout_follows_from_the_set() {
    let layouts = ["bridges", "subnets4", "on_link4"].map(|set| set_ref(set).layout);
    assert_eq!(layouts, [Layout::Keys, Layout::Boundaries, Layout::Ranges]);
}
