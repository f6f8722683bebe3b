//! The Linux host on a real kernel, compared with what `ip`, `nft` and `ss` say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pontoon_core::engine::{Host, HostError, Observe, Query};
use pontoon_core::firewall::{lower, ruleset};
use pontoon_core::model::NamespaceSource;
use pontoon_core::objects::{
    Address, Element, Held, Key, Namespace, Objects, Op, Place, Plan, Published, Sysctl, Tenure, Veth,
};
use pontoon_core::ports::PortProto;
use pontoon_host::linux::{LinuxConfig, LinuxHost, Point};
use pontoon_testkit::{ip_json, nft_json, run};
use serde_json::Value;

#[path = "linux/adopted.rs"]
mod adopted;
#[path = "linux/leaving.rs"]
mod leaving;
#[path = "linux/support.rs"]
mod support;

use support::*;

#[test]
fn a_network_and_a_container_come_and_go() {
    on_kernel(|host| {
        let before = snapshot();
        let (network, container) = (network(), container(2));
        host.apply(&add(&network)).unwrap();
        assert_observed(&host, &network);
        let with_network = snapshot();
        host.apply(&add(&container)).unwrap();
        let all = both(&network, &container);
        assert_observed(&host, &all);

        let bridge = &ip_json(&["link", "show", "br0"])[0];
        assert_eq!((&bridge["mtu"], &bridge["address"]), (&1400.into(), &"02:00:00:00:01:01".into()));
        assert_eq!(bridge["linkinfo"]["info_data"]["forward_delay"], 0);
        assert_eq!(bridge["linkinfo"]["info_data"]["stp_state"], 0);
        let port = &ip_json(&["link", "show", "pnv2"])[0];
        assert_eq!((&port["master"], &port["group"]), (&"br0".into(), &"28782".into()));
        assert_eq!(port["linkinfo"]["info_slave_data"]["hairpin"], true);
        let links = inside(2, &["link", "show"]);
        let eth0 = links.as_array().unwrap().iter().find(|link| link["ifname"] == "eth0").unwrap();
        assert_eq!((&eth0["mtu"], &eth0["address"]), (&1400.into(), &"02:00:00:00:02:02".into()));
        assert_eq!((&eth0["operstate"], &links[0]["flags"][1]), (&"UP".into(), &"UP".into()));
        let routes = inside(2, &["route", "show", "default"]);
        assert_eq!((&routes[0]["gateway"], &routes[0]["protocol"]), (&"10.9.0.1".into(), &"112".into()));
        assert_eq!(inside(2, &["-6", "route", "show", "default"])[0]["gateway"], "fd09::1");
        assert!(run("ss", &["-Htln"]).contains("0.0.0.0:8002"));
        let map = run("nft", &["list", "map", "inet", "pontoon", "publish_any4"]);
        assert!(map.contains("tcp . 8002 : 10.9.1.2 . 80"), "{map}");
        let namespace = format!("--net={RUN}/netns/{}", id(2).short());
        run("nsenter", &[&namespace, "ping", "-c1", "-W2", "10.9.0.1"]);

        remove(&host, &container);
        assert_same(&with_network, &snapshot());
        assert_observed(&host, &network);
        remove(&host, &network);
        assert_back_to(&before);
        assert_observed(&host, &Objects::new());
    });
}

