//! A controller that only looks: every operation is refused before anything is touched, and everything can be read.

mod support;

use pontoon::{Controller, Error, Kind, NetworkSpec, Owner, Pending, SandboxSpec};
use support::{SCENARIOS, World};

fn refused<T>(outcome: Result<T, Error>, what: &str) {
    let error = outcome.err().unwrap_or_else(|| panic!("{what}: it was not refused"));
    assert!(matches!(error, Error::ReadOnly { .. }), "{what}: {error:?}");
    assert_eq!(error.kind(), Kind::Forbidden, "{what}");
}

#[test]
fn every_operation_is_refused_and_touches_nothing() {
    for scenario in SCENARIOS {
        let world = World::new();
        (scenario.before)(&world.open());
        let before = world.picture();
        let commits = world.store.commits();
        let controller = world.open_read_only();
        refused((scenario.operation)(&controller), scenario.name);
        refused(controller.repair(), scenario.name);
        refused(controller.purge(), scenario.name);
        assert_eq!(world.picture(), before, "{}", scenario.name);
        assert_eq!(world.store.commits(), commits, "{}", scenario.name);
    }
}

#[test]
fn a_preview_shows_the_steps_that_another_would_take() {
    for scenario in SCENARIOS {
        // In worlds with one history the same ids are drawn.
        let previews = [World::open_read_only, World::open].map(|open| {
            let world = World::new();
            (scenario.before)(&world.open());
            let preview = open(&world).preview(|copy| (scenario.operation)(copy)).unwrap();
            assert_eq!(preview.recovery, [], "{}", scenario.name);
            preview.steps
        });
        assert_eq!(previews[0], previews[1], "{}", scenario.name);
    }
}

#[test]
fn sandboxes_that_cannot_exist_any_more_are_shown_until_somebody_removes_them() {
    let world = World::new();
    let owner = Owner { pid: 4711, started: 1, pid_namespace: None };
    let controller = world.open();
    controller.create_network(NetworkSpec::new("front")).unwrap();
    controller.create_sandbox(SandboxSpec { owner: Some(owner), ..SandboxSpec::new("web") }).unwrap();
    drop(controller);
    world.environment.kill(owner);
    assert!(!world.foreseen().is_empty());
    let controller = world.open_read_only();
    assert!(controller.sandbox_of("web").is_ok());
    let pending = controller.pending().unwrap();
    assert_eq!((&pending.stale[..], pending.outdated, pending.unclean), (&["web".to_owned()][..], false, false));
    assert_eq!(controller.diagnose().unwrap().len(), pending.steps.len());
    // What an operation would find, it finds after the recovery.
    let gone = controller.preview(|copy| copy.sandbox_of("web").map(drop)).unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
    drop(controller);
    let controller = world.open();
    assert_eq!(controller.restored().stale, ["web"]);
    assert_eq!(controller.pending().unwrap(), Pending::default());
}

#[test]
fn after_a_boot_everything_is_unfinished() {
    let world = World::new();
    let controller = world.open();
    controller.create_network(NetworkSpec::new("front")).unwrap();
    controller.create_sandbox(SandboxSpec::new("web")).unwrap();
    drop(controller);
    world.environment.reboot();
    world.host.reboot();
    world.foreseen();
    let controller = world.open_read_only();
    let pending = controller.pending().unwrap();
    assert!(pending.outdated && !pending.unclean);
    assert_eq!((pending.stale, pending.unfinished), (vec!["web".to_owned()], vec!["network front".to_owned()]));
    let preview = controller.preview(Controller::repair).unwrap();
    assert!(preview.recovery.iter().any(|step| step.0.starts_with("+ bridge ")), "{preview:?}");
}
