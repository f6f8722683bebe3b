//! What every store promises, checked on both.

use std::collections::BTreeMap;
use std::thread;

use pontoon_core::engine::store::{Batch, Store};
use pontoon_host::store::{ImportError, MemoryStore, export, import};

use crate::{WRITERS, batch, directory, open, pair, text, whole_pairs};

fn on_both(check: fn(&dyn Store)) {
    check(&MemoryStore::new());
    let root = directory();
    check(&open(root.path()));
}

#[test]
fn an_empty_store_has_nothing() {
    on_both(|store| {
        assert_eq!(store.get("a").expect("readable"), None);
        assert_eq!(text(store, ""), "");
        store.commit(&Batch::default()).expect("nothing to do");
        store.commit(&batch([("a", None)])).expect("already absent");
        assert_eq!(text(store, ""), "");
    });
}

#[test]
fn later_changes_of_a_key_win() {
    on_both(|store| {
        let changes = [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", None)];
        store.commit(&batch(changes)).expect("committed");
        assert_eq!(text(store, ""), "a=2");
        store.commit(&batch([("a", None), ("a", Some("3"))])).expect("committed");
        assert_eq!(store.get("a").expect("readable").as_deref(), Some(&b"3"[..]));
        store.commit(&batch([("a", None)])).expect("committed");
        assert_eq!(text(store, ""), "");
    });
}

#[test]
fn a_scan_is_ordered_and_stays_in_its_prefix() {
    on_both(|store| {
        let keys = ["net/2", "net/10", "net0", "net", "ne", "é", "net/\u{10ffff}", "sandbox/1"];
        store.commit(&batch(keys.map(|key| (key, Some("x"))))).expect("committed");
        assert_eq!(text(store, "net/"), "net/10=x net/2=x net/\u{10ffff}=x");
        assert_eq!(text(store, "net"), "net=x net/10=x net/2=x net/\u{10ffff}=x net0=x");
        assert_eq!(text(store, "nothing"), "");
        assert_eq!(store.scan("").expect("readable").len(), keys.len());
    });
}

#[test]
fn values_are_bytes_of_any_length() {
    on_both(|store| {
        for value in [vec![], vec![0, 255, b'\n'], vec![7; 1 << 20]] {
            let mut batch = Batch::default();
            batch.put("key", value.clone());
            store.commit(&batch).expect("committed");
            assert_eq!(store.get("key").expect("readable"), Some(value));
        }
    });
}

#[test]
fn concurrent_commits_are_all_there() {
    on_both(|store| {
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || (0..20).for_each(|n| store.commit(&pair(writer, n)).expect("committed")));
            }
        });
        assert_eq!(whole_pairs(store), BTreeMap::from_iter((0..WRITERS).map(|writer| (writer, 19))));
    });
}

#[test]
fn an_export_can_be_imported() {
    on_both(|store| {
        let before = [("a", Some(r#"{"n":1}"#)), ("b", Some("\"text\"")), ("c", Some("not json"))];
        store.commit(&batch(before)).expect("committed");
        let document = export(store).expect("exported");
        assert!(document.contains("\"c\": \"hex:6e6f74206a736f6e\""), "{document}");

        let copy = MemoryStore::new();
        assert_eq!(import(&copy, &document).expect("imported"), 3);
        assert_eq!(copy.commits(), 1);
        assert_eq!(copy.scan("").expect("readable"), store.scan("").expect("readable"));

        store.commit(&batch([("a", Some("2")), ("d", Some("3"))])).expect("committed");
        import(store, &document).expect("imported");
        assert_eq!(copy.scan("").expect("readable"), store.scan("").expect("readable"));

        let error = import(store, r#"{"a":1,"b":"hex:zz"}"#).expect_err("not hex");
        assert!(matches!(error, ImportError::BadHex { ref key } if key == "b"), "{error}");
        import(store, "[]").expect_err("not an object");
        assert_eq!(copy.scan("").expect("readable"), store.scan("").expect("readable"));
    });
}
