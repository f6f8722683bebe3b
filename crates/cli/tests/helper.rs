//! The process that answers for names, when somebody meddles with it or its files.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use common::inside::{address, dig, helper, host_servers, kill_helper, netns};
use common::{RUN_DIR, eventually, json, ok, pontoon, signal, start};
use pontoon_netlink::netns::{Namespace, Visitor};
use pontoon_testkit::{isolated, run};

fn socket() -> String {
    format!("{RUN_DIR}/names.sock")
}

fn document() -> String {
    format!("{RUN_DIR}/names.json")
}

/// Makes a network with sandboxes web and app, and returns web's address.
fn web_and_app() -> String {
    host_servers("");
    ok(&["network", "create", "front"]);
    ok(&["sandbox", "create", "web", "--network", "front"]);
    ok(&["sandbox", "create", "app", "--network", "front"]);
    let web = address("web", "front", false);
    assert_eq!(dig("app", &["web", "A"]), web);
    web
}

fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// What is wrong, as `doctor` says.
fn doctor() -> String {
    pontoon(&["doctor", "-q"]).stdout
}

#[test]
fn a_socket_that_is_removed_or_replaced_is_made_again() {
    isolated(|| {
        web_and_app();
        let first = helper();
        fs::remove_file(socket()).unwrap();
        eventually("the socket", || UnixStream::connect(socket()).is_ok());
        fs::remove_file(socket()).unwrap();
        fs::write(socket(), "").unwrap();
        eventually("the socket", || UnixStream::connect(socket()).is_ok());
        // A command finds the helper also when it comes too early.
        fs::remove_file(socket()).unwrap();
        ok(&["sandbox", "create", "late", "--network", "front"]);
        assert_eq!(dig("app", &["late", "A"]), address("late", "front", false));
        assert_eq!(helper(), first, "the same one all the time");
    });
}

#[test]
fn a_helper_whose_directory_is_replaced_ends_and_leaves_the_new_socket() {
    isolated(|| {
        let web = web_and_app();
        let first = helper().unwrap();
        run("sh", &["-c", &format!("umount {RUN_DIR}/netns/*; rm -rf {RUN_DIR}")]);
        pontoon(&["repair"]);
        eventually("the end of the first", || !is_alive(first));
        let made = fs::metadata(socket()).unwrap().ino();
        eventually("an answer of the second", || dig("app", &["web", "A"]) == web);
        assert_eq!(fs::metadata(socket()).unwrap().ino(), made, "nobody touched it");
        assert!(helper().is_some_and(|second| second != first));
    });
}

