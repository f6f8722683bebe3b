//! What another program removes of our firewall is back at once, and an event says so.

mod lab;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pontoon::{Config, Controller, Event, NetworkSpec, SandboxSpec, Subscription};
use pontoon_core::engine::Host;
use pontoon_core::firewall::ruleset::ruleset;
use pontoon_host::linux::{LinuxConfig, LinuxHost};
use pontoon_testkit::{Feature, isolated, require, run};

use lab::{dual, lab};

/// Far more than it takes; how long it took is printed.
const PATIENCE: Duration = Duration::from_secs(30);

const TRAFFIC: &[&str] = &[
    "outside tcp 192.0.2.1:8080",
    "outside tcp [2001:db8::1]:8080",
    "outside udp 192.0.2.1:5353",
    "near tcp 10.1.0.2:80",
    "web tcp 192.0.2.2:7000",
];

/// Waits until something was put back; returns by whom it was removed, and how many steps it took.
fn restored(events: &Subscription) -> (String, usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left).expect("the firewall is put back");
        if let Event::FirewallRestored { by, steps } = event {
            return (by, steps);
        }
    }
}

/// Returns how many threads of this process guard the firewall.
fn guards() -> usize {
    let threads = fs::read_dir("/proc/self/task").expect("threads");
    let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "firewall guard").count()
}

#[test]
fn what_others_remove_is_back_and_told() {
    lab(|mut lab| {
        lab.neighbours(dual(1), &["8080:80", "5353:53/udp"]);
        let before = run("nft", &["list", "table", "inet", "pontoon"]);
        let flow = lab.flow("outside", "192.0.2.1:5353".parse().unwrap());
        flow.set_read_timeout(Some(PATIENCE)).unwrap();
        let goes_on = || flow.send(b"?").and_then(|_| flow.recv(&mut [0; 64])).expect("the flow goes on");
        goes_on();
        let events = lab.controller.events();
        let guard = lab.controller.guard_firewall().expect("nftables can be listened to");
        for accident in [
            &["flush", "ruleset"][..],
            &["delete", "table", "inet", "pontoon"],
            &["delete", "element", "inet", "pontoon", "publish_any4", "{ tcp . 8080 }"],
            &["add", "element", "inet", "pontoon", "publish_any4", "{ tcp . 8081 : 10.1.0.3 . 80 }"],
            &["add", "chain", "inet", "pontoon", "theirs"],
        ] {
            let start = Instant::now();
            run("nft", accident);
            let (by, steps) = restored(&events);
            println!(
                "COUNT nft {}: back after {:?}, with the program's own time and the pause",
                accident.join(" "),
                start.elapsed()
            );
            assert_eq!(by, "nft");
            assert!(steps > 0);
            assert_eq!(lab.controller.diagnose().unwrap(), [], "{accident:?}");
            goes_on();
        }
        assert_eq!(run("nft", &["list", "table", "inet", "pontoon"]), before);
        let answers = lab.answers(TRAFFIC);
        assert_eq!(answers.matches(" sees ").count(), TRAFFIC.len(), "{answers}");

        assert_eq!(guards(), 1);
        drop(guard);
        // The kernel lists a thread a moment longer than it runs.
        let deadline = Instant::now() + PATIENCE;
        while guards() > 0 {
            assert!(Instant::now() < deadline, "the guard is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
        run("nft", &["flush", "ruleset"]);
        assert_ne!(lab.controller.diagnose().unwrap(), [], "nobody puts it back");
    });
}

#[test]
fn a_storm_ends_with_everything_back() {
    lab(|mut lab| {
        lab.neighbours(dual(1), &["8080:80"]);
        let events = lab.controller.events();
        let _guard = lab.controller.guard_firewall().expect("nftables can be listened to");
        const FLUSHES: usize = 12;
        (0..FLUSHES).for_each(|_| drop(run("nft", &["flush", "ruleset"])));
        restored(&events);
        let deadline = Instant::now() + PATIENCE;
        while !lab.controller.diagnose().unwrap().is_empty() {
            assert!(Instant::now() < deadline, "the firewall is not back");
            std::thread::sleep(Duration::from_millis(20));
        }
        let more = std::iter::from_fn(|| events.try_recv().ok());
        let more = more.filter(|event| matches!(event, Event::FirewallRestored { .. })).count();
        println!("{FLUSHES} flushes were answered {} times", 1 + more);
        assert!(more < FLUSHES);
    });
}

/// Who is first to be told is the first who was not us.
#[test]
fn our_own_changes_and_those_of_other_tables_are_no_changes() {
    isolated(|| {
        if ![Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        let host = Arc::new(LinuxHost::open(LinuxConfig::new("/run/pontoon")).expect("the kernel lets us"));
        let mut watch = host.watch_firewall().expect("nftables can be listened to");
        let config = Config::new("/run/state").run_dir("/run/pontoon");
        let controller = Controller::builder(config).host(host).open().expect("opens");
        let network = controller.create_network(NetworkSpec::new("front")).unwrap();
        let sandbox = controller.create_sandbox(SandboxSpec::new("web")).unwrap();
        sandbox.connect(&network, pontoon::EndpointSpec::new("web")).unwrap();
        sandbox.publish(&["8080:80".parse().unwrap()]).unwrap();
        sandbox.unpublish(&["8080:80".parse().unwrap()]).unwrap();
        controller.repair().unwrap();
        run("nft", &["add", "table", "inet", "other"]);
        run("nft", &["add", "table", "ip", &ruleset().table]);
        // By another name, to be told from those before.
        let nft = run("sh", &["-c", "command -v nft"]);
        std::os::unix::fs::symlink(nft.trim(), "/run/culprit").unwrap();
        run("/run/culprit", &["delete", "table", "inet", "pontoon"]);
        assert_eq!(watch.changed().unwrap().as_deref(), Some("culprit"));
        // The table is made anew by us.
        controller.repair().unwrap();
        let interrupt = watch.interrupter().unwrap();
        let waiting = std::thread::spawn(move || (watch.changed().unwrap(), watch.changed().unwrap()));
        interrupt();
        assert_eq!(waiting.join().unwrap(), (None, None));
    });
}
