//! Every operation failed at every step and every commit, and killed at every moment, on the fake host.
//!
//! After a failure host and store are as before, or what is left is a debt that `repair` pays. After a crash and a start
//! the host is what the records say, and the operation is either done or undone. Who only looks in between foresees what
//! that start does, and changes nothing.

mod support;

use std::sync::Arc;

use pontoon::Error;
use pontoon_host::store::Point;
use pontoon_testkit::fake::crashes;
use pontoon_testkit::{First, Gate};
use support::{SCENARIOS, Scenario, World, lasting};

fn prepared(scenario: &Scenario) -> World {
    let world = World::new();
    let controller = world.open();
    (scenario.before)(&controller);
    drop(controller);
    world
}

/// Returns what the operation leads to when nothing goes wrong.
fn done(scenario: &Scenario) -> String {
    let world = prepared(scenario);
    (scenario.operation)(&world.open()).unwrap_or_else(|error| panic!("{}: {error:?}", scenario.name));
    world.picture()
}

#[test]
fn every_step_of_every_operation_fails_and_leaves_nothing() {
    let mut cases = 0;
    for scenario in SCENARIOS {
        for step in 0.. {
            let world = prepared(scenario);
            let controller = world.open();
            let before = world.picture();
            world.host.fail_step(step);
            let outcome = (scenario.operation)(&controller);
            if !world.host.fault_hit() {
                break;
            }
            cases += 1;
            let at = format!("{}, step {step}", scenario.name);
            world.host.clear_faults();
            match outcome {
                Err(Error::LeftBehind { .. }) => {
                    assert!(!controller.debts().is_empty(), "{at}: what was left behind is not owed");
                    let repaired = controller.repair().unwrap();
                    assert!(repaired.failed.is_empty(), "{at}: {repaired:?}");
                    assert_eq!(world.picture(), done(scenario), "{at}");
                }
                Err(Error::Apply { .. }) => assert_eq!(world.picture(), before, "{at}"),
                other => panic!("{at}: expected an error of the host, got {other:?}"),
            }
            assert!(controller.debts().is_empty(), "{at}: {:?}", controller.debts());
            assert_eq!(controller.diagnose().unwrap(), [], "{at}");
        }
    }
    println!("{cases} failed steps");
    assert!(cases > 80, "only {cases} steps were failed: the operations have more");
}

#[test]
fn every_commit_of_every_operation_fails_and_leaves_nothing() {
    let mut cases = 0;
    for scenario in SCENARIOS {
        for point in [Point::Before, Point::After] {
            for nth in 1.. {
                let world = prepared(scenario);
                let controller = world.open();
                let before = world.picture();
                let commits = world.store.commits();
                world.store.fail_commit(nth, point);
                let outcome = (scenario.operation)(&controller);
                if world.store.commits() < commits + nth {
                    break;
                }
                let at = format!("{}, commit {nth} {point:?}", scenario.name);
                if outcome.is_ok() {
                    panic!("{at}: the operation succeeded without its commit");
                }
                cases += 1;
                assert!(matches!(outcome, Err(Error::Store(_))), "{at}: {outcome:?}");
                assert_eq!(world.picture(), before, "{at}");
                assert_eq!(controller.diagnose().unwrap(), [], "{at}");
            }
        }
    }
    println!("{cases} failed commits");
    assert!(cases >= 2 * SCENARIOS.len(), "only {cases} commits were failed");
}

#[test]
fn what_cannot_be_undone_is_owed_and_paid() {
    let mut cases = 0;
    for scenario in SCENARIOS {
        for step in 1.. {
            let world = prepared(scenario);
            let controller = world.open();
            let before = world.picture();
            world.host.fail_step(step);
            world.host.fail_undo(|_| Some(pontoon::HostError::Missing { what: "the way back".to_owned() }));
            let outcome = (scenario.operation)(&controller);
            if !world.host.fault_hit() {
                break;
            }
            cases += 1;
            let at = format!("{}, step {step}", scenario.name);
            world.host.clear_faults();
            if let Err(Error::Apply { source, .. }) = &outcome
                && !source.left_behind.is_empty()
            {
                assert!(!controller.debts().is_empty(), "{at}: what was left behind is not owed");
            }
            // A start knows the debts too.
            drop(controller);
            let foreseen = world.foreseen();
            let controller = world.open();
            assert!(controller.restored().repaired.failed.is_empty(), "{at}: {:?}", controller.restored());
            assert_eq!(foreseen, lasting(&controller.restored().repaired.done), "{at}");
            assert!(controller.debts().is_empty(), "{at}: {:?}", controller.debts());
            assert_eq!(controller.diagnose().unwrap(), [], "{at}");
            let after = world.picture();
            let done = done(scenario);
            assert!(after == before || after == done, "{at}: neither\n{after}\n--- before\n{before}\n--- done\n{done}");
        }
    }
    println!("{cases} failed steps without a way back");
}

/// Kills the process at every moment given by `arm`, and starts another.
fn crash_everywhere(first: First, arm: impl Fn(&World, &Gate, usize)) -> usize {
    let mut cases = 0;
    for scenario in SCENARIOS {
        let done = done(scenario);
        for moment in 0.. {
            let world = prepared(scenario);
            let gate = Gate::new(first);
            let host = gate.host(Arc::new(world.host.clone()));
            let store = gate.store(Arc::new(world.store.clone()));
            let controller = world.open_through(host, store);
            let before = world.picture();
            arm(&world, &gate, moment);
            let died = crashes(|| (scenario.operation)(&controller)).is_err();
            drop(controller);
            world.host.clear_faults();
            if !died {
                break;
            }
            cases += 1;
            let at = format!("{}, {first:?} first, moment {moment}", scenario.name);
            let foreseen = world.foreseen();
            let controller = world.open();
            assert!(controller.restored().repaired.failed.is_empty(), "{at}: {:?}", controller.restored());
            assert_eq!(foreseen, lasting(&controller.restored().repaired.done), "{at}");
            assert_eq!(controller.diagnose().unwrap(), [], "{at}");
            let after = world.picture();
            assert!(
                after == before || after == done,
                "{at}: neither done nor undone\n{after}\n--- before\n{before}\n--- done\n{done}"
            );
        }
    }
    cases
}

#[test]
fn a_crash_at_any_moment_is_finished_or_reversed() {
    let mut cases = 0;
    for first in [First::Commit, First::Apply] {
        cases += crash_everywhere(first, |world, _, moment| world.host.crash_at(moment));
        cases += crash_everywhere(first, |_, gate, moment| gate.crash_at_commit(moment));
    }
    println!("{cases} crashes");
    assert!(cases > 250, "only {cases} crashes");
}
