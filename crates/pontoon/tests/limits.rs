//! Limits of rates, with real packets; what others break of them is named and mended.

mod lab;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use pontoon::{Attach, EndpointSpec, Network, SandboxSpec};
use pontoon_testkit::{Feature, require, run};

use lab::{Lab, dual, lab};

/// The limit, in bits per second; a transfer takes about a second then.
const RATE: f64 = 8e6;
const TRANSFER: usize = 1_000_000;
/// How often a transfer may be slow because the machine is.
const ATTEMPTS: usize = 3;

/// Runs a test with a network of `near`, which has no limits, and `web`, which has.
fn stage(web: fn(EndpointSpec) -> EndpointSpec, test: impl FnOnce(&Lab)) {
    lab(|mut lab| {
        if !require(Feature::Shaping) {
            return;
        }
        let network = lab.network(dual(1).option("com.docker.network.bridge.name", "br1"));
        attach(&mut lab, "web", web(EndpointSpec::new("web")), &network);
        lab.sandbox("near", &network, &[]);
        assert_eq!(lab.controller.diagnose().unwrap(), []);
        test(&lab);
        lab.controller.sandbox_of("web").unwrap().delete().unwrap();
        lab.controller.settle().unwrap();
        assert!(!run("ip", &["link", "show"]).contains(" pi"), "nothing is left of the limits");
    });
}

fn attach(lab: &mut Lab, name: &str, endpoint: EndpointSpec, network: &Network) {
    let endpoints = vec![(network.id().into(), endpoint)];
    lab.controller.attach(Attach { sandbox: SandboxSpec::new(name), endpoints }).expect("attaches");
    lab.enter(name);
}

/// Returns how many bits per second pass from one place to another by TCP.
fn transfer(lab: &Lab, from: &str, to: &str, v6: bool) -> f64 {
    let address = lab.address(to, v6).expect("an address");
    let listener = lab.within(to, move || TcpListener::bind(SocketAddr::new(address, 0))).expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    let mut sender = lab.within(from, move || TcpStream::connect(at)).expect("connects");
    let begun = Instant::now();
    let sending = thread::spawn(move || sender.write_all(&[7; TRANSFER]));
    let (mut receiver, _) = listener.accept().expect("connected");
    receiver.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    let mut received = Vec::new();
    receiver.read_to_end(&mut received).expect("arrives");
    let took = begun.elapsed();
    sending.join().expect("does not panic").expect("is sent");
    assert_eq!(received.len(), TRANSFER);
    TRANSFER as f64 * 8.0 / took.as_secs_f64()
}

/// Checks that a limit holds, and that not much less passes.
fn is_limited(lab: &Lab, from: &str, to: &str, v6: bool) {
    let reached = (0..ATTEMPTS).any(|_| {
        let rate = transfer(lab, from, to, v6);
        assert!(rate < 1.3 * RATE, "{rate} bit/s from {from} to {to}");
        rate > 0.5 * RATE
    });
    assert!(reached, "much less than the limit passes from {from} to {to}");
}

fn is_free(lab: &Lab, from: &str, to: &str) {
    let reached = (0..ATTEMPTS).any(|_| transfer(lab, from, to, false) > 2.0 * RATE);
    assert!(reached, "from {from} to {to} no more passes than with a limit");
}

#[test]
fn what_comes_in_is_limited() {
    stage(
        |web| web.rate_in("8M".parse().unwrap()),
        |lab| {
            is_limited(lab, "near", "web", false);
            is_limited(lab, "host", "web", true);
            is_free(lab, "web", "near");
        },
    );
}

#[test]
fn what_goes_out_is_limited() {
    stage(
        |web| web.rate_out("8M".parse().unwrap()),
        |lab| {
            is_limited(lab, "web", "near", true);
            is_limited(lab, "web", "outside", false);
            is_free(lab, "near", "web");
        },
    );
}

/// Breaks something, and compares what the doctor says; then repairs it.
fn mends(lab: &Lab, accident: &[&str], expected: Expect) {
    let record = lab.controller.sandbox_of("web").unwrap().endpoints()[0].record().unwrap();
    let pair = record.host_ifname();
    let digits = pair.as_str().trim_start_matches("pv");
    let accident: Vec<String> = accident.iter().map(|word| word.replace("WEB", digits)).collect();
    run(&accident[0], &accident[1..].iter().map(String::as_str).collect::<Vec<_>>());
    let steps = lab.controller.diagnose().expect("the host can be read");
    let steps = steps.iter().map(|difference| format!("{}\n", difference.step).replace(digits, "WEB"));
    expected.assert_eq(&steps.filter(|step| step.contains("limit")).collect::<String>());
    assert_eq!(lab.controller.repair().expect("repairs").failed, []);
    assert_eq!(lab.controller.diagnose().unwrap(), []);
}

#[test]
fn what_others_break_is_mended() {
    let both = |web: EndpointSpec| web.rate_in("8M".parse().unwrap()).rate_out("8M".parse().unwrap());
    stage(both, |lab| {
        assert!(!lab.inside("web", &["tc", "qdisc", "show"]).contains("tbf"), "the container could lift the limits");
        for (accident, expected) in [
            (
                &["tc", "qdisc", "delete", "dev", "pvWEB", "root"][..],
                expect![[r#"
                + limit in to 8Mbit/s on pvWEB
            "#]],
            ),
            (
                &["tc", "qdisc", "delete", "dev", "pvWEB", "ingress"],
                expect![[r#"
                    ~ limit out on pvWEB through piWEB, damaged -> limit out to 8Mbit/s on pvWEB through piWEB
                "#]],
            ),
            (
                &[
                    "tc", "qdisc", "change", "dev", "pvWEB", "root", "tbf", "rate", "1gbit", "burst", "1m", "limit",
                    "2m",
                ],
                expect![[r#"
                    ~ limit in on pvWEB, damaged -> limit in to 8Mbit/s on pvWEB
                "#]],
            ),
            (
                &["tc", "qdisc", "delete", "dev", "piWEB", "root"],
                expect![[r#"
                    ~ limit out on pvWEB through piWEB, damaged -> limit out to 8Mbit/s on pvWEB through piWEB
                "#]],
            ),
            (
                &["ip", "link", "set", "piWEB", "down"],
                expect![[r#"
                    ~ limit out on pvWEB through piWEB, damaged -> limit out to 8Mbit/s on pvWEB through piWEB
                "#]],
            ),
            (
                &["ip", "link", "delete", "piWEB"],
                expect![[r#"
                + limit out to 8Mbit/s on pvWEB through piWEB
            "#]],
            ),
            (
                &["ip", "link", "delete", "pvWEB"],
                expect![[r#"
                    + limit in to 8Mbit/s on pvWEB
                    ~ limit out on pvWEB through piWEB, damaged -> limit out to 8Mbit/s on pvWEB through piWEB
                "#]],
            ),
        ] {
            mends(lab, accident, expected);
        }
        is_limited(lab, "near", "web", false);
        is_limited(lab, "web", "near", false);
    });
}
