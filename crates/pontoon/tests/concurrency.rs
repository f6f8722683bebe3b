//! Many threads at once: nothing blocks for ever, nothing is left, no address is given twice or lost.

mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use pontoon::{
    Attach, Config, Controller, EndpointSpec, Error, HostError, Kind, Network, NetworkSpec, NetworkTarget, PoolStatus,
    SandboxSpec,
};
use pontoon_testkit::{Feature, ip_json, isolated, require, run};
use proptest::prelude::*;

use support::World;

const THREADS: usize = 8;
/// Far more than any of these tests takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `work`; a deadlock in it ends the test program instead of waiting for ever.
fn watched<T>(work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("no end after {} s: a deadlock", PATIENCE.as_secs());
            abort();
        }
    });
    let outcome = work();
    drop(done);
    outcome
}

#[expect(clippy::disallowed_methods, reason = "threads that wait for each other for ever cannot be joined")]
fn abort() -> ! {
    std::process::abort()
}

/// Addresses that are in use at this moment.
#[derive(Default)]
struct Claims(Mutex<BTreeSet<IpAddr>>);

impl Claims {
    fn take(&self, addresses: &[IpNet]) {
        let mut claims = self.0.lock().expect("nobody panics with it");
        for address in addresses {
            assert!(claims.insert(address.addr()), "{address} was given out twice");
        }
    }

    fn give_back(&self, addresses: &[IpNet]) {
        let mut claims = self.0.lock().expect("nobody panics with it");
        for address in addresses {
            assert!(claims.remove(&address.addr()), "{address} was not given out");
        }
    }

    fn is_empty(&self) -> bool {
        self.0.lock().expect("nobody panics with it").is_empty()
    }
}

/// Three networks, the last of them internal.
fn networks(controller: &Controller) -> Vec<Network> {
    let spec = |n: u8| {
        NetworkSpec::new(format!("net{n}"))
            .ipv6(true)
            .internal(n == 3)
            .subnet(format!("10.{n}.0.0/24").parse().expect("a subnet"))
            .subnet(format!("fd00:{n}::/64").parse().expect("a subnet"))
    };
    (1..=3).map(|n| controller.create_network(spec(n)).expect("a network")).collect()
}

fn statuses(networks: &[Network]) -> Vec<(IpNet, PoolStatus)> {
    networks.iter().flat_map(|network| network.pool_status().expect("a network")).collect()
}

/// Attaches a container to two networks with a port, and deletes it with everything.
fn come_and_go(controller: &Controller, networks: &[Network], claims: &Claims, number: usize) -> Result<(), Error> {
    let (one, two) = (&networks[number % 3], &networks[(number + 1) % 3]);
    let name = format!("box{number}");
    let endpoints = vec![(one.id().into(), EndpointSpec::new(&name)), (two.id().into(), EndpointSpec::new(&name))];
    let spec = SandboxSpec::new(&name).publish("80".parse().expect("a port"));
    let sandbox = controller.attach(Attach { sandbox: spec, endpoints })?;
    let addresses: Vec<IpNet> =
        sandbox.endpoints().iter().flat_map(|e| e.record().expect("there").addresses.clone()).collect();
    assert_eq!(addresses.len(), 4);
    claims.take(&addresses);
    claims.give_back(&addresses);
    sandbox.delete()
}

/// Takes the same way in single steps: two sandboxes and an endpoint that moves between them.
fn join_and_leave(controller: &Controller, networks: &[Network], claims: &Claims, number: usize) -> Result<(), Error> {
    let name = format!("step{number}");
    let (first, second) = (
        controller.create_sandbox(SandboxSpec::new(format!("{name}a")))?,
        controller.create_sandbox(SandboxSpec::new(format!("{name}b")))?,
    );
    let endpoint = networks[number % 3].create_endpoint(EndpointSpec::new(&name))?;
    let addresses = endpoint.record()?.addresses.clone();
    claims.take(&addresses);
    endpoint.join(&first)?;
    endpoint.leave(&first)?;
    endpoint.join(&second)?;
    assert_eq!(endpoint.record()?.addresses, addresses);
    claims.give_back(&addresses);
    first.delete()?;
    // With its endpoint.
    second.delete()
}

/// Spreads so many rounds over the threads; each is two joins and two leaves.
fn rounds(controller: &Controller, networks: &[Network], rounds: usize) {
    let (claims, next) = (Claims::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= rounds {
                        break;
                    }
                    let round = if number % 2 == 0 { come_and_go } else { join_and_leave };
                    round(controller, networks, &claims, number)
                        .unwrap_or_else(|error| panic!("round {number}: {error}"));
                }
            });
        }
    });
    assert!(claims.is_empty());
}

