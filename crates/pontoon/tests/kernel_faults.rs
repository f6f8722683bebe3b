//! Every operation failed at every step and every commit, on the real kernel.
//!
//! After a failure the kernel and the store are as before, or what is left is a debt that `repair` pays. The kernel is read
//! with `ip`, `nft` and `ss`, inside every sandbox too.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Instant;

use pontoon::{Config, Controller, Error, HostError};
use pontoon_core::engine::Store;
use pontoon_core::engine::store::Batch;
use pontoon_host::linux::{LinuxConfig, LinuxHost, Point as Moment};
use pontoon_host::store::{MemoryStore, Point};
use pontoon_testkit::{Feature, TestEnvironment, isolated, require};
use support::picture::Picture;
use support::wire::Wire;
use support::{SCENARIOS, Scenario, forget_settings};

const RUN: &str = "/run/pontoon";

/// Counts down the steps until one fails.
#[derive(Clone)]
struct Fuse(Arc<AtomicIsize>);

impl Fuse {
    /// Burns at step number `n` from now.
    fn light(&self, n: isize) {
        self.0.store(n, Ordering::SeqCst);
    }

    fn out(&self) {
        self.light(isize::MIN);
    }

    fn burnt(&self) -> bool {
        (isize::MIN / 2..0).contains(&self.0.load(Ordering::SeqCst))
    }

    fn pass(&self, moment: Moment<'_>) -> Result<(), HostError> {
        match moment {
            Moment::Step { .. } if self.0.fetch_sub(1, Ordering::SeqCst) == 0 => {
                Err(HostError::Kernel { errno: 5, text: "Input/output error".to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// A kernel with a store, for one case.
struct World {
    fuse: Fuse,
    store: MemoryStore,
    controller: Controller,
}

impl World {
    fn prepared(scenario: &Scenario) -> Self {
        let fuse = Fuse(Arc::new(AtomicIsize::new(isize::MIN)));
        let probe = fuse.clone();
        let host = LinuxHost::open(LinuxConfig::new(RUN)).expect("the kernel lets us");
        let host = host.with_probe(Arc::new(move |moment| probe.pass(moment)));
        let store = MemoryStore::new();
        let builder = Controller::builder(Config::new("unused")).host(Arc::new(host)).store(Arc::new(store.clone()));
        let controller =
            builder.environment(Arc::new(TestEnvironment::new(7))).driver(Wire).open().expect("the controller opens");
        (scenario.before)(&controller);
        Self { fuse, store, controller }
    }

    fn picture(&self) -> Picture {
        self.controller.settle().expect("deletions end");
        let records = self.store.scan("").expect("memory can be read").into_iter();
        Picture::take(Path::new(RUN))
            .with(records.map(|(key, value)| format!("record {key} = {}", String::from_utf8_lossy(&value))))
    }

    /// Removes everything, and checks that it is gone.
    fn end(self, clean: &Picture, at: &str) {
        let purged = self.controller.purge().expect("a purge");
        assert!(purged.failed.is_empty(), "{at}: {purged:?}");
        self.controller.settle().expect("deletions end");
        drop(self);
        forget_settings();
        let after = Picture::take(Path::new(RUN));
        assert!(after == *clean, "{at}: the purge left something\n{}", clean.difference(&after));
    }
}

fn on_kernel(test: impl FnOnce(&Picture)) {
    isolated(|| {
        if [Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            drop(LinuxHost::open(LinuxConfig::new(RUN)).expect("the kernel lets us"));
            forget_settings();
            test(&Picture::take(Path::new(RUN)));
        }
    });
}

/// Returns what the operation leads to when nothing goes wrong.
fn done(scenario: &Scenario, clean: &Picture) -> Picture {
    let world = World::prepared(scenario);
    (scenario.operation)(&world.controller).unwrap_or_else(|error| panic!("{}: {error:?}", scenario.name));
    let done = world.picture();
    world.end(clean, scenario.name);
    done
}

fn same(at: &str, wanted: &Picture, present: &Picture) {
    assert!(wanted == present, "{at}: it is different\n{}", wanted.difference(present));
}

#[test]
fn every_step_of_every_operation_fails_and_leaves_nothing() {
    on_kernel(|clean| {
        let (began, mut cases, mut owed) = (Instant::now(), 0, 0);
        for scenario in SCENARIOS {
            let done = done(scenario, clean);
            for step in 0.. {
                let at = format!("{}, step {step}", scenario.name);
                let world = World::prepared(scenario);
                let before = world.picture();
                world.fuse.light(step);
                let outcome = (scenario.operation)(&world.controller);
                let burnt = world.fuse.burnt();
                world.fuse.out();
                if !burnt {
                    outcome.unwrap_or_else(|error| panic!("{at}: {error:?}"));
                    world.end(clean, &at);
                    break;
                }
                cases += 1;
                match outcome {
                    Err(Error::LeftBehind { .. }) => {
                        owed += 1;
                        assert!(!world.controller.debts().is_empty(), "{at}: what was left behind is not owed");
                        let repaired = world.controller.repair().expect("a repair");
                        assert!(repaired.failed.is_empty(), "{at}: {repaired:?}");
                        same(&at, &done, &world.picture());
                    }
                    Err(Error::Apply { .. }) => same(&at, &before, &world.picture()),
                    other => panic!("{at}: expected an error of the host, got {other:?}"),
                }
                assert!(world.controller.debts().is_empty(), "{at}: {:?}", world.controller.debts());
                assert_eq!(world.controller.diagnose().expect("a diagnosis"), [], "{at}");
                world.end(clean, &at);
            }
        }
        println!("COUNT {cases} failed steps on the kernel, {owed} of them debts, in {:.1?}", began.elapsed());
        assert!(cases > 80, "only {cases} steps were failed: the operations have more");
    });
}

#[test]
fn every_commit_of_every_operation_fails_and_leaves_nothing() {
    on_kernel(|clean| {
        let (began, mut cases) = (Instant::now(), 0);
        for scenario in SCENARIOS {
            for point in [Point::Before, Point::After] {
                for nth in 1.. {
                    let at = format!("{}, commit {nth} {point:?}", scenario.name);
                    let world = World::prepared(scenario);
                    let before = world.picture();
                    let commits = world.store.commits();
                    world.store.fail_commit(nth, point);
                    let outcome = (scenario.operation)(&world.controller);
                    if world.store.commits() < commits + nth {
                        // The fault must not hit the end of the case.
                        let mut nothing = Batch::default();
                        nothing.remove("nothing");
                        while world.store.commits() < commits + nth {
                            let _ = world.store.commit(&nothing);
                        }
                        world.end(clean, &at);
                        break;
                    }
                    cases += 1;
                    assert!(matches!(outcome, Err(Error::Store(_))), "{at}: {outcome:?}");
                    same(&at, &before, &world.picture());
                    assert_eq!(world.controller.diagnose().expect("a diagnosis"), [], "{at}");
                    world.end(clean, &at);
                }
            }
        }
        println!("COUNT {cases} failed commits on the kernel, in {:.1?}", began.elapsed());
        assert!(cases >= 2 * SCENARIOS.len(), "only {cases} commits were failed");
    });
}
