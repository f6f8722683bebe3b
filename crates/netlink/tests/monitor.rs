//! What a monitor hears of nftables, changed by the `nft` program and by ourselves.

use pontoon_netlink::nft::{self, Change, Family, Monitor, Notice, Ownership, Transaction};
use pontoon_netlink::{Protocol, Socket};
use pontoon_testkit::{Feature, isolated, require, run};

/// Returns what was heard: who, and in which tables.
fn heard(monitor: &mut Monitor) -> Vec<Transaction> {
    let notices = monitor.heard().unwrap().into_iter();
    let transaction = |notice| match notice {
        Notice::Committed(transaction) => transaction,
        Notice::Missed => panic!("little enough was told"),
    };
    notices.map(transaction).collect()
}

fn tables(transaction: &Transaction) -> Vec<(Family, &str)> {
    transaction.tables.iter().map(|(family, table)| (*family, table.as_str())).collect()
}

#[test]
fn a_monitor_hears_who_changed_which_tables() {
    isolated(|| {
        if !require(Feature::NfTables) {
            return;
        }
        run("nft", &["add table inet before"]);
        let mut monitor = Monitor::open().unwrap();
        assert_eq!(heard(&mut monitor), []);

        run("nft", &["add table inet a; add set inet a s { type ipv4_addr; }; add table ip b"]);
        run("nft", &["add element inet a s { 192.0.2.1 }"]);
        run("nft", &["flush ruleset"]);
        let by_nft = heard(&mut monitor);
        let changed: Vec<_> = by_nft.iter().map(tables).collect();
        let both = [(Family::Inet, "a"), (Family::Ip, "b")];
        assert_eq!(changed, [&both[..], &both[..1], &[(Family::Inet, "a"), (Family::Inet, "before"), both[1]]]);
        assert!(by_nft.iter().all(|one| one.program == "nft"), "{by_nft:?}");

        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let table = Change::AddTable { comment: None, ownership: Ownership::default() };
        nft::apply(&mut socket, Family::Inet, "ours", &[table]).unwrap();
        let by_us = heard(&mut monitor);
        assert_eq!(by_us.len(), 1);
        assert_eq!((by_us[0].port, tables(&by_us[0])), (socket.port(), vec![(Family::Inet, "ours")]));
        assert!(by_nft.iter().all(|one| one.port != socket.port()));
    });
}