#[test]
fn our_ruleset_is_the_one_in_the_words_of_nft() {
    on_kernel(|host| {
        let mut objects = Objects::new();
        objects.set(ruleset::ruleset());
        host.apply(&add(&objects)).unwrap();
        let mut ours = nft_json(&["list", "ruleset"]);
        host.apply(&add(&objects).inverse()).unwrap();
        std::fs::write("/run/wanted.nft", ruleset::text()).unwrap();
        run("nft", &["-f", "/run/wanted.nft"]);
        let mut theirs = nft_json(&["list", "ruleset"]);
        for listing in [&mut ours, &mut theirs] {
            strip(listing);
            for object in listing["nftables"].as_array_mut().unwrap() {
                object.as_object_mut().unwrap().values_mut().for_each(|value| {
                    value.as_object_mut().unwrap().remove("comment");
                });
            }
            let sorted = listing["nftables"].as_array_mut().unwrap();
            let is_set = |object: &Value| object.get("set").or(object.get("map")).map(|set| set["name"].to_string());
            sorted.sort_by_key(|object| (is_set(object).is_none(), is_set(object)));
        }
        let (ours, theirs) = (ours["nftables"].as_array().unwrap(), theirs["nftables"].as_array().unwrap());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours.len(), theirs.len());
    });
}

/// Applies a plan with a failure at each step in turn.
fn fail_everywhere(plan: &Plan, prepare: impl Fn(&LinuxHost)) {
    let at = Arc::new(AtomicUsize::new(usize::MAX));
    let failing = Arc::clone(&at);
    let probe = move |point: Point<'_>| match point {
        Point::Step { step, .. } if step == failing.load(Ordering::Relaxed) => {
            Err(HostError::Kernel { errno: 5, text: "injected".to_owned() })
        }
        _ => Ok(()),
    };
    let host = LinuxHost::open(LinuxConfig::new(RUN)).unwrap().with_probe(Arc::new(probe));
    prepare(&host);
    host.settle().unwrap();
    let before = snapshot();
    for step in 0..plan.len() {
        at.store(step, Ordering::Relaxed);
        let error = host.apply(plan).unwrap_err();
        assert_eq!((error.step, error.cause.errno()), (step, Some(5)), "{error}");
        assert!(error.left_behind.is_empty(), "{:?}", error.left_behind);
        host.settle().unwrap();
        assert_back_to(&before);
    }
    at.store(usize::MAX, Ordering::Relaxed);
    host.apply(plan).unwrap();
}

