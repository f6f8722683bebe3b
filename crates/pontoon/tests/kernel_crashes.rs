//! Every operation cut short by SIGKILL at every moment, on the real kernel with the store on disk.
//!
//! ```text
//! the test                                a child in the same namespaces
//!   clears kernel and store
//!   starts the child ───────────────────▶ opens a controller, prepares, begins the operation
//!                                         commit and apply in the order asked for; dies at moment n
//!   looks at what is left: kernel and
//!   files stay as they are
//!   opens a controller on what is left,
//!   which does what was foreseen
//!   kernel = before or done, nothing to repair
//! ```
//!
//! Moments are: before and after every durable commit, before every batch and every single step of the kernel, and when
//! the operation has returned.

mod support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use pontoon::{Config, Controller};
use pontoon_core::engine::{Host, Store};
use pontoon_core::objects::Op;
use pontoon_host::linux::{LinuxConfig, LinuxHost, Point};
use pontoon_host::store::DiskStore;
use pontoon_testkit::{Feature, First, Gate, TestEnvironment, isolated, require};
use rustix::process::{Signal, getpid, kill_process};
use support::picture::Picture;
use support::wire::Wire;
use support::{SCENARIOS, Scenario, forget_settings, lasting};

const RUN: &str = "/run/pontoon";
const STATE: &str = "/run/state";
/// Tells the child what to do: the scenario's number, which comes first, and the moment of death.
const ERRAND: &str = "PONTOON_CRASH";
/// There once the operation has returned.
const RETURNED: &str = "/run/returned";

/// Counts moments and dies at one of them.
#[derive(Clone)]
struct Reaper {
    passed: Arc<AtomicUsize>,
    death: usize,
}

impl Reaper {
    /// Counting begins with [`Reaper::awake`].
    fn asleep(death: usize) -> Self {
        Self { passed: Arc::new(AtomicUsize::new(usize::MAX / 2)), death }
    }

    fn awake(&self) {
        self.passed.store(0, Ordering::SeqCst);
    }

    fn moment(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.death {
            die();
        }
    }
}

fn die() -> ! {
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
    unreachable!("SIGKILL cannot be survived");
}

fn host() -> LinuxHost {
    LinuxHost::open(LinuxConfig::new(RUN)).expect("the kernel lets us")
}

fn store() -> DiskStore {
    DiskStore::open(Path::new(STATE), Duration::ZERO).expect("nobody holds the store")
}

fn open(host: Arc<dyn Host>, store: Arc<dyn Store>) -> Controller {
    let builder = Controller::builder(Config::new("unused")).host(host).store(store);
    builder.environment(Arc::new(TestEnvironment::new(7))).driver(Wire).open().expect("the controller opens")
}

/// The child; without an errand there is nothing to do.
#[test]
fn child() {
    let Ok(errand) = env::var(ERRAND) else { return };
    let errand: Vec<usize> = errand.split(' ').map(|number| number.parse().expect("a number")).collect();
    let [scenario, first, death] = errand[..] else { panic!("three numbers") };
    let scenario = &SCENARIOS[scenario];
    let reaper = Reaper::asleep(death);
    let gate = Gate::new([First::Commit, First::Apply][first]);
    gate.stand_open(true);
    let (of_host, of_store) = (reaper.clone(), reaper.clone());
    let host = host().with_probe(Arc::new(move |point| {
        // The steps of a batch reach the kernel at once: the step's own point adds nothing.
        if matches!(point, Point::Batch { .. }) {
            of_host.moment();
        }
        Ok(())
    }));
    let store = store().with_probe(Arc::new(move |_| {
        of_store.moment();
        Ok(())
    }));
    let controller = open(gate.host(Arc::new(host)), gate.store(Arc::new(store)));
    // As a controller does whose store nobody passed in.
    fs::write(Path::new(STATE).join("in-use"), "").expect("a mark");
    (scenario.before)(&controller);
    gate.stand_open(false);
    reaper.awake();
    (scenario.operation)(&controller).expect("nothing but death stops it");
    fs::write(RETURNED, "").expect("a note");
    die();
}

/// Starts the child, which dies. Returns whether the operation had returned.
fn kill_at(scenario: usize, first: First, moment: usize) -> bool {
    let this = env::current_exe().expect("the running test has a path");
    let mut command = Command::new(this);
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    let output = command.env(ERRAND, format!("{scenario} {} {moment}", first as usize)).output().expect("it runs");
    let text = || [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()), "the child did not die as planned: {}", text());
    fs::remove_file(RETURNED).is_ok()
}

