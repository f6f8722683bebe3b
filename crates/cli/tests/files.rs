//! Files that a command sees inside a sandbox.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{RUN_DIR, json, ok, pontoon, start};
use pontoon_testkit::{isolated, run};

/// Runs a shell script in a new sandbox.
fn inside(options: &[&str], script: &str) -> String {
    ok(&[&["run"], options, &["--", "sh", "-c", script]].concat())
}

#[test]
fn names_are_found_under_glibc_and_under_busybox() {
    isolated(|| {
        let options = ["--hostname", "web", "--add-host", "db.example:192.0.2.7", "--add-host", "six:2001:db8::7"];
        let found = |program: &str, name: &str| {
            let line = inside(&options, &format!("{program} getent hosts {name}"));
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(found("", "db.example"), ["192.0.2.7", "db.example"]);
        assert_eq!(found("", "six"), ["2001:db8::7", "six"]);
        assert_eq!(found("", "web"), ["172.17.0.2", "web"]);
        // busybox is linked statically and looks in the files by itself.
        let pinged = inside(&options, "busybox ping -c 1 -W 1 web");
        assert!(pinged.contains("PING web (172.17.0.2)"), "{pinged}");
        let hosts = inside(&["--add-host", "outside:host-gateway"], "grep outside /etc/hosts");
        assert_eq!(hosts, "172.17.0.1\toutside\n");
    });
}

#[test]
fn only_the_command_sees_the_sandboxs_files() {
    isolated(|| {
        let own = ["/etc/hosts", "/etc/resolv.conf"].map(|file| fs::read_to_string(file).unwrap());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let options = ["--dns", "203.0.113.1", "--dns-search", "a.example", "--dns-opt", "timeout:3"];
        let seen = inside(&options, "grep -v '^#' /etc/resolv.conf; echo '10.9.9.9 mine' >>/etc/hosts");
        assert_eq!(seen.trim(), "nameserver 127.0.0.11\nsearch a.example\noptions timeout:3 ndots:0");
        assert_eq!(["/etc/hosts", "/etc/resolv.conf"].map(|file| fs::read_to_string(file).unwrap()), own);
        assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), mounts);
        // In the host's namespace the command sees what is everybody's, and a copy all the same.
        assert_eq!(inside(&["--network", "host"], "cat /etc/hosts"), own[0]);
        assert!(run("find", &[&format!("{RUN_DIR}/files"), "-mindepth", "1"]).is_empty());
    });
}

#[test]
fn a_sandboxs_files_follow_its_networks_and_keep_edits() {
    isolated(|| {
        ok(&["network", "create", "a", "--subnet", "10.1.0.0/24"]);
        ok(&["network", "create", "b", "--subnet", "10.2.0.0/24"]);
        ok(&["sandbox", "create", "s", "--network", "a", "--hostname", "web", "--add-host", "db:192.0.2.7"]);
        let inspected = &json(&["sandbox", "inspect", "s"])[0];
        let [hosts, conf] = ["HostsPath", "ResolvConfPath"].map(|key| inspected[key].as_str().unwrap().to_owned());
        assert_eq!(inspected["ExtraHosts"], serde_json::json!(["db:192.0.2.7"]));
        for (path, mode) in
            [(Path::new(&hosts), 0o644), (Path::new(&conf), 0o644), (Path::new(&hosts).parent().unwrap(), 0o755)]
        {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, mode, "{}", path.display());
        }
        let last = |script: &str| ok(&["sandbox", "exec", "s", "--", "sh", "-c", script]);
        assert_eq!(last("tail -n 2 /etc/hosts"), "192.0.2.7\tdb\n10.1.0.2\tweb\n");
        last("echo '10.9.9.9 mine' >>/etc/hosts; echo 'nameserver 10.9.9.9' >/etc/resolv.conf");
        // Somebody is inside while the second network comes.
        let mut reader = start(&[
            "sandbox",
            "exec",
            "s",
            "--",
            "sh",
            "-c",
            "until grep -q 10.2.0.2 /etc/hosts; do sleep 0.02; done",
        ]);
        ok(&["network", "connect", "b", "s"]);
        assert!(reader.wait().unwrap().success());
        assert_eq!(last("tail -n 4 /etc/hosts"), "192.0.2.7\tdb\n10.1.0.2\tweb\n10.9.9.9 mine\n10.2.0.2\tweb\n");
        ok(&["network", "disconnect", "a", "s"]);
        assert_eq!(last("tail -n 3 /etc/hosts"), "192.0.2.7\tdb\n10.9.9.9 mine\n10.2.0.2\tweb\n");
        assert_eq!(last("cat /etc/resolv.conf"), "nameserver 10.9.9.9\n");
        ok(&["sandbox", "rm", "s"]);
        assert!(!Path::new(&hosts).exists() && !Path::new(&conf).parent().unwrap().exists());
    });
}