#[test]
fn a_network_that_fails_leaves_nothing() {
    on_kernel(|_| {
        let mut objects = network();
        let forward = "net.ipv4.ip_forward".to_owned();
        run("sh", &["-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]);
        objects.set(Sysctl { place: Place::Host, name: forward, value: "1".to_owned(), tenure: Tenure::Ensure });
        fail_everywhere(&add(&objects), |_| {
            assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "0");
        });
    });
}

#[test]
fn a_container_that_fails_leaves_nothing() {
    on_kernel(|_| fail_everywhere(&add(&container(2)), |host| host.apply(&add(&network())).unwrap()));
}

#[test]
fn a_removal_that_fails_brings_everything_back() {
    on_kernel(|_| {
        let all = network();
        let (plan, _) = Plan::between(&all, &Objects::new()).split();
        fail_everywhere(&plan, |host| host.apply(&add(&all)).unwrap());
    });
}

/// Applies a plan that the kernel refuses at one step.
fn refused(host: &LinuxHost, plan: &Plan, check: impl FnOnce(&HostError)) {
    let before = snapshot();
    let error = host.apply(plan).unwrap_err();
    check(&error.cause);
    assert!(error.left_behind.is_empty(), "{:?}", error.left_behind);
    host.settle().unwrap();
    assert_back_to(&before);
}

#[test]
fn what_others_have_is_left_alone() {
    on_kernel(|host| {
        run("ip", &["link", "add", "br0", "type", "bridge"]);
        refused(&host, &add(&network()), |cause| {
            assert_eq!(cause.to_string(), "the interface br0 exists already and is not Pontoon's");
        });
        host.apply(&Plan::of(network().iter().cloned().map(Op::Remove).collect())).unwrap();
        run("ip", &["link", "delete", "br0"]);
        host.apply(&add(&network())).unwrap();

        run("ip", &["link", "add", "pnv2", "type", "veth", "peer", "name", "other"]);
        refused(&host, &add(&container(2)), |cause| assert!(matches!(cause, HostError::Foreign { .. }), "{cause}"));
        run("ip", &["link", "delete", "pnv2"]);

        let taken = std::net::TcpListener::bind("127.0.0.1:8002").unwrap();
        refused(&host, &add(&container(2)), |cause| {
            assert_eq!(cause.to_string(), "failed to bind host port 0.0.0.0:8002/tcp: address already in use");
        });
        drop(taken);

        run("ip", &["address", "add", "10.8.0.1/16", "dev", "br0"]);
        let address = Address { place: Place::Host, link: name("br0"), prefix: "10.8.0.1/16".parse().unwrap() };
        let plan = Plan::of(vec![Op::Add(address.clone().into())]);
        refused(&host, &plan, |cause| assert!(matches!(cause, HostError::Foreign { .. }), "{cause}"));
        host.apply(&plan.inverse()).unwrap();
        assert!(run("ip", &["address", "show", "br0"]).contains("10.8.0.1/16"));

        let mut clash = Objects::new();
        clash.set(Element::Subnet("10.9.128.0/17".parse().unwrap()));
        refused(&host, &add(&clash), |cause| assert!(cause.errno().is_some(), "{cause}"));

        let held = Held { proto: PortProto::Udp, ip: "192.0.2.1".parse().unwrap(), port: 9, count: 1 };
        refused(&host, &Plan::of(vec![Op::Add(held.into())]), |cause| {
            assert_eq!(cause.errno(), Some(libc::EADDRNOTAVAIL), "{cause}");
        });
    });
}

#[test]
fn what_is_there_already_is_taken_over() {
    on_kernel(|host| {
        let all = both(&network(), &container(2));
        host.apply(&add(&all)).unwrap();
        run("ip", &["link", "set", "br0", "down"]);
        run("ip", &["link", "set", "pnv2", "mtu", "1300", "nomaster"]);
        host.apply(&add(&all)).unwrap();
        assert_observed(&host, &all);
    });
}

/// Applies the difference between what is and what should be.
fn repair(host: &LinuxHost, wanted: &Objects) -> String {
    let plan = Plan::between(&observed(host, wanted), wanted);
    let (revertible, finals) = plan.clone().split();
    host.apply(&revertible).unwrap();
    host.apply(&finals).unwrap();
    host.settle().unwrap();
    assert_observed(host, wanted);
    plan.to_string()
}

#[test]
fn drift_is_seen_and_repaired() {
    on_kernel(|host| {
        let all = both(&network(), &container(2));
        host.apply(&add(&all)).unwrap();
        let namespace = format!("--net={RUN}/netns/{}", id(2).short());
        let drifts: [&[&str]; 14] = [
            &["nft", "flush", "ruleset"],
            &["nft", "flush", "chain", "inet", "pontoon", "to_nat"],
            &["nft", "add", "rule", "inet", "pontoon", "to_nat", "accept"],
            &["nft", "delete", "element", "inet", "pontoon", "publish_any4", "{ tcp . 8002 }"],
            &["nft", "add", "element", "inet", "pontoon", "subnets4", "{ 10.0.0.0/24 }"],
            &["nft", "add", "chain", "inet", "pontoon", "other"],
            &["ip", "link", "set", "pnv2", "down"],
            &["ip", "link", "set", "pnv2", "nomaster"],
            &["ip", "link", "set", "br0", "mtu", "1300"],
            &["ip", "link", "delete", "pnv2"],
            &["ip", "link", "delete", "br0"],
            &["ip", "address", "flush", "dev", "br0"],
            &["nsenter", &namespace, "ip", "route", "delete", "default"],
            &["nsenter", &namespace, "ip", "link", "set", "eth0", "down"],
        ];
        for drift in drifts {
            run(drift[0], &drift[1..]);
            let plan = repair(&host, &all);
            println!("{}:\n{plan}", drift.join(" "));
            assert!(!plan.is_empty(), "{}", drift.join(" "));
        }
        assert_eq!(repair(&host, &all), "");
    });
}

#[test]
fn a_lost_table_is_made_again_with_what_was_in_it() {
    on_kernel(|host| {
        host.apply(&add(&network())).unwrap();
        host.apply(&add(&container(2))).unwrap();
        run("nft", &["flush", "ruleset"]);
        host.apply(&add(&container(3))).unwrap();
        let all = both(&both(&network(), &container(2)), &container(3));
        assert_observed(&host, &all);
    });
}

#[test]
fn an_interrupted_life_is_seen_by_the_next() {
    on_kernel(|host| {
        let all = both(&network(), &container(2));
        host.apply(&add(&all)).unwrap();
        drop(host);
        let next = LinuxHost::open(LinuxConfig::new(RUN)).unwrap();
        let mut lasting = all.clone();
        lasting.retain(|object| !object.is_volatile());
        assert_observed(&next, &lasting);
        // Even without being asked for, what is left of a sandbox is seen.
        let unasked = next.observe(&Query::default()).unwrap();
        assert!(unasked.get(&Key::Namespace(id(2))).is_some());
        let veth = |objects: &Objects| objects.get(&Key::Link("pnv2".to_owned())).cloned();
        assert_eq!(veth(&unasked), veth(&all));
        remove(&next, &all);
        assert_observed(&next, &Objects::new());
    });
}

#[test]
fn eight_threads_at_once() {
    on_kernel(|host| {
        host.apply(&add(&network())).unwrap();
        let before = snapshot();
        let started = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let host = &host;
                scope.spawn(move || {
                    for number in 0..25 {
                        let container = container(1 + thread * 25 + number);
                        host.apply(&add(&container)).unwrap();
                        let (revertible, finals) = Plan::between(&container, &Objects::new()).split();
                        host.apply(&revertible).unwrap();
                        host.apply(&finals).unwrap();
                    }
                });
            }
        });
        println!("200 attaches and detaches by 8 threads: {:?}", started.elapsed());
        host.settle().unwrap();
        assert_back_to(&before);
    });
}

