//! `--rate-in` and `--rate-out`: shown, mended, and refused where they make no sense.

mod common;

use common::{json, like_before, mistake, ok, pontoon, snapshot};
use expect_test::expect;
use pontoon_testkit::{Feature, isolated, require, run};
use serde_json::json;

/// Returns how the host's interfaces send that belong to sandboxes: a kind and a rate in bytes for each.
fn disciplines() -> Vec<(String, u64)> {
    let shown: serde_json::Value =
        serde_json::from_str(&run("tc", &["-json", "qdisc", "show"])).expect("tc writes JSON");
    let of = |one: &serde_json::Value| Some((one["dev"].as_str()?[..2].to_owned(), one["options"]["rate"].as_u64()?));
    let mut all: Vec<_> = shown.as_array().into_iter().flatten().filter_map(of).collect();
    all.sort_unstable();
    all
}

#[test]
fn limits_are_shown_and_mended() {
    isolated(|| {
        if !require(Feature::Shaping) {
            return;
        }
        ok(&["network", "create", "front"]);
        let before = snapshot();
        ok(&["sandbox", "create", "web", "--network", "front", "--rate-in", "8M", "--rate-out", "500k"]);
        ok(&["sandbox", "create", "db"]);
        ok(&["network", "connect", "front", "db", "--rate-out", "1G"]);
        let limits = ["web", "db"].map(|name| {
            let endpoint = &json(&["sandbox", "inspect", name])[0]["Endpoints"][0];
            let shown = &json(&["endpoint", "inspect", endpoint["ID"].as_str().expect("an id")])[0];
            assert_eq!((&shown["RateIn"], &shown["RateOut"]), (&endpoint["RateIn"], &endpoint["RateOut"]));
            (endpoint["RateIn"].clone(), endpoint["RateOut"].clone())
        });
        assert_eq!(limits, [(json!(8_000_000), json!(500_000)), (json!(null), json!(1_000_000_000))]);
        let whole = [("pi", 62_500), ("pi", 125_000_000), ("pv", 1_000_000)].map(|(dev, rate)| (dev.to_owned(), rate));
        assert_eq!(disciplines(), whole);
        let endpoint = &json(&["sandbox", "inspect", "web"])[0]["Endpoints"][0];
        run("tc", &["qdisc", "delete", "dev", endpoint["HostInterface"].as_str().expect("a name"), "root"]);
        let found = pontoon(&["doctor", "-q"]);
        assert_eq!(found.status, 1, "{found:?}");
        assert!(found.stdout.contains("limit in to 8Mbit/s on pv"), "{found:?}");
        assert!(ok(&["repair"]).contains("limit in to 8Mbit/s on pv"));
        assert_eq!(disciplines(), whole);
        assert_eq!(ok(&["repair"]), "nothing to repair\n");
        ok(&["sandbox", "rm", "web", "db"]);
        like_before(&before);
        let lines = ["run", "--network", "front", "--rate-in", "64k", "--", "tc", "qdisc", "show", "dev", "eth0"];
        assert!(!ok(&lines).contains("tbf"), "the limits are out of the container's reach");
        like_before(&before);
    });
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    isolated(|| {
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "web"]);
        let before = snapshot();
        mistake(
            &["sandbox", "create", "a", "--network", "front", "--rate-in", "fast"],
            2,
            &expect![[
                r#"error: invalid value 'fast' for '--rate-in <RATE>': "fast" is no rate: write a whole number of bits per second, with k, M or G for thousands of them, such as 500k or 8M"#
            ]],
        );
        mistake(
            &["network", "connect", "front", "web", "--rate-out", "1.5M"],
            2,
            &expect![[
                r#"error: invalid value '1.5M' for '--rate-out <RATE>': "1.5M" is no rate: write a whole number of bits per second, with k, M or G for thousands of them, such as 500k or 8M"#
            ]],
        );
        mistake(
            &["run", "--rate-out", "800", "--", "true"],
            2,
            &expect![
                "error: invalid value '800' for '--rate-out <RATE>': the rate 800 is out of range [8k, 400G]: the numbers are bits per second"
            ],
        );
        mistake(
            &["run", "--rate-out", "500G", "--", "true"],
            2,
            &expect![
                "error: invalid value '500G' for '--rate-out <RATE>': the rate 500G is out of range [8k, 400G]: the numbers are bits per second"
            ],
        );
        mistake(
            &["run", "--network", "host", "--rate-in", "8M", "--", "true"],
            2,
            &expect!["error: --rate-in cannot be used with --network host: it makes no interface"],
        );
        mistake(
            &["run", "--network", "none", "--rate-out", "8M", "--", "true"],
            2,
            &expect!["error: --rate-out cannot be used with --network none: it makes no interface"],
        );
        mistake(
            &["run", "--network", "sandbox:web", "--rate-out", "8M", "--", "true"],
            2,
            &expect!["error: --rate-out cannot be used with --network web: it makes no interface"],
        );
        mistake(
            &["sandbox", "create", "a", "--rate-in", "8M"],
            2,
            &expect!["error: --rate-in cannot be used without --network: no interface is made"],
        );
        ok(&["network", "create", "nowhere", "--driver", "null"]);
        mistake(
            &["network", "connect", "nowhere", "web", "--rate-in", "8M"],
            2,
            &expect![
                "error: network nowhere makes no interface whose rate can be limited: leave the limits out, or join a bridge network"
            ],
        );
        like_before(&before);
    });
}
