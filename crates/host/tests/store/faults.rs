//! Failures that tests ask for.

use std::sync::Arc;

use pontoon_core::engine::store::{Store, StoreError};
use pontoon_host::store::{MemoryStore, Point};

use crate::{batch, directory, open, text};

#[test]
fn memory_fails_where_it_is_told_to() {
    let store = MemoryStore::new();
    let restarted = store.clone();
    store.fail_commit(1, Point::Before);
    store.fail_commit(3, Point::After);
    let commit = |n| store.commit(&batch([(n, Some("x"))]));
    commit("1").expect_err("failed before");
    commit("2").expect("committed");
    let error = commit("3").expect_err("failed after");
    assert_eq!(error.to_string(), "the store in memory failed to commit");
    commit("4").expect("faults strike once");
    assert_eq!(text(&restarted, ""), "2=x 3=x 4=x");
    assert_eq!(restarted.commits(), 4);
}

#[test]
fn a_probe_fails_the_disk_before_or_after() {
    let root = directory();
    let store = open(root.path()).with_probe(Arc::new(fail_first_and_last));
    for (n, done) in [("1", false), ("2", true), ("3", false)] {
        CALLS.with(|calls| calls.set(n.parse().expect("a number")));
        assert_eq!(store.commit(&batch([(n, Some("x"))])).is_ok(), done);
    }
    drop(store);
    assert_eq!(text(&open(root.path()), ""), "2=x 3=x", "the first was not applied, the third was");
}

thread_local! {
    static CALLS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn fail_first_and_last(point: Point) -> Result<(), StoreError> {
    match (CALLS.with(std::cell::Cell::get), point) {
        (1, Point::Before) | (3, Point::After) => {
            Err(StoreError::Io { path: "probe".to_owned(), action: "commit", source: "as asked".into() })
        }
        _ => Ok(()),
    }
}