#[test]
fn two_hundred_on_the_kernel() {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        watched(|| {
            let before = picture();
            let controller = Controller::open(Config::new("/run/state").run_dir("/run/pontoon")).expect("opens");
            let networks = networks(&controller);
            let (status, with_networks) = (statuses(&networks), picture());
            // Each round is two joins and two leaves: 200 of each.
            rounds(&controller, &networks, 100);
            controller.settle().expect("settles");
            assert_eq!(statuses(&networks), status);
            assert_eq!(picture(), with_networks);
            assert_eq!(controller.diagnose().expect("readable"), []);
            assert_eq!((controller.sandboxes().len(), controller.endpoints().len()), (0, 0));
            assert!(controller.debts().is_empty(), "{:?}", controller.debts());
            networks.iter().for_each(|network| network.delete().expect("deleted"));
            controller.settle().expect("settles");
            drop(controller);
            assert_eq!(picture(), before);
            assert_eq!(std::fs::read_dir("/run/pontoon/netns").expect("a directory").count(), 0);
            // Nothing is in the store either.
            let controller = Controller::open(Config::new("/run/state").run_dir("/run/pontoon")).expect("opens");
            assert_eq!((controller.networks().len(), controller.sandboxes().len()), (0, 0));
            assert!(controller.restored().repaired.done.is_empty(), "{:?}", controller.restored());
        });
    });
}

/// What the kernel holds that Pontoon could leave behind, without what the kernel adds when a bridge first has a port.
fn picture() -> String {
    let mut lines = Vec::new();
    for link in ip_json(&["address", "show"]).as_array().expect("a list") {
        lines.push(format!("link {}", link["ifname"]));
        let addresses = link["addr_info"].as_array().into_iter().flatten();
        lines.extend(
            addresses.filter(|address| address["scope"] != "link").map(|address| format!("  {}", address["local"])),
        );
    }
    for family in ["-4", "-6"] {
        let routes = ip_json(&[family, "route", "show"]);
        let routes = routes.as_array().expect("a list").iter().filter(|route| route["dst"] != "fe80::/64");
        lines.extend(routes.map(|route| format!("route {} on {}", route["dst"], route["dev"])));
    }
    [lines.join("\n"), run("nft", &["list", "ruleset"]), run("ss", &["-Htuln"])].join("\n")
}

#[test]
fn two_thousand_on_a_host_in_memory() {
    watched(|| {
        let world = World::new();
        let controller = world.open();
        let networks = networks(&controller);
        let (status, before) = (statuses(&networks), world.picture());
        rounds(&controller, &networks, 1000);
        assert_eq!(statuses(&networks), status);
        assert_eq!(world.picture(), before);
        assert_eq!(controller.diagnose().expect("readable"), []);
    });
}

/// Networks come and go under those who use them: each attempt succeeds or is refused for what it is.
#[test]
fn networks_are_deleted_under_their_users() {
    watched(|| {
        let world = World::new();
        let controller = world.open();
        // Forwarding stays on once a network needed it.
        controller
            .create_network(NetworkSpec::new("first"))
            .and_then(|network| network.delete())
            .expect("comes and goes");
        let before = world.picture();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let controller = &controller;
                scope.spawn(move || {
                    for number in 0..50 {
                        match thread {
                            0 | 1 => drop(controller.create_network(NetworkSpec::new("shared"))),
                            2 => drop(controller.network_by_name("shared").and_then(|network| network.delete())),
                            _ => use_shared(controller, &format!("t{thread}n{number}")),
                        }
                    }
                });
            }
        });
        for sandbox in controller.sandboxes() {
            sandbox.delete().expect("deleted");
        }
        for network in controller.networks() {
            network.delete().expect("deleted");
        }
        assert_eq!(world.picture(), before);
    });
}

fn use_shared(controller: &Controller, name: &str) {
    let Ok(network) = controller.network_by_name("shared") else { return };
    let attach =
        Attach { sandbox: SandboxSpec::new(name), endpoints: vec![(network.id().into(), EndpointSpec::new(name))] };
    match controller.attach(attach) {
        Ok(sandbox) => sandbox.delete().expect("deleted"),
        Err(error) => assert!(matches!(error.kind(), Kind::NotFound | Kind::Conflict), "{error}"),
    }
}

