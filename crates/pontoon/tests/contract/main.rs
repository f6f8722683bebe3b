//! The contract of a host: random plans on the fake and on the kernel.
//!
//! Both begin empty and suffer the same: plans toward random states, plans undone, steps that make no sense, foreign things
//! and accidents. After each, both must have succeeded or failed at the same step for the same reason, and have equal
//! objects. `PONTOON_SEED` repeats a run.

mod pair;
mod universe;

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pair::Pair;
use pontoon_core::objects::{Address, FileName, Object, Objects, Op, Place, Plan};
use pontoon_core::ports::PortProto;
use pontoon_netlink::netns::Visitor;
use pontoon_testkit::{Feature, isolated, require};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use universe::{
    BRIDGES, Line, PAIRS, SANDBOXES, SYSCTLS, address, catalogue, complete, inside, is_served, peaceful, tame,
    without_stray_routes,
};

/// Sequences of moves; each has several plans.
const CASES: u32 = 100;

/// What others do.
#[derive(Clone, Debug)]
pub(crate) enum Accident {
    DeleteLink(&'static str),
    AddLink(&'static str),
    DeletePeer(char, &'static str),
    SetDown(&'static str),
    ReleasePort(&'static str),
    FlushRuleset,
    DeleteAddress(Address),
    AddAddress(&'static str, &'static str),
    KillNamespace(char),
    Occupy(PortProto, u16),
    SetSysctl(&'static str, &'static str),
    /// Something is added to a file.
    EditFile(FileName, &'static str),
    DeleteFile(FileName),
}

/// One thing that happens to both hosts.
#[derive(Clone, Debug)]
enum Move {
    /// A plan from what is there to other objects with all they need, as the engine makes them; or to more objects,
    /// whatever they need. Or there and back.
    Toward {
        objects: Vec<Line>,
        complete: bool,
        back: bool,
    },
    /// Plans of one step each, whatever is there.
    Steps(Vec<(bool, Line)>),
    Accident(Accident),
}

fn accident() -> impl Strategy<Value = Accident> {
    let addresses = vec![
        address(Place::Host, "br0", "10.1.0.1/24"),
        address(Place::Host, "br0", "fd01::1/64"),
        address(inside('a'), "eth0", "10.1.0.2/24"),
        address(inside('a'), "eth0", "fd01::2/64"),
    ];
    let links: Vec<&'static str> = BRIDGES.into_iter().chain(PAIRS.map(|pair| pair.0)).collect();
    let foreign = vec![("br0", "10.1.0.1/24"), ("br0", "10.1.0.200/24"), ("br1", "fd02::1/64"), ("br1", "10.3.0.1/24")];
    prop_oneof![
        select(links.clone()).prop_map(Accident::DeleteLink),
        select(links).prop_map(Accident::AddLink),
        select(PAIRS.to_vec()).prop_map(|(_, letter, link)| Accident::DeletePeer(letter, link)),
        select(PAIRS.to_vec()).prop_map(|pair| Accident::SetDown(pair.0)),
        select(PAIRS.to_vec()).prop_map(|pair| Accident::ReleasePort(pair.0)),
        Just(Accident::FlushRuleset),
        select(addresses).prop_map(Accident::DeleteAddress),
        select(foreign).prop_map(|(link, prefix)| Accident::AddAddress(link, prefix)),
        select(SANDBOXES.to_vec()).prop_map(Accident::KillNamespace),
        (select(vec![PortProto::Tcp, PortProto::Udp]), 8080..8084u16).prop_map(|(p, port)| Accident::Occupy(p, port)),
        (select(SYSCTLS.to_vec()), select(vec!["0", "1"])).prop_map(|(name, value)| Accident::SetSysctl(name, value)),
        (select(FileName::ALL.to_vec()), select(vec!["10.9.0.9\tother\n", "10.1.0.2\tweb\n"]))
            .prop_map(|(name, text)| Accident::EditFile(name, text)),
        select(FileName::ALL.to_vec()).prop_map(Accident::DeleteFile),
    ]
}

fn a_move() -> impl Strategy<Value = Move> {
    let objects = prop_oneof![subsequence(peaceful(), 1..30), subsequence(tame(), 1..30)];
    let toward = (objects, prop::bool::weighted(0.85), prop::bool::weighted(0.3))
        .prop_map(|(objects, complete, back)| Move::Toward { objects, complete, back });
    let steps = prop::collection::vec((prop::bool::weighted(0.7), select(catalogue())), 1..6).prop_map(Move::Steps);
    prop_oneof![6 => toward, 2 => steps, 3 => accident().prop_map(Move::Accident)]
}

/// Turns a wish into a step: what is there under a key is changed, not added.
fn step_from(present: &Objects, add: bool, object: &Object) -> Op {
    match (add, present.get(&object.key())) {
        (true, Some(there)) if there != object => Op::Change { from: there.clone(), to: object.clone() },
        (true, _) => Op::Add(object.clone()),
        (false, there) => Op::Remove(there.unwrap_or(object).clone()),
    }
}

/// Makes one thing happen to both, and compares.
fn make(pair: &mut Pair, step: &Move) -> Result<(), String> {
    let before = pair.observe()?;
    match step {
        Move::Accident(accident) => pair.suffer(accident)?,
        Move::Steps(wishes) => {
            for (add, line) in wishes {
                let present = pair.observe()?;
                // The kernel takes it, and forgets it when it likes.
                if matches!(&line.0, Object::Route(route) if route.via.is_none() && !is_served(route, &present)) {
                    continue;
                }
                let step = step_from(&present, *add, &line.0);
                pair.apply(&Plan::of(vec![step]))?;
            }
        }
        Move::Toward { objects, complete: whole, back } => {
            // A kernel setting has some value, whether or not anybody cares.
            let kept = before.iter().filter(|object| !whole || object.is_ledgered());
            let mut desired: Objects = kept.cloned().collect();
            objects.iter().for_each(|line| desired.set(line.0.clone()));
            match whole {
                true => complete(&mut desired),
                false => without_stray_routes(&mut desired),
            }
            let (steps, finals) = Plan::between(&before, &desired).split();
            let happened = pair.apply(&steps)?;
            let after = pair.observe()?;
            if !happened && after != before {
                return Err(format!("the plan\n{steps}failed and left something on both"));
            }
            if happened && *back {
                let (undo, rest) = steps.inverse().split();
                pair.apply(&undo)?;
                pair.apply(&rest)?;
            } else if happened {
                pair.apply(&finals)?;
            }
        }
    }
    pair.observe().map(drop)
}

fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    std::env::var("PONTOON_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now)
}

#[test]
fn the_fake_and_the_kernel_agree() {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        let (began, seed) = (Instant::now(), seed());
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 150, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let visitor = Visitor::new(const { NonZeroUsize::new(1).expect("one is not zero") }).expect("threads");
        let (number, plans, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let outcome = runner.run(&prop::collection::vec(a_move(), 1..10), |moves| {
            number.set(number.get() + 1);
            let case = number.get();
            let (_, (result, of_case, refusals)) = visitor
                .create(None, move |_| {
                    let mut pair = Pair::new(case);
                    let result = moves.iter().try_for_each(|step| make(&mut pair, step));
                    let counts = (pair.plans, pair.refused);
                    pair.end();
                    (result, counts.0, counts.1)
                })
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            plans.set(plans.get() + of_case);
            refused.set(refused.get() + refusals);
            result.map_err(TestCaseError::fail)
        });
        if let Err(TestError::Fail(reason, moves)) = &outcome {
            panic!("PONTOON_SEED={seed}: {reason}\nafter {} moves: {moves:#?}", moves.len());
        }
        outcome.expect("no case was given up");
        let (plans, refused) = (plans.get(), refused.get());
        println!("COUNT {plans} plans, {refused} refused, PONTOON_SEED={seed}, in {:.1?}", began.elapsed());
        assert!(plans >= 300, "only {plans} plans");
    });
}
