//! Commands that only look change nothing: not after a crash, not where nothing can be written, not where nothing is.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{ROOT, RUN_DIR, Ran, command, json, like_before, ok, pontoon, snapshot, start};
use expect_test::expect;
use pontoon_testkit::{isolated, run};

/// Every command that only looks, and what would change something with `--plan`.
const LOOKING: [&[&str]; 12] = [
    &["network", "ls"],
    &["network", "inspect", "front"],
    &["sandbox", "ls"],
    &["endpoint", "ls"],
    &["port"],
    &["doctor"],
    &["doctor", "--format", "json"],
    &["--plan", "network", "create", "other"],
    &["--plan", "sandbox", "create", "other", "--network", "front"],
    &["--plan", "run", "--network", "front", "--", "true"],
    &["--plan", "repair"],
    &["--plan", "repair", "--purge"],
];

/// Every file of the state with its content.
fn state() -> BTreeMap<PathBuf, Vec<u8>> {
    let listed = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    listed.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Waits until nothing is under way, and returns what there is.
fn settled() -> BTreeMap<&'static str, String> {
    let mut last = snapshot();
    loop {
        sleep(Duration::from_millis(50));
        let now = snapshot();
        if now == last {
            return now;
        }
        last = now;
    }
}

/// Runs every command that only looks, and checks that nothing has changed.
fn look_at_everything() -> Vec<Ran> {
    let (before, files) = (settled(), state());
    let looked = LOOKING.map(|arguments| {
        let ran = pontoon(arguments);
        // What `doctor` finds is a failure of its own, and no other command fails.
        let finds = arguments.contains(&"doctor");
        assert!(ran.stderr.is_empty() && (ran.status == 0 || finds && ran.status == 1), "{arguments:?}: {ran:?}");
        assert!(state() == files, "{arguments:?} changed the state");
        ran
    });
    like_before(&before);
    looked.into()
}

fn mark() -> PathBuf {
    Path::new(ROOT).join("in-use")
}

fn names_in(directory: &str) -> Vec<String> {
    let listed = fs::read_dir(directory).into_iter().flatten();
    listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Kills commands that create a sandbox as soon as `moment` has come, until one was cut short.
fn cut_short(moment: impl Fn() -> bool) {
    for attempt in 0..50 {
        let name = format!("cut{attempt}");
        let mut creating = start(&["sandbox", "create", &name, "--network", "front", "-p", "80"]);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !moment() && creating.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the moment did not come");
        }
        creating.kill().unwrap();
        creating.wait().unwrap();
        if mark().exists() {
            return;
        }
        ok(&["sandbox", "rm", &name]);
    }
    panic!("every command was done before it could be killed");
}

#[test]
fn what_a_killed_command_left_is_shown_and_put_right_by_the_next_change() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        let before = settled();
        let namespaces = || !names_in(&format!("{RUN_DIR}/netns")).is_empty();
        let interfaces = || names_in("/sys/class/net").iter().any(|name| name.starts_with("pv"));
        let moments: [&dyn Fn() -> bool; 3] = [&|| mark().exists(), &namespaces, &interfaces];
        for moment in moments {
            cut_short(moment);
            let looked = look_at_everything();
            let found = &looked[5].stdout;
            assert!(found.contains("state: the last process did not end in order: "), "{found}");
            let foreseen = json(&["--plan", "network", "create", "other"])["Recovery"].clone();
            let foreseen: Vec<_> = foreseen.as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
            for step in &foreseen {
                assert!(found.contains(&format!("host: not as it should be: {step}")), "{step}: {found}");
            }
            let plan = &looked[7].stdout;
            let heading = format!("# recovery first\n{}\n# then\n", foreseen.join("\n"));
            assert_eq!(plan.starts_with(&heading), !foreseen.is_empty(), "{plan}");
            let repair = if foreseen.is_empty() { "" } else { heading.trim_end_matches("# then\n") };
            assert_eq!(looked[10].stdout, repair);
            ok(&["network", "create", "other"]);
            assert!(!mark().exists());
            assert_eq!(pontoon(&["doctor", "-q"]).stdout, "");
            assert_eq!(json(&["--plan", "network", "rm", "other"])["Recovery"], serde_json::json!([]));
            ok(&["network", "rm", "other"]);
            for sandbox in json(&["sandbox", "ls"]).as_array().unwrap() {
                ok(&["sandbox", "rm", sandbox["Name"].as_str().unwrap()]);
            }
            like_before(&before);
        }
    });
}

