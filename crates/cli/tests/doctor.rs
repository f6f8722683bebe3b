//! `pontoon doctor` names what is wrong, and `pontoon repair` puts it right.

mod common;

use common::{json, like_before, ok, pontoon, ran, snapshot};
use pontoon_testkit::{isolated, run};

#[test]
fn differences_are_named_and_repaired() {
    isolated(|| {
        let before = snapshot();
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        // Not by `run`, which puts a flushed firewall back before anybody can look.
        ok(&["sandbox", "create", "web", "--network", "front", "-p", "8080:80"]);
        assert_eq!(ran(common::command(&["doctor", "-q"]).output().unwrap()).stdout, "");
        let healthy = snapshot();
        let bridge = format!("pn-{}", &ok(&["network", "ls", "-q"])[..12]);
        let damages: [(&str, &[&str], &str); 3] = [
            ("nft", &["flush", "ruleset"], "ruleset inet pontoon"),
            ("ip", &["link", "delete", &bridge], "+ bridge pn-"),
            ("ip", &["addr", "delete", "10.1.0.1/24", "dev", &bridge], "+ address 10.1.0.1/24"),
        ];
        for (program, arguments, named) in damages {
            run(program, arguments);
            let found = pontoon(&["doctor", "-q"]);
            assert_eq!(found.status, 1, "{found:?}");
            assert!(found.stdout.contains(named), "{named}: {found:?}");
            let repaired = ok(&["repair"]);
            assert!(repaired.contains(named), "{named}: {repaired}");
            assert_eq!(ok(&["repair"]), "nothing to repair\n");
            assert_eq!(pontoon(&["doctor"]).status, 0);
            // A new bridge has another index: what counts is what sandboxes see.
            assert_eq!(snapshot()["files"], healthy["files"]);
        }
        let purged = ok(&["repair", "--purge", "--force", "--format", "json"]);
        assert!(purged.contains("- bridge pn-"), "{purged}");
        run("rm", &["-rf", common::RUN_DIR]);
        like_before(&before);
    });
}

#[test]
fn other_firewalls_and_conflicts_are_named() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        run("nft", &["add", "table", "ip", "filter"]);
        run("nft", &["add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"]);
        run("ip", &["link", "add", "other", "mtu", "1400", "type", "veth", "peer", "name", "end"]);
        run("ip", &["addr", "add", "10.1.0.65/26", "dev", "other"]);
        run("ip", &["link", "set", "end", "up"]);
        run("ip", &["link", "set", "other", "up"]);
        run("ip", &["route", "add", "default", "via", "10.1.0.66", "dev", "other"]);
        let found = pontoon(&["doctor", "-q"]);
        assert_eq!(found.status, 1);
        for named in [
            "chain FORWARD of table ip filter drops forwarded packets",
            "subnet 10.1.0.0/24 of front overlaps the host's route to 10.1.0.64/26 on other",
            "front has an MTU of 1500, the way out on other has 1400",
        ] {
            assert!(found.stdout.contains(named), "{named}: {}", found.stdout);
        }
        let document = ran(common::command(&["doctor", "--format", "json"]).output().unwrap());
        let findings: serde_json::Value = serde_json::from_str(&document.stdout).unwrap();
        assert!(findings.as_array().unwrap().iter().any(|finding| finding["Level"] == "wrong"));
    });
}

#[test]
fn purging_asks_first() {
    isolated(|| {
        ok(&["network", "create", "front"]);
        let refused = pontoon(&["repair", "--purge"]);
        assert_eq!(refused.status, 1);
        assert!(refused.stderr.contains("[y/N]") && refused.stderr.contains("nothing was removed"), "{refused:?}");
        assert_eq!(json(&["network", "ls"])[0]["Name"], "front");
    });
}
