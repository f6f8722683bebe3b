//! What others do: rules of the host's own, and sandboxes that forge.

use expect_test::expect;
use pontoon_testkit::run;

use crate::lab::{dual, lab};

fn nft(commands: &str) {
    commands.lines().for_each(|line| drop(run("nft", &[line])));
}

/// `accept` in our table ends our table only.
#[test]
fn what_the_host_drops_stays_dropped() {
    lab(|mut lab| {
        lab.neighbours(dual(1), &["8080:80"]);
        let questions = [
            "outside tcp 192.0.2.1:8080",
            "outside tcp 192.0.2.1:7000",
            "web tcp 192.0.2.2:7000",
            "web tcp 10.1.0.1:7000",
            "near tcp 10.1.0.2:80",
            "near tcp 192.0.2.1:8080",
        ];
        nft("add table inet admin\nadd chain inet admin input { type filter hook input priority 0; policy drop; }");
        lab.check(
            &questions,
            expect![[r#"
            outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
            outside tcp 192.0.2.1:7000: no answer
            web tcp 192.0.2.2:7000: outside:7000 sees 192.0.2.1
            web tcp 10.1.0.1:7000: no answer
            near tcp 10.1.0.2:80: web:80 sees 10.1.0.3
            near tcp 192.0.2.1:8080: web:80 sees 10.1.0.1
        "#]],
        );
        nft(
            "delete chain inet admin input\nadd chain inet admin forward { type filter hook forward priority 10; policy drop; }",
        );
        lab.check(
            &questions,
            expect![[r#"
            outside tcp 192.0.2.1:8080: no answer
            outside tcp 192.0.2.1:7000: host:7000 sees 192.0.2.2
            web tcp 192.0.2.2:7000: no answer
            web tcp 10.1.0.1:7000: host:7000 sees 10.1.0.2
            near tcp 10.1.0.2:80: no answer
            near tcp 192.0.2.1:8080: no answer
        "#]],
        );
        nft(
            "delete table inet admin\nadd table inet admin\nadd chain inet admin forward { type filter hook forward priority -10; policy drop; }",
        );
        lab.check(
            &questions,
            expect![[r#"
            outside tcp 192.0.2.1:8080: no answer
            outside tcp 192.0.2.1:7000: host:7000 sees 192.0.2.2
            web tcp 192.0.2.2:7000: no answer
            web tcp 10.1.0.1:7000: host:7000 sees 10.1.0.2
            near tcp 10.1.0.2:80: no answer
            near tcp 192.0.2.1:8080: no answer
        "#]],
        );
    });
}

/// `route_localnet` is on for bridges, so the ruleset keeps forged packets from the host's loopback.
#[test]
fn a_sandbox_does_not_reach_the_hosts_loopback() {
    lab(|mut lab| {
        let network = lab.network(dual(1));
        lab.sandbox("a", &network, &[]);
        lab.lead_loopback_to_the_host("a", "10.1.0.1");
        lab.check(
            &["a tcp 127.0.0.1:7000", "a ping 127.0.0.1", "a tcp 127.1.2.3:7000"],
            expect![[r#"
            a tcp 127.0.0.1:7000: no answer
            a ping 127.0.0.1: no answer
            a tcp 127.1.2.3:7000: no answer
        "#]],
        );
        // The packets came as far as the rule.
        let protect = run("nft", &["list", "chain", "inet", "pontoon", "protect"]);
        let rule = protect.lines().find(|line| line.contains("127.0.0.0/8")).expect("the rule");
        assert!(!rule.contains("packets 0 "), "{rule}");
    });
}

/// Administrators keep what `nft list ruleset` prints in a file, and load it at boot.
#[test]
fn a_listed_ruleset_can_be_loaded_again() {
    lab(|mut lab| {
        let network = lab.network(dual(1));
        lab.sandbox("web", &network, &["8080:80", "9000-9009:9000-9009"]);
        let listed = run("nft", &["list", "ruleset"]);
        std::fs::write("/run/saved.nft", format!("flush ruleset\n{listed}")).expect("writable");
        run("nft", &["-f", "/run/saved.nft"]);
        assert_eq!(lab.controller.diagnose().expect("readable"), []);
        lab.check(
            &["outside tcp 192.0.2.1:8080"],
            expect![[r#"
            outside tcp 192.0.2.1:8080: web:80 sees 192.0.2.2
        "#]],
        );
    });
}