#[test]
fn files_are_their_owners_whatever_the_mask() {
    isolated(|| {
        host_servers("");
        rustix::process::umask(rustix::fs::Mode::empty());
        ok(&["network", "create", "front"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        for file in ["names.sock", "names.json", "owner"] {
            let mode = fs::metadata(Path::new(RUN_DIR).join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    });
}

#[test]
fn a_client_that_says_too_much_is_not_heard_any_more() {
    isolated(|| {
        web_and_app();
        let mut stream = UnixStream::connect(socket()).unwrap();
        let chunk = [b'a'; 1 << 16];
        let refused = (0..1000).find_map(|_| stream.write_all(&chunk).err()).expect("64 MB are not taken");
        assert!(matches!(refused.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{refused}");
        let mut stream = UnixStream::connect(socket()).unwrap();
        stream.write_all(b"status\nnonsense\n").unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        assert!(answer.contains("\"refused\":{}"), "{answer}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is hung up on");
    });
}

#[test]
fn a_silent_helper_is_replaced_and_the_warning_names_it() {
    isolated(|| {
        let web = web_and_app();
        let hung = helper().unwrap();
        run("kill", &["-STOP", &hung.to_string()]);
        let found = doctor();
        assert!(found.contains(&format!("process {hung} is asked, and does not answer")), "{found}");
        let ran = pontoon(&["sandbox", "create", "late", "--network", "front"]);
        assert_eq!(ran.status, 0);
        assert!(ran.stderr.contains("was silent") && ran.stderr.contains(&hung.to_string()), "{ran:?}");
        assert!(!is_alive(hung));
        assert_eq!(dig("late", &["web", "A"]), web);
        // The last sandbox goes while it hangs.
        let hung = helper().unwrap();
        run("kill", &["-STOP", &hung.to_string()]);
        for sandbox in ["late", "app", "web"] {
            assert_eq!(pontoon(&["sandbox", "rm", sandbox]).status, 0);
        }
        eventually("the end of all helpers", || helper().is_none());
    });
}

#[test]
fn a_watch_goes_on_after_a_moment_without_names() {
    isolated(|| {
        web_and_app();
        let server = start(&["run", "--name", "run", "--network", "front", "--", "sleep", "60"]);
        eventually("the sandbox", || json(&["sandbox", "ls"]).as_array().is_some_and(|all| all.len() == 3));
        for damage in ["", "{"] {
            match damage {
                "" => fs::remove_file(document()).unwrap(),
                text => fs::write(document(), text).unwrap(),
            }
            kill_helper();
            // The watch has seen it by then.
            sleep(Duration::from_millis(300));
            ok(&["repair"]);
            eventually("a helper", || helper().is_some());
            // What is killed is back, and nobody ran a command.
            sleep(Duration::from_secs(3));
            let killed = helper();
            kill_helper();
            eventually("another helper", || helper().is_some_and(|pid| Some(pid) != killed));
        }
        assert_eq!(signal(server, "TERM").status, 128 + 15);
    });
}

#[test]
fn want_of_descriptors_cuts_nobody_off() {
    isolated(|| {
        let web = web_and_app();
        let pid = helper().unwrap().to_string();
        run("prlimit", &["--pid", &pid, "--nofile=5:4096"]);
        // It looks twice a second.
        sleep(Duration::from_millis(1500));
        assert_eq!(dig("app", &["web", "A"]), web);
        run("prlimit", &["--pid", &pid, "--nofile=4096:4096"]);
        ok(&["sandbox", "create", "late", "--network", "front"]);
        assert_eq!(dig("late", &["web", "A"]), web);
        assert_eq!(helper().map(|pid| pid.to_string()), Some(pid));
    });
}

#[test]
fn doctor_knows_who_is_not_answered() {
    isolated(|| {
        let web = web_and_app();
        assert_eq!(doctor(), "");
        kill_helper();
        let found = doctor();
        assert!(found.contains("names: nobody answers at /run/pontoon/names.sock"), "{found}");
        ok(&["repair"]);
        assert_eq!(doctor(), "");
        let written = fs::read(document()).unwrap();
        for (text, named) in [("{", "is damaged"), ("{}", "is not up to date")] {
            fs::write(document(), text).unwrap();
            let found = doctor();
            assert!(found.contains(&format!("/run/pontoon/names.json {named}")), "{found}");
        }
        fs::remove_file(document()).unwrap();
        assert!(doctor().contains("/run/pontoon/names.json is missing"));
        ok(&["repair"]);
        assert_eq!(doctor(), "");
        assert_eq!(fs::read(document()).unwrap(), written);
        assert_eq!(dig("app", &["web", "A"]), web);
    });
}

#[test]
fn doctor_names_a_sandbox_whose_port_is_taken() {
    isolated(|| {
        let web = web_and_app();
        kill_helper();
        let namespace = Namespace::open(netns("app")).unwrap();
        let visitor = Visitor::new(NonZeroUsize::MIN).unwrap();
        let other = visitor.visit(&namespace, || UdpSocket::bind("127.0.0.11:11053").unwrap()).unwrap();
        ok(&["repair"]);
        let found = doctor();
        assert!(found.contains("names: nobody answers in sandbox app: 127.0.0.11:11053/udp cannot be had"), "{found}");
        assert!(!found.contains("sandbox web"), "{found}");
        drop(other);
        eventually("an answer", || dig("app", &["web", "A"]) == web);
        assert_eq!(doctor(), "");
    });
}
