//! One holder at a time, known by name.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::engine::store::StoreError;
use pontoon_host::store::DiskStore;

use crate::child::{read_until, start};
use crate::{directory, open};

#[test]
fn a_held_store_names_its_holder_and_is_waited_for() {
    let root = directory();
    let mut child = start("hold", root.path(), &[]);
    read_until(&mut child, |lines| lines.len() == 1);
    let start = Instant::now();
    let wait = Duration::from_millis(60);
    let error = DiskStore::open(root.path(), wait).expect_err("held");
    assert!(start.elapsed() >= wait, "gave up early");
    let StoreError::Held { path, holder } = &error else {
        panic!("{error:?}");
    };
    assert!(path.starts_with(root.path().to_str().expect("text")), "{path}");
    let pid = format!("pid {} (", child.process.id());
    assert!(holder.starts_with(&pid) && holder.contains("--exact child::child"), "{holder}");

    let release = child.process.stdin.take().expect("piped");
    let releaser = thread::spawn(move || {
        thread::sleep(wait);
        drop(release);
    });
    let start = Instant::now();
    DiskStore::open(root.path(), Duration::from_secs(60)).expect("released in time");
    assert!(start.elapsed() >= wait, "the holder was still there");
    releaser.join().expect("no panic");
}

#[test]
fn a_killed_holder_holds_nothing() {
    let root = directory();
    let mut child = start("hold", root.path(), &[]);
    read_until(&mut child, |lines| lines.len() == 1);
    child.kill().expect("ours");
    child.process.wait().expect("a child");
    open(root.path());
}

#[test]
fn one_process_opens_a_store_once() {
    let root = directory();
    let first = open(root.path());
    let error = DiskStore::open(root.path(), Duration::ZERO).expect_err("held");
    assert!(error.to_string().contains(&format!("pid {} (", std::process::id())), "{error}");
    drop(first);
    open(root.path());
}

#[test]
fn a_command_started_meanwhile_does_not_inherit_the_lock() {
    let root = directory();
    let store = open(root.path());
    let mut command = Command::new("sleep").arg("60").spawn().expect("sleep");
    drop(store);
    let opened = DiskStore::open(root.path(), Duration::ZERO);
    command.kill().expect("ours");
    command.wait().expect("a child");
    opened.expect("not held");
}

#[test]
fn a_lock_signed_by_the_dead_says_so() {
    let root = directory();
    let lock = fs::File::create(root.path().join("lock")).expect("a file");
    lock.lock().expect("free");
    let held = || DiskStore::open(root.path(), Duration::ZERO).expect_err("held").to_string();
    assert!(held().ends_with("is held by another process"), "{}", held());
    let signature = format!("pid {}\nstart 1\ncommand old\n", std::process::id());
    fs::write(root.path().join("lock"), signature).expect("written");
    assert!(held().ends_with("old, which is not running here)"), "{}", held());
}