#[test]
fn files_that_cannot_be_had_are_named() {
    isolated(|| {
        ok(&["sandbox", "create", "s"]);
        let paths = json(&["sandbox", "inspect", "s"]);
        let hosts = paths[0]["HostsPath"].as_str().unwrap();
        fs::remove_file(hosts).unwrap();
        let ran = pontoon(&["sandbox", "exec", "s", "--", "true"]);
        let text =
            format!("error: cannot enter the sandbox\n  because {hosts} is missing: `pontoon repair` makes it\n");
        assert_eq!((ran.status, ran.stderr), (125, text));
        ok(&["repair"]);
        ok(&["sandbox", "exec", "s", "--", "true"]);
        // A machine without the file.
        run("mount", &["-t", "tmpfs", "tmpfs", "/etc"]);
        let ran = pontoon(&["sandbox", "exec", "s", "--", "echo", "done"]);
        let note = |file: &str| format!("note: this machine has no {file}, so the sandbox's own is not seen\n");
        assert_eq!((ran.stdout.as_str(), ran.stderr), ("done\n", note("/etc/hosts") + &note("/etc/resolv.conf")));
        assert_eq!(pontoon(&["-q", "sandbox", "exec", "s", "--", "true"]).stderr, "");
        // A directory in the place of one.
        fs::create_dir("/etc/resolv.conf").unwrap();
        let ran = pontoon(&["sandbox", "create", "t"]);
        assert_eq!(
            (ran.status, ran.stderr.as_str()),
            (1, "error: reading /etc/resolv.conf: Is a directory (os error 21)\n")
        );
        fs::remove_dir("/etc/resolv.conf").unwrap();
        // A run directory that takes nothing.
        run("mount", &["-t", "tmpfs", "-o", "ro", "tmpfs", &format!("{RUN_DIR}/files")]);
        let before = json(&["sandbox", "ls"]);
        let ran = pontoon(&["sandbox", "create", "t"]);
        assert!(ran.status == 1 && ran.stderr.contains(&format!("making the directory {RUN_DIR}/files/")), "{ran:?}");
        assert_eq!(json(&["sandbox", "ls"]), before);
    });
}

#[test]
fn what_cannot_stand_in_a_file_is_a_mistake() {
    isolated(|| {
        ok(&["sandbox", "create", "s"]);
        let refused = |arguments: &[&str]| {
            let ran = pontoon(&[arguments, &["--", "true"]].concat());
            assert_eq!(ran.status, 2, "{ran:?}");
            ran.stderr.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            refused(&["run", "--add-host", "db"]),
            "error: invalid value 'db' for '--add-host <NAME:ADDRESS>': invalid hosts entry \"db\": write NAME:ADDRESS, such as \
             db:192.0.2.7 or host.internal:host-gateway"
        );
        assert_eq!(
            refused(&["run", "--dns", "here"]),
            "error: invalid value 'here' for '--dns <ADDRESS>': invalid name server \"here\": write an IP address, such as \
             192.0.2.53, 2001:db8::53 or fe80::53%eth0"
        );
        assert_eq!(
            refused(&["run", "--network", "sandbox:s", "--dns", "192.0.2.53"]),
            "error: --dns cannot be used with --network sandbox:s: its files are shared, and stay as they are"
        );
        assert_eq!(
            refused(&["run", "--hostname", "a#b"]),
            "error: invalid hosts entry \"127.0.0.1 a#b\": control characters and `#` are not allowed in a host name"
        );
        assert_eq!(json(&["sandbox", "ls"]).as_array().map(Vec::len), Some(1));
    });
}

/// Whichever step has no room for what it writes: nothing of the command is left, in the files or anywhere else.
#[test]
fn a_full_run_directory_keeps_nothing_of_what_failed() {
    isolated(|| {
        fs::create_dir_all(RUN_DIR).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", RUN_DIR]);
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "s"]);
        let filler = format!("{RUN_DIR}/filler");
        let mut failed = 0;
        // With no page left, with one, with two, ...
        for pages in 0..8 {
            for (command, undo) in [
                (["sandbox", "create", "t"], ["sandbox", "rm", "t"]),
                (["network", "connect", "front"], ["network", "disconnect", "front"]),
            ] {
                let filled = fs::write(&filler, vec![1; 64 << 10]).unwrap_err();
                assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
                let file = fs::OpenOptions::new().write(true).open(&filler).unwrap();
                file.set_len(file.metadata().unwrap().len().saturating_sub(pages << 12)).unwrap();
                // An open file keeps its room when it is removed.
                drop(file);
                let endpoint: &[&str] = if command[0] == "network" { &["s"] } else { &[] };
                let ran = pontoon(&[&command[..], endpoint].concat());
                fs::remove_file(&filler).unwrap();
                match ran.status {
                    0 => drop(ok(&[&undo[..], endpoint].concat())),
                    _ => failed += 1,
                }
                let found = pontoon(&["doctor"]);
                assert_eq!(found.status, 0, "{pages} pages, {command:?}: {ran:?}, {found:?}");
            }
        }
        assert!(failed > 2, "{failed} commands failed");
    });
}