#[test]
fn a_thousand_pairs() {
    on_kernel(|host| {
        host.apply(&add(&network())).unwrap();
        let before = snapshot();
        let mut all = Objects::new();
        all.set(Namespace { sandbox: id(2), source: NamespaceSource::New });
        for number in 0..1000u32 {
            let [.., high, low] = number.to_be_bytes();
            all.set(Veth {
                name: name(&format!("pnv{number}")),
                bridge: Some(name("br0")),
                mtu: mtu(),
                sandbox: id(2),
                peer: name(&format!("eth{number}")),
                mac: pontoon_core::model::MacAddr::new([2, 0, 0, 1, high, low]).unwrap(),
                isolated: true,
                hairpin: false,
                advertise: None,
                flaw: None,
            });
        }
        let started = Instant::now();
        host.apply(&add(&all)).unwrap();
        println!("1000 pairs: {:?}", started.elapsed());
        assert_observed(&host, &both(&network(), &all));
        let started = Instant::now();
        host.apply(&Plan::between(&all, &Objects::new())).unwrap();
        println!("1000 pairs removed: {:?}", started.elapsed());
        host.settle().unwrap();
        println!("1000 pairs gone: {:?}", started.elapsed());
        assert_back_to(&before);
    });
}

#[test]
fn held_ports_of_every_kind() {
    on_kernel(|host| {
        let held = |proto, ip: &str, port, count| Held { proto, ip: ip.parse().unwrap(), port, count };
        let mut all = Objects::new();
        all.set(held(PortProto::Udp, "0.0.0.0", 5000, 3));
        all.set(held(PortProto::Udp, "::", 5000, 1));
        all.set(held(PortProto::Tcp, "::1", 6000, 2));
        host.apply(&add(&all)).unwrap();
        assert_observed(&host, &all);
        let sockets = run("ss", &["-Htuln"]);
        for address in ["0.0.0.0:5000", "0.0.0.0:5002", "[::]:5000", "[::1]:6000", "[::1]:6001"] {
            assert!(sockets.contains(address), "{address} in\n{sockets}");
        }
        assert!(std::net::UdpSocket::bind("127.0.0.1:5001").is_err());
        // What reaches a held port is dropped, not refused.
        let address = "[::1]:6000".parse().unwrap();
        let error = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let busy = Plan::of(vec![Op::Add(held(PortProto::Udp, "127.0.0.1", 4998, 5).into())]);
        refused(&host, &busy, |cause| assert!(matches!(cause, HostError::PortBusy { port: 5000, .. }), "{cause}"));
        remove(&host, &all);
        assert_eq!(run("ss", &["-Htuln"]), "");
    });
}