#[test]
fn a_plan_tells_what_would_fail() {
    isolated(|| {
        ok(&["network", "create", "back", "--subnet", "10.2.0.0/24"]);
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        let before = settled();
        let planned = |arguments: &[&str]| pontoon(&[&["--plan"], arguments].concat());
        let alone = ok(&["--plan", "network", "rm", "back"]);
        assert!(alone.contains("- bridge pn-"), "{alone}");
        let some = planned(&["network", "rm", "front", "nonesuch", "back"]);
        assert_eq!((some.status, some.stdout.as_str()), (1, alone.as_str()), "{some:?}");
        expect![[r#"
            error: network front has active endpoints (name:"web" id:"ID")
            hint: disconnect them with `pontoon network disconnect`, or remove their sandboxes
            error: network nonesuch not found
            hint: `pontoon network ls` shows the networks
        "#]]
        .assert_eq(&common::without_ids(&some.stderr));
        for arguments in [&["network", "rm", "front"][..], &["network", "rm", "nonesuch"], &["sandbox", "rm", "nope"]] {
            let refused = planned(arguments);
            assert!(refused.status == 1 && refused.stdout.is_empty() && !refused.stderr.is_empty(), "{refused:?}");
        }
        assert_eq!(ok(&["--plan", "sandbox", "rm", "--force", "nope"]), "");
        like_before(&before);
    });
}

/// A record whose kernel half is not there is what a crash leaves between the commit and the steps.
#[test]
fn unfinished_records_are_named() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        ok(&["sandbox", "create", "web", "--network", "front"]);
        for entry in names_in("/sys/class/net").iter().filter(|name| name.starts_with("p")) {
            run("ip", &["link", "delete", entry]);
        }
        fs::write(mark(), "").unwrap();
        let found = pontoon(&["doctor", "-q"]);
        let first = found.stdout.lines().next().unwrap();
        assert_eq!(found.status, 1, "{found:?}");
        expect![
            "WRONG  state: the last process did not end in order: `pontoon repair` or the next change finishes network front, sandbox web, endpoint web of network front"
        ]
        .assert_eq(first);
        look_at_everything();
        assert!(ok(&["repair"]).contains("+ bridge pn-"));
        // A process that was killed while it did nothing leaves nothing to do.
        fs::write(mark(), "").unwrap();
        let found = ok(&["doctor"]);
        assert!(
            found.contains("note   state: the last process did not end in order: nothing is unfinished\n"),
            "{found}"
        );
        assert_eq!(json(&["--plan", "network", "create", "other"])["Recovery"], serde_json::json!([]));
    });
}

#[test]
fn a_state_that_cannot_be_written_is_looked_at() {
    isolated(|| {
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        run("mount", &["--bind", ROOT, ROOT]);
        for crashed in [false, true] {
            if crashed {
                fs::write(mark(), "").unwrap();
            }
            run("mount", &["-o", "remount,bind,ro", ROOT]);
            assert!(fs::write(Path::new(ROOT).join("new"), "").is_err(), "it is not read-only");
            look_at_everything();
            assert_eq!(json(&["network", "ls"])[0]["Name"], "front");
            let refused = pontoon(&["network", "rm", "front"]);
            assert_eq!(refused.status, 1);
            assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
            run("mount", &["-o", "remount,bind,rw", ROOT]);
        }
        ok(&["network", "rm", "front"]);
    });
}

#[test]
fn a_full_file_system_is_looked_at() {
    isolated(|| {
        fs::create_dir(ROOT).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=24m", "tmpfs", ROOT]);
        ok(&["network", "create", "front", "--subnet", "10.1.0.0/24"]);
        // To the last byte.
        let filled = fs::write(Path::new(ROOT).join("filler"), vec![1; 32 << 20]).unwrap_err();
        assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
        look_at_everything();
        assert_eq!(json(&["network", "ls"])[0]["Name"], "front");
        let refused = pontoon(&["network", "rm", "front"]);
        assert!(refused.status == 1 && refused.stderr.contains("o space left"), "{refused:?}");
        look_at_everything();
    });
}

#[test]
fn where_no_state_is_none_is_made() {
    isolated(|| {
        let before = snapshot();
        for arguments in LOOKING {
            let ran = pontoon(arguments);
            let missing = arguments.contains(&"inspect") || arguments.contains(&"front");
            assert_eq!(ran.status != 0, missing, "{arguments:?}: {ran:?}");
            assert!(!Path::new(ROOT).exists() && !Path::new(RUN_DIR).exists(), "{arguments:?} made a directory");
        }
        assert_eq!(ok(&["network", "ls", "--format", "json"]), "[]\n");
        like_before(&before);
        // What another state has on the host is no secret, and not this one's either.
        ok(&["network", "create", "front"]);
        let elsewhere =
            |arguments: &[&str]| common::ran(command(arguments).args(["--root", "/run/new"]).output().unwrap());
        assert_eq!(elsewhere(&["network", "ls", "-q"]).stdout, "");
        let found = elsewhere(&["doctor", "-q"]);
        assert!(found.status == 1 && found.stdout.contains("with another state directory, such as "), "{found:?}");
        let planned = elsewhere(&["--plan", "network", "create", "other"]);
        assert!(planned.status == 1 && planned.stderr.contains("with another state directory"), "{planned:?}");
        let purged = elsewhere(&["--plan", "repair", "--purge"]);
        assert!(purged.status == 0 && purged.stdout.contains("- bridge pn-"), "{purged:?}");
        assert!(!Path::new("/run/new").exists());
    });
}

#[test]
fn several_look_at_the_same_time_and_a_change_waits_for_them() {
    isolated(|| {
        ok(&["network", "create", "front"]);
        let lock = fs::File::open(Path::new(ROOT).join("lock")).unwrap();
        lock.lock_shared().unwrap();
        assert_eq!(json(&["--wait", "0", "network", "ls"])[0]["Name"], "front");
        let held = pontoon(&["--wait", "0", "network", "rm", "front"]);
        assert!(held.status == 1 && held.stderr.contains("is held by another process"), "{held:?}");
        lock.unlock().unwrap();
        lock.lock().unwrap();
        let held = pontoon(&["--wait", "0", "network", "ls"]);
        assert!(held.status == 1 && held.stderr.contains("is held by another process"), "{held:?}");
    });
}
