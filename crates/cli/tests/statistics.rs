//! `stats` and `port`, as people and programs read them.

mod common;

use common::{json, mistake, ok};
use expect_test::expect;
use pontoon_testkit::isolated;
use serde_json::{Value, json as value};

fn networks() {
    ok(&["network", "create", "--subnet", "10.1.0.0/24", "front"]);
    ok(&["network", "create", "--ipv6", "--subnet", "10.2.0.0/24", "--subnet", "fd00:2::/64", "back"]);
}

/// The number in a column of an interface.
fn counted(interface: &str, column: &str) -> u64 {
    let rows = json(&["stats", "web"]);
    let row = rows.as_array().expect("rows").iter().find(|row| row["Interface"] == interface);
    row.and_then(|row| row[column].as_u64()).unwrap_or_else(|| panic!("{interface} {column}: {rows}"))
}

#[test]
fn statistics_count_what_interfaces_pass() {
    isolated(|| {
        networks();
        ok(&["sandbox", "create", "web", "--network", "front,ifname=lan0", "--network", "back,gw-priority=-1"]);
        ok(&["sandbox", "create", "alone"]);
        let before = (counted("lan0", "TxPackets"), counted("lan0", "TxBytes"), counted("lan0", "RxPackets"));
        ok(&["sandbox", "exec", "web", "--", "ping", "-c", "3", "-i", "0.2", "-s", "1000", "-W", "5", "10.1.0.1"]);
        let after = (counted("lan0", "TxPackets"), counted("lan0", "TxBytes"), counted("lan0", "RxPackets"));
        assert!(
            after.0 >= before.0 + 3 && after.1 >= before.1 + 3000 && after.2 >= before.2 + 3,
            "{before:?} {after:?}"
        );
        // What the kernel counts, by another reader.
        let said: Value =
            serde_json::from_str(&ok(&["sandbox", "exec", "web", "--", "ip", "-j", "-s", "link", "show", "lan0"]))
                .unwrap();
        assert_eq!(said[0]["stats64"]["rx"]["errors"], counted("lan0", "RxErrors"));
        assert!(said[0]["stats64"]["tx"]["bytes"].as_u64() >= Some(after.1), "{said}");
        // Every sandbox, each interface in a row; those without one have none.
        let rows = json(&["stats"]);
        let found: Vec<_> =
            rows.as_array().unwrap().iter().map(|row| (&row["Sandbox"], &row["Interface"], &row["Network"])).collect();
        assert_eq!(
            found,
            [(&value!("web"), &value!("eth0"), &value!("back")), (&value!("web"), &value!("lan0"), &value!("front"))]
        );
        assert_eq!(json(&["stats", "alone"]), value!([]));
        let table = ok(&["stats"]);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines[0].join(" "),
            "SANDBOX INTERFACE NETWORK RX BYTES PACKETS DROPPED ERRORS TX BYTES PACKETS DROPPED ERRORS"
        );
        assert_eq!(lines[2][..3], ["web", "lan0", "front"]);
        assert!(lines[2][3..].iter().all(|cell| cell.parse::<u64>().is_ok()) && lines[2].len() == 11, "{table}");
    });
}

#[test]
fn ports_are_shown_for_one_sandbox_and_for_all() {
    isolated(|| {
        networks();
        let nothing = ok(&["port"]);
        assert_eq!(nothing.split_whitespace().collect::<Vec<_>>(), ["SANDBOX", "PORT", "HOST"]);
        ok(&["sandbox", "create", "web", "--network", "back", "-p", "8080:80", "-p", "127.0.0.1:9000-9001:9-10/udp"]);
        ok(&["sandbox", "create", "db", "--network", "front", "-p", "5432:5432"]);
        ok(&["sandbox", "create", "alone", "-p", "7000:7"]);
        expect![[r#"
            9-10/udp -> 127.0.0.1:9000-9001
            80/tcp -> 0.0.0.0:8080
            80/tcp -> [::]:8080
        "#]]
        .assert_eq(&ok(&["port", "web"]));
        expect![[r#"
            SANDBOX   PORT       HOST
            db        5432/tcp   0.0.0.0:5432
            web       9-10/udp   127.0.0.1:9000-9001
            web       80/tcp     0.0.0.0:8080
            web       80/tcp     [::]:8080
        "#]]
        .assert_eq(&ok(&["port"]));
        let rows = json(&["port", "db"]);
        assert_eq!(rows[0]["HostPort"], 5432);
        assert_eq!((&rows[0]["ContainerIP"], &rows[0]["HostIP"]), (&value!("10.1.0.2"), &value!("0.0.0.0")));
        // Ports are where what leads out is.
        assert_eq!(ok(&["port", "alone"]), "");
        ok(&["network", "connect", "front", "alone"]);
        assert_eq!(ok(&["port", "alone"]), "7/tcp -> 0.0.0.0:7000\n");
        ok(&["network", "disconnect", "front", "alone"]);
        assert_eq!(ok(&["port", "alone"]), "");
    });
}

#[test]
fn unknown_sandboxes_are_named() {
    isolated(|| {
        for command in ["stats", "port"] {
            mistake(
                &[command, "nobody"],
                1,
                &expect![[r#"
                    error: sandbox nobody not found
                    hint: `pontoon sandbox ls` shows the sandboxes"#]],
            );
        }
    });
}