#[test]
fn how_long_it_takes() {
    on_kernel(|host| {
        let started = Instant::now();
        host.apply(&add(&network())).unwrap();
        println!("network: {:?}", started.elapsed());
        let mut times: Vec<[Duration; 3]> = Vec::new();
        for number in 1..=100 {
            let container = container(number);
            let started = Instant::now();
            host.apply(&add(&container)).unwrap();
            let attach = started.elapsed();
            if number > 50 {
                let (revertible, finals) = Plan::between(&container, &Objects::new()).split();
                let started = Instant::now();
                host.apply(&revertible).unwrap();
                host.apply(&finals).unwrap();
                let detach = started.elapsed();
                host.settle().unwrap();
                times.push([attach, detach, started.elapsed()]);
            }
        }
        for (index, what) in ["attach", "detach", "everything gone"].into_iter().enumerate() {
            let mut all: Vec<Duration> = times.iter().map(|time| time[index]).collect();
            all.sort();
            println!("{what}: median {:?}, most {:?}", all[all.len() / 2], all[all.len() - 1]);
        }
        let bridge = Plan::between(&network(), &Objects::new());
        let started = Instant::now();
        host.apply(&bridge).unwrap();
        println!("network removed: {:?}", started.elapsed());
    });
}

#[test]
fn ten_thousand_elements_are_one_transaction() {
    on_kernel(|host| {
        host.apply(&add(&network())).unwrap();
        let mut objects = Objects::new();
        objects.set(Published {
            proto: PortProto::Udp,
            host_ip: "0.0.0.0".parse().unwrap(),
            host_port: 20_000,
            container_ip: "10.9.1.2".parse().unwrap(),
            container_port: 30_000,
            count: 10_000,
        });
        let ports = lower(objects).unwrap();
        let plan = add(&ports);
        let started = Instant::now();
        host.apply(&plan).unwrap();
        println!("10000 ports: {:?}", started.elapsed());
        assert_observed(&host, &both(&network(), &ports));
        // Removing twice is no error.
        let plan = plan.inverse();
        for _ in 0..2 {
            let started = Instant::now();
            host.apply(&plan).unwrap();
            println!("10000 ports removed: {:?}", started.elapsed());
        }
        assert_observed(&host, &network());
    });
}

#[test]
fn the_survey_leaves_out_what_is_ours() {
    on_kernel(|host| {
        run("ip", &["link", "add", "other", "type", "bridge"]);
        run("ip", &["address", "add", "10.77.0.1/24", "dev", "other"]);
        run("ip", &["link", "set", "other", "up"]);
        host.apply(&add(&network())).unwrap();
        let profile = host.survey().unwrap();
        assert!(profile.links.contains("other") && profile.links.contains("lo"), "{profile:?}");
        assert!(!profile.links.contains("br0"), "{profile:?}");
        assert!(profile.reserved.contains(&"10.77.0.0/24".parse().unwrap()), "{profile:?}");
        assert!(!profile.reserved.contains(&"10.9.0.0/16".parse().unwrap()), "{profile:?}");
        assert!(profile.ipv6 && profile.nf_tables, "{profile:?}");
    });
}
