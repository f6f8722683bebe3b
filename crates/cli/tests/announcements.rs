//! What neighbours hear of the sandboxes that commands make and leave: gratuitous ARP and unsolicited neighbour advertisements.

mod common;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::inside::{helper, kill_helper, netns};
use common::{eventually, json, ok};
use pontoon_testkit::{Capture, Feature, ip_json, isolated, require, times};

const MAC: &str = "02:00:00:00:07:07";
/// The time between two announcements, in milliseconds.
const INTERVAL: u64 = 200;

/// Runs a test with a network that announces `count` times, and a neighbour there that listens.
fn listened(count: &str, test: impl FnOnce(&Capture)) {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        let options = [
            format!("com.docker.network.advertise_addr_nmsgs={count}"),
            format!("com.docker.network.advertise_addr_ms={INTERVAL}"),
        ];
        let subnets = ["--ipv6", "--subnet", "10.7.0.0/24", "--subnet", "fd00:7::/64"];
        ok(&[&["network", "create", "--opt", &options[0], "--opt", &options[1]], &subnets[..], &["dual"]].concat());
        ok(&["sandbox", "create", "neighbour", "--network", "dual"]);
        test(&Capture::open(Path::new(&netns("neighbour")), "eth0", "arp or icmp6"));
    });
}

/// When the IPv4 address and the IPv6 address of the sandbox with the MAC address were announced.
fn heard(capture: &Capture) -> [Vec<f64>; 2] {
    let packets = capture.packets();
    let arp = [&format!("{MAC} > ff:ff:ff:ff:ff:ff"), "who-has 10.7.0.7", "tell 10.7.0.7"];
    let na = [&format!("{MAC} > 33:33:00:00:00:01"), "fd00:7::7 > ff02::1", "tgt is fd00:7::7, Flags [override]"];
    [times(&packets, &arp), times(&packets, &na)]
}

/// Waits until each address was announced that often, and sees that it is not announced again.
fn heard_exactly(capture: &Capture, count: usize) {
    eventually("announcements", || heard(capture).iter().all(|times| times.len() >= count));
    sleep(Duration::from_millis(2 * INTERVAL));
    let heard = heard(capture);
    assert_eq!(heard.each_ref().map(Vec::len), [count; 2], "{:#?}", capture.packets());
    // What is late does not make the next one early.
    let gaps = heard.iter().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
    assert!(gaps.clone().all(|gap| gap > 0.8 * INTERVAL as f64 / 1000.0), "{:?}", gaps.collect::<Vec<_>>());
}

#[test]
fn commands_that_leave_have_announced_everything_in_the_end() {
    listened("3", |capture| {
        ok(&["sandbox", "create", "box"]);
        ok(&["network", "connect", "dual", "box", "--ip", "10.7.0.7", "--ip6", "fd00:7::7", "--mac-address", MAC]);
        heard_exactly(capture, 3);
        // Others come and go: that is no news of this one.
        ok(&["sandbox", "create", "other", "--network", "dual"]);
        ok(&["sandbox", "rm", "other"]);
        heard_exactly(capture, 3);
        // A helper that is started again does not know what was heard.
        kill_helper();
        ok(&["repair"]);
        heard_exactly(capture, 6);
        // Whoever leaves is announced no more, and whoever comes back is new.
        ok(&["network", "disconnect", "dual", "box"]);
        let joining = format!("dual,ip=10.7.0.7,ip6=fd00:7::7,mac={MAC}");
        ok(&["sandbox", "create", "second", "--network", &joining]);
        heard_exactly(capture, 9);
    });
}

#[test]
fn the_first_sandbox_is_announced_as_often_as_the_others() {
    listened("3", |_| {
        ok(&["sandbox", "rm", "neighbour"]);
        eventually("the end of the helper", || helper().is_none());
        let bridge = ip_json(&["link", "show", "type", "bridge"])[0]["ifname"].as_str().expect("a name").to_owned();
        let capture = Capture::open(Path::new("/proc/self/ns/net"), &bridge, "arp or icmp6");
        // The command that starts the helper announced it once, and the helper does not begin anew.
        let joining = format!("dual,ip=10.7.0.7,ip6=fd00:7::7,mac={MAC}");
        ok(&["sandbox", "create", "box", "--network", &joining]);
        heard_exactly(&capture, 3);
    });
}

#[test]
fn what_leaves_is_announced_no_more() {
    listened("3", |capture| {
        let joining = format!("dual,ip=10.7.0.7,ip6=fd00:7::7,mac={MAC}");
        ok(&["sandbox", "create", "box", "--network", &joining]);
        ok(&["sandbox", "rm", "box"]);
        let gone = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs_f64();
        sleep(Duration::from_millis(3 * INTERVAL));
        let heard = heard(capture);
        assert!(heard.iter().flatten().all(|time| *time <= gone), "{heard:?}, gone at {gone}");
        assert!(helper().is_some(), "it is there for the neighbour");
    });
}

#[test]
fn nothing_is_announced_where_the_count_is_zero() {
    listened("0", |capture| {
        let joining = format!("dual,ip=10.7.0.7,ip6=fd00:7::7,mac={MAC}");
        ok(&["sandbox", "create", "box", "--network", &joining]);
        kill_helper();
        ok(&["repair"]);
        sleep(Duration::from_millis(3 * INTERVAL));
        assert_eq!(heard(capture).map(|times| times.len()), [0, 0], "{:#?}", capture.packets());
        assert_eq!(json(&["sandbox", "ls"]).as_array().map(Vec::len), Some(2));
    });
}