/// A network is created by whoever uses it first and deleted by whoever finds it unused: no use of it is ever refused.
#[test]
fn a_network_that_comes_and_goes_is_there_for_every_user() {
    watched(|| {
        let world = World::new();
        let controller = world.open();
        thread::scope(|scope| {
            // More than two would hardly ever leave it unused.
            for thread in 0..2 {
                let controller = &controller;
                let name = move |number| format!("t{thread}n{number}");
                scope.spawn(move || (0..200).for_each(|number| use_default(controller, &name(number))));
            }
        });
        let plans = world.host.plans();
        let steps = plans.iter().flat_map(|plan| plan.ops());
        let made = steps.filter(|step| step.to_string().starts_with("+ bridge")).count();
        assert!(made > 1, "it was created {made} times: nobody deleted it under others");
        assert!(controller.networks().iter().all(|network| network.delete().is_ok()));
        assert!(controller.sandboxes().is_empty());
        assert_eq!(controller.diagnose().expect("a diagnosis"), []);
    });
}

fn use_default(controller: &Controller, name: &str) {
    let endpoints = vec![(NetworkTarget::create_if_missing(NetworkSpec::new("default")), EndpointSpec::new(name))];
    let sandbox = controller.attach(Attach { sandbox: SandboxSpec::new(name), endpoints }).expect("attached");
    sandbox.delete().expect("deleted");
    let deleted = controller.network_by_name("default").and_then(|network| network.delete());
    let expected = |error: &Error| matches!(error.kind(), Kind::NotFound | Kind::Forbidden);
    assert!(deleted.as_ref().err().is_none_or(expected), "{deleted:?}");
}

/// Whether a step fails: decided by a seed, and reproduced by it as far as the threads' order is.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, n: u64) -> bool {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(n)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Steps fail at random under many threads; operations that fail leave nothing, so retrying what cleans up ends
    /// where it began.
    #[test]
    fn failures_at_random_lose_no_address(seed in 1..u64::MAX, odds in 3..40u64, undo in any::<bool>()) {
        watched(|| fail_at_random(seed, odds, undo));
    }
}

fn fail_at_random(seed: u64, odds: u64, undo: bool) {
    let world = World::new();
    let controller = world.open();
    let networks = networks(&controller);
    let (status, before) = (statuses(&networks), world.picture());
    let dice = Arc::new(Mutex::new(Dice(seed)));
    let refusal = move |dice: &Mutex<Dice>| {
        let unlucky = dice.lock().expect("nobody panics with it").one_in(odds);
        unlucky.then(|| HostError::Kernel { errno: 5, text: "EIO".to_owned() })
    };
    let (steps, undoing) = (dice.clone(), dice);
    world.host.fail_when(move |_, _, _| refusal(&steps));
    if undo {
        world.host.fail_undo(move |_| refusal(&undoing));
    }
    let claims = Claims::default();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (controller, networks, claims) = (&controller, &networks, &claims);
            scope.spawn(move || (0..6).for_each(|n| unlucky_round(controller, networks, claims, thread * 100 + n)));
        }
    });
    world.host.clear_faults();
    for sandbox in controller.sandboxes() {
        sandbox.delete().expect("nothing fails any more");
    }
    for endpoint in controller.endpoints() {
        endpoint.delete(true).expect("nothing fails any more");
    }
    let repaired = controller.repair().expect("nothing fails any more");
    assert_eq!(repaired.failed, []);
    assert_eq!(controller.debts(), []);
    assert_eq!(statuses(&networks), status);
    assert_eq!(world.picture(), before);
    assert_eq!(controller.diagnose().expect("readable"), []);
}

/// Attaches, looks at what it got, and deletes; whatever fails.
fn unlucky_round(controller: &Controller, networks: &[Network], claims: &Claims, number: usize) {
    let (one, two) = (&networks[number % 3], &networks[(number + 1) % 3]);
    let name = format!("box{number}");
    let endpoints = vec![(one.id().into(), EndpointSpec::new(&name)), (two.id().into(), EndpointSpec::new(&name))];
    let spec = SandboxSpec::new(&name).publish("80".parse().expect("a port"));
    let Ok(sandbox) = controller.attach(Attach { sandbox: spec, endpoints }) else { return };
    let addresses: Vec<IpNet> =
        sandbox.endpoints().iter().flat_map(|e| e.record().expect("there").addresses.clone()).collect();
    assert_eq!(addresses.len(), 4);
    claims.take(&addresses);
    // Given back before the deletion, for afterwards others may have them at once.
    claims.give_back(&addresses);
    for _ in 0..20 {
        match sandbox.delete() {
            Ok(()) => break,
            Err(error) if error.kind() == Kind::NotFound => break,
            Err(_) => {}
        }
    }
}
