//! Files that are no store, and a system that refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pontoon_core::engine::store::{Store, StoreError};
use pontoon_host::store::DiskStore;

use crate::child::child_command;
use crate::{directory, open, pair, whole_pairs};

#[track_caller]
fn expect_damage(root: &Path, what: &str) {
    let opened = DiskStore::open(root, Duration::ZERO);
    let error = opened.map(|_| ()).expect_err(what);
    assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error:?}");
    let text = error.to_string();
    let path = root.join("pontoon.redb");
    assert!(text.contains(path.to_str().expect("text")) && text.contains("move the file away"), "{what}: {text}");
}

#[test]
fn a_file_that_is_no_store_is_damaged() {
    let root = directory();
    let path = root.path().join("pontoon.redb");
    for content in [b"x".to_vec(), vec![0; 4096], vec![0xa5; 1 << 20], b"redb\x1a\n\xa9\r\n".to_vec()] {
        fs::write(&path, &content).expect("written");
        expect_damage(root.path(), &format!("{} bytes of garbage", content.len()));
        assert_eq!(fs::read(&path).expect("there"), content, "damage is left for inspection");
    }
    fs::remove_file(&path).expect("moved away");
    open(root.path());
}

#[test]
fn somebody_elses_database_is_damaged() {
    let root = directory();
    let path = root.path().join("pontoon.redb");
    drop(redb::Database::create(path).expect("a database"));
    expect_damage(root.path(), "a foreign database");
}

#[test]
fn a_truncated_file_is_damaged() {
    let root = directory();
    let path = root.path().join("pontoon.redb");
    let store = open(root.path());
    (0..200).for_each(|n| store.commit(&pair(1, n)).expect("committed"));
    drop(store);
    let whole = fs::read(&path).expect("there");
    for length in [1, 100, 320, 4096, 5000, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("written");
        expect_damage(root.path(), &format!("{length} of {} bytes", whole.len()));
    }
    fs::write(&path, &whole).expect("written");
    assert_eq!(whole_pairs(&open(root.path())), BTreeMap::from([(1, 199)]));
}

#[test]
fn altered_bytes_never_panic_a_reader() {
    let root = directory();
    let path = root.path().join("pontoon.redb");
    let store = open(root.path());
    (0..50).for_each(|n| store.commit(&pair(1, n)).expect("committed"));
    drop(store);
    let whole = fs::read(&path).expect("there");
    let (mut refused, mut served) = (0, 0);
    // The header byte by byte, then samples; a prime stride visits every position of a page.
    for at in (0..320).step_by(3).chain((320..whole.len()).step_by(4093)) {
        let mut altered = whole.clone();
        altered[at] ^= 0x55;
        fs::write(&path, &altered).expect("written");
        let read = DiskStore::open(root.path(), Duration::ZERO).and_then(|store| store.scan(""));
        match read {
            Ok(_) => served += 1,
            Err(StoreError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error:?}"),
        }
    }
    println!("of {} alterations {refused} were refused", refused + served);
    assert!(refused > 0);
}

#[test]
fn a_path_through_a_file_is_refused() {
    let root = directory();
    fs::write(root.path().join("file"), "").expect("written");
    let error = DiskStore::open(&root.path().join("file/store"), Duration::ZERO).expect_err("no directory");
    assert!(matches!(error, StoreError::Io { action: "create", .. }), "{error:?}");
}

#[test]
fn an_unreadable_directory_is_refused() {
    let root = directory();
    // As root every directory is readable, so a copy of this program runs as nobody.
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let permit = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
    permit(root.path(), 0o755);
    let program = root.path().join("program");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
    let closed = root.path().join("closed");
    drop(open(&closed));
    permit(&closed, 0o000);
    let mut command = child_command(&program, "open", &closed);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.current_dir("/").output().expect("a child");
    permit(&closed, 0o700);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("failed to lock: Permission denied"), "{text}");
}

#[test]
fn a_full_disk_refuses_commits_and_opens_again() {
    // In a mount namespace of its own: a filesystem that fills up.
    let root = directory();
    let program = std::env::current_exe().expect("this program");
    let script = "mount -t tmpfs -o size=24m none \"$PONTOON_STORE_ROOT\" && exec \"$0\" \"$@\"";
    let command = child_command(&program, "fill", root.path());
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(program)
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .output()
        .expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("refused: no space left"), "{text}{errors}");
    assert!(text.contains("opened again: true"), "{text}{errors}");
}