/// Returns every file of the store with its content.
fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let listed = fs::read_dir(STATE).expect("the store is there").map(|entry| entry.expect("a file").path());
    listed.map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect()
}

/// Looks at what a process left that was killed, which changes nothing, and returns the steps that a start will take.
fn foreseen(at: &str) -> Vec<Op> {
    let before = (Picture::take(Path::new(RUN)), files());
    let config = Config::new(STATE).run_dir(RUN).read_only();
    let controller = Controller::builder(config).environment(Arc::new(TestEnvironment::new(7))).driver(Wire).open();
    let controller = controller.unwrap_or_else(|error| panic!("{at}: {error}"));
    let pending = controller.pending().expect("the host can be read");
    assert!(pending.unclean, "{at}");
    let preview = controller.preview(Controller::repair).expect("nothing fails that does not happen");
    assert_eq!((preview.recovery.len(), preview.steps), (pending.steps.len(), Vec::new()), "{at}");
    drop(controller.stop().expect("there is nothing to do"));
    let after = (Picture::take(Path::new(RUN)), files());
    assert!(before.0 == after.0, "{at}: looking changed something\n{}", before.0.difference(&after.0));
    assert!(before.1 == after.1, "{at}: looking changed the store");
    lasting(&pending.steps)
}

/// Empties kernel and store.
fn clear(controller: Controller, clean: &Picture, at: &str) {
    let purged = controller.purge().expect("a purge");
    assert!(purged.failed.is_empty(), "{at}: {purged:?}");
    drop(controller);
    forget_settings();
    fs::remove_dir_all(STATE).expect("the store is ours");
    let after = Picture::take(Path::new(RUN));
    assert!(after == *clean, "{at}: the purge left something\n{}", clean.difference(&after));
}

fn picture(controller: &Controller) -> Picture {
    controller.settle().expect("deletions end");
    Picture::take(Path::new(RUN))
}

/// Returns what is there before an operation and after it, when nobody dies.
fn undisturbed(scenario: &Scenario, clean: &Picture) -> (Picture, Picture) {
    let controller = open(Arc::new(host()), Arc::new(store()));
    (scenario.before)(&controller);
    let before = picture(&controller);
    (scenario.operation)(&controller).unwrap_or_else(|error| panic!("{}: {error:?}", scenario.name));
    let done = picture(&controller);
    clear(controller, clean, scenario.name);
    (before, done)
}

#[test]
fn a_killed_process_leaves_what_the_next_one_finishes_or_reverses() {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        drop(host());
        forget_settings();
        let clean = Picture::take(Path::new(RUN));
        let (began, mut cases, mut finished) = (Instant::now(), 0, 0);
        for (number, scenario) in SCENARIOS.iter().enumerate() {
            let (before, done) = undisturbed(scenario, &clean);
            for first in [First::Commit, First::Apply] {
                for moment in 0.. {
                    let at = format!("{}, {first:?} first, moment {moment}", scenario.name);
                    let returned = kill_at(number, first, moment);
                    cases += 1;
                    let foreseen = foreseen(&at);
                    let controller = open(Arc::new(host()), Arc::new(store()));
                    assert!(controller.restored().repaired.failed.is_empty(), "{at}: {:?}", controller.restored());
                    assert_eq!(foreseen, lasting(&controller.restored().repaired.done), "{at}");
                    assert_eq!(controller.diagnose().expect("a diagnosis"), [], "{at}");
                    assert!(controller.debts().is_empty(), "{at}: {:?}", controller.debts());
                    let after = picture(&controller);
                    let is_done = after == done;
                    assert!(
                        is_done || after == before && !returned,
                        "{at}: neither\nafter before:\n{}after done:\n{}",
                        before.difference(&after),
                        done.difference(&after)
                    );
                    finished += usize::from(is_done);
                    clear(controller, &clean, &at);
                    if returned {
                        break;
                    }
                }
            }
        }
        let time = began.elapsed();
        println!("COUNT {cases} processes killed, {finished} operations finished by the next, in {time:.1?}");
        assert!(cases > 150, "only {cases} processes were killed");
    });
}
