//! What is committed stays, whenever the process is killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::engine::store::{Batch, Store};
use pontoon_host::store::DiskStore;

use crate::child::{Running, read_until, start};
use crate::{batch, directory, open, pair, text, whole_pairs};

#[test]
fn a_dropped_store_can_be_opened_again() {
    let root = directory();
    for n in ["1", "2", "3"] {
        let store = open(root.path());
        store.commit(&batch([(n, Some("x"))])).expect("committed");
    }
    assert_eq!(text(&open(root.path()), ""), "1=x 2=x 3=x");
}

#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let root = directory();
    let root = root.path().join("made");
    let _store = open(&root);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&root.join("pontoon.redb")), 0o600);
    assert_eq!(mode(&root.join("lock")), 0o600);
}

#[test]
fn grouped_commits_share_flushes() {
    let (threads, commits) = (8, 200);
    let root = directory();
    let store = open(root.path());
    let start = Instant::now();
    (0..commits).for_each(|n| store.commit(&pair(100, n)).expect("committed"));
    let alone = start.elapsed();
    let flushes_alone = store.flushes();
    assert_eq!(flushes_alone, commits, "a lone writer flushes every commit");

    let start = Instant::now();
    thread::scope(|scope| {
        for writer in 0..threads {
            let store = &store;
            scope.spawn(move || (0..commits).for_each(|n| store.commit(&pair(writer, n)).expect("committed")));
        }
    });
    let grouped = start.elapsed();
    let flushes = store.flushes() - flushes_alone;
    assert!(flushes < threads * commits, "{flushes} flushes");
    let each = |time: Duration, count: u64| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "a durable commit: {:.0} µs alone, {:.0} µs each of {threads} threads ({} commits in {flushes} flushes)",
        each(alone, commits),
        each(grouped, threads * commits),
        threads * commits
    );
    drop(store);
    let store = open(root.path());
    let mut expected: BTreeMap<u64, u64> = (0..threads).map(|writer| (writer, commits - 1)).collect();
    expected.insert(100, commits - 1);
    assert_eq!(whole_pairs(&store), expected);
    assert_eq!(store.scan("a/").expect("readable").len() as u64, (threads + 1) * commits);
}

#[test]
fn a_kill_at_any_time_loses_nothing() {
    let root = directory();
    let mut acknowledged = BTreeMap::new();
    // A fixed sequence of odd numbers spreads the kills; when they strike inside a commit is up to the scheduler.
    for round in 0..12_usize {
        let mut child = start("write", root.path(), &[]);
        let lines = read_until(&mut child, |lines| lines.len() > (round * 37) % 101);
        child.kill().expect("ours");
        finish(child, lines, &mut acknowledged);
        check_acknowledged(root.path(), &acknowledged);
    }
}

#[test]
fn a_kill_at_every_point_of_a_commit_loses_nothing() {
    for point in ["before", "after"] {
        for nth in [1, 2, 3, 10, 41] {
            let root = directory();
            let child = start("write", root.path(), &[("POINT", point), ("NTH", &nth.to_string())]);
            let mut acknowledged = BTreeMap::new();
            finish(child, Vec::new(), &mut acknowledged);
            check_acknowledged(root.path(), &acknowledged);
        }
    }
}

/// Adds what `child` acknowledged before it died: each writer's last commit.
fn finish(mut child: Running, mut lines: Vec<String>, acknowledged: &mut BTreeMap<u64, u64>) {
    lines.extend(read_until(&mut child, |_| false));
    let status = child.process.wait().expect("a child");
    assert!(!status.success(), "killed, not ended: {lines:?}");
    for line in lines {
        let (writer, n) = line.split_once(' ').expect("writer and commit");
        let writer = writer.parse().expect("a number");
        acknowledged.insert(writer, n.parse().expect("a number"));
    }
}

fn check_acknowledged(root: &Path, acknowledged: &BTreeMap<u64, u64>) {
    let present = whole_pairs(&open(root));
    for (writer, n) in acknowledged {
        assert!(present.get(writer) >= Some(n), "lost: {acknowledged:?} of {present:?}");
    }
}

#[test]
fn a_crash_while_creating_leaves_a_usable_directory() {
    let root = directory();
    fs::write(root.path().join("pontoon.redb.new"), [0; 5000]).expect("half a file");
    fs::write(root.path().join("pontoon.redb"), []).expect("an empty file");
    fs::write(root.path().join("lock"), "pid").expect("half a holder");
    let store = open(root.path());
    store.commit(&pair(1, 0)).expect("committed");
    assert!(!root.path().join("pontoon.redb.new").exists());
}

/// What a failed commit owes is paid by whoever opens the store next, once.
#[test]
fn what_was_deferred_comes_first() {
    let root = tempfile::tempdir().unwrap();
    let mut batch = Batch::default();
    batch.put("owed", b"paid".to_vec());
    batch.remove("gone");
    let store = DiskStore::open(root.path(), Duration::ZERO).unwrap();
    let mut before = Batch::default();
    before.put("gone", b"there".to_vec());
    store.commit(&before).unwrap();
    store.defer(&batch).unwrap();
    assert_eq!(store.get("owed").unwrap(), None);
    drop(store);
    let store = DiskStore::open(root.path(), Duration::ZERO).unwrap();
    assert_eq!(store.get("owed").unwrap().as_deref(), Some(&b"paid"[..]));
    assert_eq!(store.get("gone").unwrap(), None);
    assert!(!root.path().join("deferred.json").exists());
}
