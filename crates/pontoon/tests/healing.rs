//! What administrators and other programs break: `diagnose` names it, traffic shows it, `repair` mends it.

mod lab;

use expect_test::{Expect, expect};
use pontoon_core::firewall::ruleset::ruleset;
use pontoon_host::linux::LINK_GROUP;
use pontoon_testkit::{ip_json, run};

use lab::{Lab, dual, lab};

const TRAFFIC: &[&str] = &[
    "outside tcp 192.0.2.1:8080",
    "outside tcp [2001:db8::1]:8080",
    "near tcp 10.1.0.2:80",
    "host tcp 127.0.0.1:8080",
    "web tcp 192.0.2.2:7000",
    "web tcp [2001:db8::2]:7000",
];

/// Breaks something, and compares what the doctor says and what traffic fails; then repairs it all.
fn check(accident: impl FnOnce(&Lab), expected: Expect) {
    lab(|mut lab| {
        town(&mut lab);
        assert_eq!(soon_broken(&lab), "", "before");
        assert_eq!(lab.controller.diagnose().unwrap(), []);
        let mac = bridge_mac();
        accident(&lab);
        let steps = lab.controller.diagnose().expect("the host can be read");
        let steps: String = steps.iter().map(|difference| format!("{}\n", difference.step)).collect();
        expected.assert_eq(&format!("{}broken:\n{}", named(&lab, steps).replace(&mac, "mac-br1"), broken(&lab)));
        let repaired = lab.controller.repair().expect("repairs");
        assert_eq!(repaired.failed, []);
        assert_eq!(soon_broken(&lab), "", "after the repair");
        assert_eq!(lab.controller.diagnose().unwrap(), []);
    });
}

fn town(lab: &mut Lab) {
    lab.neighbours(dual(1).option("com.docker.network.bridge.name", "br1"), &["8080:80"]);
}

/// Returns the traffic that does not pass.
fn broken(lab: &Lab) -> String {
    let answers = lab.answers(TRAFFIC);
    answers.lines().filter(|answer| !answer.contains(" sees ")).map(|answer| format!("{answer}\n")).collect()
}

/// Returns the traffic that does not pass within seconds: the kernel tells interfaces later that they are up.
fn soon_broken(lab: &Lab) -> String {
    let mut left = broken(lab);
    for _ in 0..10 {
        if left.is_empty() {
            break;
        }
        left = broken(lab);
    }
    left
}

/// Replaces what is random, or changes with every change of the ruleset, by what it stands for.
fn named(lab: &Lab, text: String) -> String {
    let text = text.replace(&ruleset().fingerprint, "<fingerprint>");
    let text = lab.controller.sandboxes().iter().fold(text, |text, sandbox| {
        let record = sandbox.endpoints()[0].record().expect("an endpoint");
        let name = &record.spec.name;
        text.replace(record.host_ifname().as_str(), &format!("pv-{name}"))
            .replace(&record.mac.to_string(), &format!("mac-{name}"))
            .replace(&sandbox.id().to_string(), name)
            .replace(&sandbox.id().short(), name)
    });
    // Steps on things of one kind are in the order of their ids.
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines.concat()
}

fn bridge_mac() -> String {
    let link = &ip_json(&["link", "show", "br1"])[0];
    link["address"].as_str().expect("a bridge has an address").to_owned()
}

fn veth(lab: &Lab) -> String {
    let web = lab.controller.sandbox_of("web").unwrap();
    web.endpoints()[0].record().unwrap().host_ifname().to_string()
}

