//! The demonstration, and the life of an ordinary user.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use common::{Ran, eventually, ran};
use pontoon_testkit::{isolated, run};
use tempfile::TempDir;

/// An ordinary user's home, and the binary where that user can reach it.
struct User {
    home: TempDir,
    other: bool,
}

impl User {
    /// Takes the present user, or an unprivileged one if that is root.
    fn new() -> Self {
        let other =
            fs::metadata("/proc/self").unwrap().permissions().mode() & 0o7 != 0 && run("id", &["-u"]).trim() == "0";
        let home = tempfile::tempdir().unwrap();
        // By a process of its own: what another test's thread starts meanwhile would inherit the file open for writing, and it
        // could not be run ("text file busy").
        run("cp", &[env!("CARGO_BIN_EXE_pontoon"), home.path().join("pontoon").to_str().unwrap()]);
        if other {
            chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { home, other }
    }

    fn pontoon(&self, arguments: &[&str]) -> Ran {
        let path = |name: &str| self.home.path().join(name);
        let mut command = Command::new(if self.other { "setpriv".into() } else { path("pontoon") });
        if self.other {
            let user = NOBODY.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(path("pontoon"));
        }
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("TMPDIR", self.home.path()).env("XDG_RUNTIME_DIR", path("run"));
        ran(command.current_dir("/").output().unwrap())
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.pontoon(arguments);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{arguments:?}: {ran:?}");
        ran.stdout
    }

    fn holder(&self) -> std::path::PathBuf {
        self.home.path().join("run/pontoon/holder.pid")
    }
}

const NOBODY: u32 = 65_534;

fn left_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "pontoon").collect()
}

#[test]
fn the_demonstration_holds_for_root() {
    isolated(|| {
        let before = common::snapshot();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pontoon"));
        let demo = ran(command.args(["demo", "--format", "json"]).env("TMPDIR", directory.path()).output().unwrap());
        assert_eq!((demo.status, demo.stderr.as_str()), (0, ""), "{demo:?}");
        let report: serde_json::Value = serde_json::from_str(&demo.stdout).unwrap();
        let checks = report["Checks"].as_array().unwrap();
        assert!(checks.len() >= 15 && checks.iter().all(|check| check["Ok"] == true), "{report:#}");
        assert_eq!(left_in(directory.path()), Vec::<String>::new());
        common::like_before(&before);
    });
}

#[test]
fn the_demonstration_holds_for_an_ordinary_user() {
    let user = User::new();
    let demo = user.pontoon(&["demo"]);
    assert_eq!((demo.status, demo.stderr.as_str()), (0, ""), "{}", demo.stdout);
    assert!(!demo.stdout.contains("FAILED") && demo.stdout.contains("checks held"), "{}", demo.stdout);
    assert_eq!(left_in(user.home.path()), Vec::<String>::new());
}

#[test]
fn an_ordinary_users_commands_share_namespaces() {
    let user = User::new();
    user.ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
    let holder = fs::read_to_string(user.holder()).unwrap();
    user.ok(&["sandbox", "create", "web", "--network", "front,ip=10.1.0.9"]);
    assert!(user.ok(&["sandbox", "exec", "web", "--", "ip", "-o", "addr"]).contains("10.1.0.9/24"));
    let host = user.ok(&["run", "--network", "host", "--", "ip", "-o", "addr"]);
    assert!(host.contains("10.1.0.1/24") && host.contains("127.0.0.1/8"), "{host}");
    let published = user.pontoon(&["run", "-p", "8080:80", "--", "true"]);
    assert_eq!(published.status, 0);
    assert_eq!(published.stderr, "note: ports are published in your user namespace only, not on the machine\n");
    assert_eq!(fs::read_to_string(user.holder()).unwrap(), holder, "there is one holder");
    user.ok(&["repair", "--purge", "--force"]);
    eventually("the holder's end", || !user.holder().exists());
    // Another one begins where the first ended: with the records, and nothing else.
    assert_eq!(user.ok(&["network", "ls", "-q"]), "");
    user.ok(&["repair", "--purge", "--force"]);
    eventually("the holder's end", || !user.holder().exists());
}
