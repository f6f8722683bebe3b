//! One state from several places: other PID and mount namespaces, copies of the state directory, other paths.

mod common;

use std::fs;
use std::process::{Child, Command, Stdio};

use common::{ROOT, RUN_DIR, Ran, command, eventually, ok, pontoon, ran, signal, start};
use pontoon_testkit::{isolated, run};

/// Prepares the binary inside another program, such as `unshare -m`.
fn command_by(program: &[&str], arguments: &[&str]) -> Command {
    let inner = command(arguments);
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    command.env_remove("PONTOON_LOG");
    command
}

fn by(program: &[&str], arguments: &[&str]) -> Ran {
    ran(command_by(program, arguments).output().expect("the program runs"))
}

fn with(arguments: &[&str], directories: &[&str]) -> Ran {
    ran(command(arguments).args(directories).output().expect("the binary runs"))
}

/// Checks that `srv` is there and has its interface.
fn serves(process: &mut Child) {
    assert!(process.try_wait().expect("it is a child").is_none(), "srv has ended");
    let addresses = ok(&["sandbox", "exec", "srv", "--", "ip", "-o", "addr"]);
    assert!(addresses.contains("10.1.0.2/24"), "{addresses}");
}

const SERVE: [&str; 8] = ["run", "--name", "srv", "--network", "front", "--", "sleep", "60"];

#[test]
fn a_sandbox_outlives_commands_of_other_pid_namespaces() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let mut srv = start(&SERVE);
        eventually("srv", || ok(&["sandbox", "ls"]).contains("srv"));
        // There, /proc shows the processes of here, under pids that are not those of there.
        let made = by(&["unshare", "--pid", "--fork"], &["network", "create", "inside"]);
        assert_eq!(made.status, 0, "{made:?}");
        serves(&mut srv);
        let refused = by(&["unshare", "--pid", "--fork", "--mount-proc"], &["network", "create", "other"]);
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains("it cannot be told from here who uses it"), "{refused:?}");
        serves(&mut srv);
        assert_eq!(signal(srv, "TERM").status, 143);
        assert_eq!(ok(&["sandbox", "ls", "-q"]), "");
    });
}

#[test]
fn a_sandbox_whose_owner_is_in_another_pid_namespace_stays() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let started = command_by(&["unshare", "--pid", "--fork", "--kill-child"], &SERVE).spawn();
        let mut srv = started.expect("the program runs");
        eventually("srv", || ok(&["sandbox", "ls"]).contains("srv"));
        ok(&["network", "create", "other"]);
        serves(&mut srv);
        srv.kill().expect("it runs");
        srv.wait().expect("it is a child");
        // Whether it lives cannot be told: who knows better removes it.
        ok(&["network", "create", "another"]);
        assert!(ok(&["sandbox", "ls"]).contains("srv"));
        ok(&["sandbox", "rm", "srv"]);
    });
}

#[test]
fn sandboxes_of_another_mount_namespace_are_left_alone_while_it_is_there() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let srv = command_by(&["unshare", "--mount"], &SERVE).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let srv = srv.expect("the program runs");
        let refused = |arguments: &[&str]| {
            let ran = pontoon(arguments);
            assert_ne!(ran.status, 0, "{ran:?}");
            let (_, pid) = ran.stderr.split_once("`nsenter -t ").unwrap_or_else(|| panic!("{ran:?}"));
            pid.split_once(" -m COMMAND`)").unwrap_or_else(|| panic!("{ran:?}")).0.to_owned()
        };
        eventually("srv", || pontoon(&["network", "ls"]).status != 0);
        let pid = refused(&["network", "create", "other"]);
        refused(&["sandbox", "exec", "srv", "--", "true"]);
        refused(&["--plan", "network", "create", "other"]);
        // There, all is well.
        let there = ["nsenter", "-t", &pid, "-m"];
        let addresses = by(&there, &["sandbox", "exec", "srv", "--", "ip", "-o", "addr"]);
        assert!(addresses.stdout.contains("10.1.0.2/24"), "{addresses:?}");
        assert_eq!(by(&there, &["network", "create", "other"]).status, 0);
        assert!(!by(&there, &["doctor", "-q"]).stdout.contains("WRONG"));
        // Without sandboxes the state goes with whoever uses it.
        assert_eq!(signal(srv, "TERM").status, 143);
        ok(&["network", "create", "here"]);
        assert!(!ok(&["doctor", "-q"]).contains("WRONG"));
    });
}

#[test]
fn sandboxes_of_a_mount_namespace_that_is_gone_are_made_again() {
    isolated(|| {
        let made = by(&["unshare", "--mount"], &["sandbox", "create", "web"]);
        assert_eq!(made.status, 0, "{made:?}");
        eventually("the end of the namespace", || pontoon(&["network", "create", "front"]).status == 0);
        ok(&["sandbox", "exec", "web", "--", "true"]);
        assert!(!ok(&["doctor", "-q"]).contains("WRONG"));
    });
}

#[test]
fn a_copied_state_directory_changes_nothing() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        run("cp", &["-a", ROOT, "/run/copy"]);
        ok(&["sandbox", "create", "later", "--network", "front"]);
        for arguments in [&["network", "create", "other"][..], &["repair"], &["network", "rm", "front"]] {
            let refused = with(arguments, &["--root", "/run/copy"]);
            assert_eq!(refused.status, 1, "{refused:?}");
            assert_eq!(
                refused.stderr,
                "error: the run directory /run/pontoon belongs to the state directory /run/state, of which /run/copy is at \
                 most a copy: use /run/state (--root), or remove it if /run/copy is to take its place\n"
            );
        }
        assert!(ok(&["sandbox", "exec", "later", "--", "ip", "-o", "addr"]).contains("10.1.0.2/24"));
        assert!(!ok(&["doctor", "-q"]).contains("WRONG"));
        fs::rename(ROOT, "/run/renamed").expect("it is there");
        let renamed = with(&["network", "create", "other"], &["--root", "/run/renamed"]);
        assert_eq!(renamed.status, 0, "{renamed:?}");
    });
}

#[test]
fn a_run_directory_can_be_named_in_several_ways() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        std::os::unix::fs::symlink(RUN_DIR, "/run/link").expect("/run is writable");
        for (index, run_dir) in ["/run/link", "/run/link/../pontoon", "/run/./pontoon/"].into_iter().enumerate() {
            let name = format!("box{index}");
            let made = with(&["sandbox", "create", &name, "--network", "front"], &["--run-dir", run_dir]);
            assert_eq!(made.status, 0, "{made:?}");
            ok(&["sandbox", "exec", &name, "--", "true"]);
        }
    });
}