#[test]
fn the_ruleset_flushed() {
    check(
        |_| drop(run("nft", &["flush", "ruleset"])),
        expect![[r#"
            + element bridges br1
            + element masquerade4 10.1.0.0/24
            + element masquerade6 fd00:1::/64
            + element on_link4 10.1.0.0/24 . br1
            + element on_link6 fd00:1::/64 . br1
            + element open4 10.1.0.2 . tcp . 80
            + element open6 fd00:1::2 . tcp . 80
            + element publish_any4 tcp . 8080 : 10.1.0.2 . 80
            + element publish_any6 tcp . 8080 : fd00:1::2 . 80
            + element same_bridge br1
            + element subnets4 10.1.0.0/24
            + element subnets6 fd00:1::/64
            + element to br1 : jump to_nat
            + ruleset inet pontoon <fingerprint>
            broken:
            outside tcp 192.0.2.1:8080: no answer
            outside tcp [2001:db8::1]:8080: no answer
            host tcp 127.0.0.1:8080: no answer
        "#]],
    );
}

#[test]
fn the_bridge_deleted() {
    check(
        |_| drop(run("ip", &["link", "delete", "br1"])),
        expect![[r#"
            + address 10.1.0.1/24 on br1 in host
            + address fd00:1::1/64 on br1 in host
            + bridge br1 mac mac-br1 mtu 1500 route-localnet ipv6
            ~ veth pv-near to eth0 in sandbox near mac mac-near mtu 1500, not in a bridge -> veth pv-near on br1 to eth0 in sandbox near mac mac-near mtu 1500 hairpin
            ~ veth pv-web to eth0 in sandbox web mac mac-web mtu 1500, not in a bridge -> veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
            broken:
            outside tcp 192.0.2.1:8080: no route
            outside tcp [2001:db8::1]:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no answer
            web tcp [2001:db8::2]:7000: no answer
        "#]],
    );
}

#[test]
fn the_bridge_down() {
    check(
        |_| drop(run("ip", &["link", "set", "br1", "down"])),
        expect![[r#"
            + address fd00:1::1/64 on br1 in host
            ~ bridge br1 mac mac-br1 mtu 1500 route-localnet ipv6, down -> bridge br1 mac mac-br1 mtu 1500 route-localnet ipv6
            broken:
            outside tcp 192.0.2.1:8080: no route
            outside tcp [2001:db8::1]:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no answer
            web tcp [2001:db8::2]:7000: no answer
        "#]],
    );
}

#[test]
fn the_bridge_listens_to_routers() {
    check(
        |_| drop(run("sh", &["-c", "echo 1 >/proc/sys/net/ipv6/conf/br1/accept_ra"])),
        expect![[r#"
            ~ bridge br1 mac mac-br1 mtu 1500 route-localnet ipv6, accepts router advertisements -> bridge br1 mac mac-br1 mtu 1500 route-localnet ipv6
            broken:
        "#]],
    );
}

#[test]
fn the_bridges_address_deleted() {
    check(
        |_| drop(run("ip", &["address", "delete", "10.1.0.1/24", "dev", "br1"])),
        expect![[r#"
        + address 10.1.0.1/24 on br1 in host
        broken:
        outside tcp 192.0.2.1:8080: no route
        host tcp 127.0.0.1:8080: no answer
        web tcp 192.0.2.2:7000: no answer
    "#]],
    );
}

#[test]
fn a_sandboxs_address_deleted() {
    check(
        |lab| drop(lab.inside("web", &["ip", "address", "delete", "10.1.0.2/24", "dev", "eth0"])),
        expect![[r#"
            + address 10.1.0.2/24 on eth0 in sandbox web
            + route 0.0.0.0/0 via 10.1.0.1 on eth0 in sandbox web
            broken:
            outside tcp 192.0.2.1:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no route
        "#]],
    );
}

#[test]
fn a_sandboxs_default_routes_deleted() {
    check(
        |lab| {
            lab.inside("web", &["ip", "route", "delete", "default"]);
            lab.inside("web", &["ip", "-6", "route", "delete", "default"]);
        },
        expect![[r#"
            + route 0.0.0.0/0 via 10.1.0.1 on eth0 in sandbox web
            + route ::/0 via fd00:1::1 on eth0 in sandbox web
            broken:
            outside tcp 192.0.2.1:8080: no answer
            outside tcp [2001:db8::1]:8080: no answer
            web tcp 192.0.2.2:7000: no route
            web tcp [2001:db8::2]:7000: no route
        "#]],
    );
}

#[test]
fn a_veth_down() {
    check(
        |lab| drop(run("ip", &["link", "set", &veth(lab), "down"])),
        expect![[r#"
            ~ veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin, down -> veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
            broken:
            outside tcp 192.0.2.1:8080: no answer
            outside tcp [2001:db8::1]:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no answer
            web tcp [2001:db8::2]:7000: no answer
        "#]],
    );
}

#[test]
fn a_sandboxs_interface_down() {
    check(
        |lab| drop(lab.inside("web", &["ip", "link", "set", "eth0", "down"])),
        expect![[r#"
            + address fd00:1::2/64 on eth0 in sandbox web
            + route 0.0.0.0/0 via 10.1.0.1 on eth0 in sandbox web
            + route ::/0 via fd00:1::1 on eth0 in sandbox web
            ~ veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin, other end down -> veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
            broken:
            outside tcp 192.0.2.1:8080: no answer
            outside tcp [2001:db8::1]:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no route
            web tcp [2001:db8::2]:7000: no route
        "#]],
    );
}

#[test]
fn a_veth_without_its_bridge() {
    check(
        |lab| drop(run("ip", &["link", "set", &veth(lab), "nomaster"])),
        expect![[r#"
            ~ veth pv-web to eth0 in sandbox web mac mac-web mtu 1500, not in a bridge -> veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
            broken:
            outside tcp 192.0.2.1:8080: no answer
            outside tcp [2001:db8::1]:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no answer
            web tcp [2001:db8::2]:7000: no answer
        "#]],
    );
}

/// What a crash leaves between the message that makes a pair and the one that says whose it is.
#[test]
fn a_veth_that_was_not_finished() {
    check(
        |_| {
            let group = LINK_GROUP.to_string();
            run("ip", &["link", "add", "pv0", "group", &group, "type", "veth", "peer", "name", "end0"]);
            run("ip", &["link", "set", "pv0", "master", "br1"]);
        },
        expect![[r#"
            - veth pv0 on br1, unfinished
            broken:
        "#]],
    );
}

#[test]
fn a_veth_deleted() {
    check(
        |lab| drop(run("ip", &["link", "delete", &veth(lab)])),
        expect![[r#"
            + address 10.1.0.2/24 on eth0 in sandbox web
            + address fd00:1::2/64 on eth0 in sandbox web
            + route 0.0.0.0/0 via 10.1.0.1 on eth0 in sandbox web
            + route ::/0 via fd00:1::1 on eth0 in sandbox web
            + sysctl net.ipv6.conf.eth0.disable_ipv6 = 0 in sandbox web
            + veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
            broken:
            outside tcp 192.0.2.1:8080: no answer
            outside tcp [2001:db8::1]:8080: no answer
            near tcp 10.1.0.2:80: no answer
            host tcp 127.0.0.1:8080: no answer
            web tcp 192.0.2.2:7000: no route
            web tcp [2001:db8::2]:7000: no route
        "#]],
    );
}

#[test]
fn an_element_deleted() {
    check(
        |_| drop(run("nft", &["delete", "element", "inet", "pontoon", "publish_any4", "{ tcp . 8080 }"])),
        expect![[r#"
            + element publish_any4 tcp . 8080 : 10.1.0.2 . 80
            broken:
            outside tcp 192.0.2.1:8080: no answer
            host tcp 127.0.0.1:8080: no answer
        "#]],
    );
}

#[test]
fn an_element_bent() {
    check(
        |_| {
            run("nft", &["delete", "element", "inet", "pontoon", "publish_any4", "{ tcp . 8080 }"]);
            run("nft", &["add", "element", "inet", "pontoon", "publish_any4", "{ tcp . 8080 : 10.1.0.3 . 80 }"]);
        },
        expect![[r#"
            ~ element publish_any4 tcp . 8080 : 10.1.0.3 . 80 -> element publish_any4 tcp . 8080 : 10.1.0.2 . 80
            broken:
            outside tcp 192.0.2.1:8080: no answer
            host tcp 127.0.0.1:8080: refused
        "#]],
    );
}

#[test]
fn a_foreign_rule_in_our_chain() {
    check(
        |_| drop(run("nft", &["insert", "rule", "inet", "pontoon", "forward", "drop"])),
        expect![[r#"
        ~ ruleset inet pontoon damaged: other rules in chain forward -> ruleset inet pontoon <fingerprint>
        broken:
        outside tcp 192.0.2.1:8080: no answer
        outside tcp [2001:db8::1]:8080: no answer
        near tcp 10.1.0.2:80: no answer
        web tcp 192.0.2.2:7000: no answer
        web tcp [2001:db8::2]:7000: no answer
    "#]],
    );
}

#[test]
fn forwarding_off() {
    check(
        |_| drop(run("sh", &["-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"])),
        expect![[r#"
        ~ sysctl net.ipv4.ip_forward = 0 in host -> sysctl net.ipv4.ip_forward = 1 in host
        broken:
        outside tcp 192.0.2.1:8080: no answer
        web tcp 192.0.2.2:7000: no answer
    "#]],
    );
}

/// Whoever was in it stays there; those who come later find a new one, furnished as the old one was.
#[test]
fn a_sandboxs_namespace_unmounted() {
    lab(|mut lab| {
        town(&mut lab);
        run("umount", &["-l", &lab.controller.sandbox_of("web").unwrap().key().display().to_string()]);
        let steps = lab.controller.diagnose().expect("the host can be read");
        let steps: String = steps.iter().map(|difference| format!("{}\n", difference.step)).collect();
        expect![[r#"
            + address 10.1.0.2/24 on eth0 in sandbox web
            + address fd00:1::2/64 on eth0 in sandbox web
            + namespace of sandbox web
            + redirect 127.0.0.11:53 to port 11053 in sandbox web
            + route 0.0.0.0/0 via 10.1.0.1 on eth0 in sandbox web
            + route ::/0 via fd00:1::1 on eth0 in sandbox web
            + sysctl net.ipv6.conf.eth0.disable_ipv6 = 0 in sandbox web
            ~ veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin, other end lost -> veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
        "#]].assert_eq(&named(&lab, steps));
        assert_eq!(lab.controller.repair().expect("repairs").failed, []);
        assert_eq!(lab.controller.diagnose().unwrap(), []);
        lab.enter("web");
        assert_eq!(soon_broken(&lab), "", "after the repair");
    });
}

#[test]
fn the_table_asleep() {
    check(
        |_| drop(run("nft", &["add", "table", "inet", "pontoon", "{ flags dormant; }"])),
        expect![[r#"
        ~ ruleset inet pontoon damaged: it is dormant: nothing is filtered -> ruleset inet pontoon <fingerprint>
        broken:
        outside tcp 192.0.2.1:8080: no answer
        outside tcp [2001:db8::1]:8080: no answer
        host tcp 127.0.0.1:8080: no answer
    "#]],
    );
}

#[test]
fn ends_of_different_mtu() {
    check(
        |lab| drop(run("ip", &["link", "set", &veth(lab), "mtu", "1300"])),
        expect![[r#"
        ~ veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin, ends of different MTU -> veth pv-web on br1 to eth0 in sandbox web mac mac-web mtu 1500 hairpin
        broken:
    "#]],
    );
}

#[test]
fn records_of_namespaces_lost() {
    check(
        |lab| {
            let key = lab.controller.sandbox_of("web").unwrap().key().clone();
            let records = key.parent().and_then(std::path::Path::parent).expect("a run directory").join("sandboxes");
            std::fs::read_dir(records)
                .unwrap()
                .for_each(|record| std::fs::remove_file(record.unwrap().path()).unwrap());
        },
        expect![[r#"
            broken:
        "#]],
    );
}
