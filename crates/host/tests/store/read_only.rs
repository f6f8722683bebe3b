//! Looking at a store changes nothing, whatever state it is in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::engine::store::{Store, StoreError};
use pontoon_host::store::{DiskStore, ReadOnlyStore};

use crate::child::{read_until, start};
use crate::{batch, directory, open, pair, text, whole_pairs};

fn look(root: &Path) -> ReadOnlyStore {
    ReadOnlyStore::open(root, Duration::ZERO).expect("readable")
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let listed = fs::read_dir(root).expect("a directory").map(|entry| entry.expect("an entry").path());
    listed.map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

#[test]
fn what_is_not_there_is_empty_and_is_not_made() {
    let root = directory();
    let missing = root.path().join("missing");
    assert_eq!(text(&look(&missing), ""), "");
    assert!(!missing.exists());
    assert_eq!(text(&look(root.path()), ""), "");
    assert!(files(root.path()).is_empty());
}

#[test]
fn records_are_read_and_not_changed() {
    let root = directory();
    let store = open(root.path());
    store.commit(&batch([("a/1", Some("x")), ("b", Some("y"))])).expect("committed");
    drop(store);
    let before = files(root.path());
    let store = look(root.path());
    assert_eq!((text(&store, ""), text(&store, "a/")), ("a/1=x b=y".to_owned(), "a/1=x".to_owned()));
    assert_eq!(store.get("b").expect("readable").as_deref(), Some(&b"y"[..]));
    let refused = store.commit(&batch([("b", None)])).expect_err("read-only");
    let StoreError::Io { action: "commit", source, .. } = refused else { panic!("{refused}") };
    assert_eq!(source.to_string(), "it was opened for reading only");
    drop(store);
    assert_eq!(files(root.path()), before);
}

/// redb repairs a file whose writer was killed; the reader does so to a copy.
#[test]
fn what_a_killed_writer_left_is_read_whole_and_left_as_it_is() {
    for nth in [1, 2, 10] {
        for point in ["before", "after"] {
            let root = directory();
            let mut child = start("write", root.path(), &[("POINT", point), ("NTH", &nth.to_string())]);
            let acknowledged = read_until(&mut child, |_| false);
            child.process.wait().expect("a child");
            let before = files(root.path());
            let present = whole_pairs(&look(root.path()));
            assert!(acknowledged.len() <= present.values().map(|last| *last as usize + 1).sum(), "a commit is missing");
            assert_eq!(files(root.path()), before);
            assert_eq!(present, whole_pairs(&open(root.path())), "the next writer sees the same");
        }
    }
}

#[test]
fn what_was_deferred_is_seen_and_stays_deferred() {
    let root = directory();
    let store = open(root.path());
    store.commit(&batch([("gone", Some("there"))])).expect("committed");
    store.defer(&batch([("owed", Some("paid")), ("gone", None)])).expect("kept");
    drop(store);
    let before = files(root.path());
    assert_eq!(text(&look(root.path()), ""), "owed=paid");
    assert_eq!(files(root.path()), before);
    assert_eq!(text(&open(root.path()), ""), "owed=paid");
}

#[test]
fn readers_share_and_exclude_writers() {
    let root = directory();
    let writer = open(root.path());
    let wait = Duration::from_millis(60);
    let begun = Instant::now();
    let held = ReadOnlyStore::open(root.path(), wait).expect_err("held");
    assert!(begun.elapsed() >= wait, "gave up early");
    assert!(held.to_string().contains(&format!("is held by pid {} (", std::process::id())), "{held}");
    drop(writer);
    let readers = [look(root.path()), look(root.path())];
    let held = DiskStore::open(root.path(), Duration::ZERO).expect_err("held");
    assert!(held.to_string().ends_with("is held by another process"), "{held}");
    drop(readers);
    open(root.path());
}

/// Readers that begin before, in and after commits see none or all of each.
#[test]
fn half_a_commit_is_never_read() {
    let root = directory();
    open(root.path());
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..40 {
                let store = DiskStore::open(root.path(), Duration::from_secs(60)).expect("a store");
                store.commit(&pair(1, n)).expect("committed");
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let store = ReadOnlyStore::open(root.path(), Duration::from_secs(60)).expect("readable");
            let seen = whole_pairs(&store).get(&1).copied().unwrap_or_default();
            assert!(seen >= last, "{seen} after {last}");
            last = seen;
        }
    });
}

#[test]
fn damage_is_named() {
    let root = directory();
    drop(open(root.path()));
    let file = root.path().join("pontoon.redb");
    for content in [&b"garbage"[..], &[0; 8192]] {
        fs::write(&file, content).expect("written");
        let error = ReadOnlyStore::open(root.path(), Duration::ZERO).expect_err("damaged");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert_eq!(fs::read(&file).expect("still there"), content);
    }
}
