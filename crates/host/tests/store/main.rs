//! The stores: one contract for both, and for the one on disk crashes, locks, damage and grouped commits.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pontoon_core::engine::store::{Batch, Store};
use pontoon_host::store::DiskStore;
use tempfile::TempDir;

mod child;
mod contract;
mod damage;
mod durability;
mod faults;
mod lock;
mod read_only;

/// The threads of a test that commits concurrently.
const WRITERS: u64 = 4;

fn batch<'a>(changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key, value.into()),
            None => batch.remove(key),
        }
    }
    batch
}

fn text(store: &dyn Store, prefix: &str) -> String {
    let records = store.scan(prefix).expect("readable");
    let lines = records.iter().map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value)));
    lines.collect::<Vec<_>>().join(" ")
}

fn open(root: &Path) -> DiskStore {
    DiskStore::open(root, Duration::ZERO).expect("a store")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A batch whose halves must never be seen apart.
fn pair(writer: u64, n: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put(format!("a/{writer}/{n:06}"), n.to_string().into());
    batch.put(format!("last/{writer}"), n.to_string().into());
    batch.put(format!("b/{writer}/{n:06}"), vec![b'b'; 300]);
    batch
}

/// Returns the last pair of each writer, having checked that all pairs up to it are there and whole.
fn whole_pairs(store: &dyn Store) -> BTreeMap<u64, u64> {
    let keys = |prefix: &str| -> Vec<String> {
        let records = store.scan(prefix).expect("readable");
        let keys = records.into_iter().map(|(key, _)| key[prefix.len()..].to_owned());
        keys.collect()
    };
    let halves = keys("a/");
    assert_eq!(halves, keys("b/"), "half a batch");
    let mut last = BTreeMap::new();
    for key in halves {
        let (writer, n) = key.split_once('/').expect("two parts");
        let (writer, n): (u64, u64) = (writer.parse().expect("a number"), n.parse().expect("a number"));
        let expected = last.get(&writer).map_or(0, |before| before + 1);
        assert_eq!(n, expected, "a hole in the commits of writer {writer}");
        last.insert(writer, n);
    }
    for (writer, n) in &last {
        let value = store.get(&format!("last/{writer}")).expect("readable");
        assert_eq!(value, Some(n.to_string().into()));
    }
    last
}
