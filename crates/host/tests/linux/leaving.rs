//! Sandboxes that end while others still use their namespaces.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use pontoon_core::engine::{Host, Observe, Query};
use pontoon_core::objects::{Objects, Plan};
use pontoon_host::linux::LinuxHost;
use pontoon_testkit::{ip_json, run};

use super::support::*;

fn host_has(link: &str) -> bool {
    ip_json(&["link", "show"]).as_array().unwrap().iter().any(|shown| shown["ifname"] == link)
}

#[test]
fn a_namespace_that_others_hold_loses_its_interface() {
    on_kernel(|host| {
        let (network, container) = (network(), container(2));
        host.apply(&add(&network)).unwrap();
        host.apply(&add(&container)).unwrap();
        let held = File::open(format!("{RUN}/netns/{}", id(2).short())).unwrap();
        remove_without_waiting(&host, &container);
        // At once it is as good as gone, whoever holds it.
        assert_observed(&host, &network);
        host.settle().unwrap();
        assert!(!host_has("pnv2"), "the host's end is still there");
        let namespace = format!("--net=/proc/{}/fd/{}", std::process::id(), held.as_raw_fd());
        let inside = run("nsenter", &[&namespace, "ip", "-o", "link"]);
        assert!(!inside.contains("eth0"), "{inside}");
        assert!(!std::path::Path::new(&format!("{RUN}/netns/{}", id(2).short())).exists());
        // The very same sandbox can come again.
        host.apply(&add(&container)).unwrap();
        assert_observed(&host, &both(&network, &container));
    });
}

#[test]
fn nobody_needs_to_wait_for_it_to_end() {
    on_kernel(|host| {
        let (network, container) = (network(), container(2));
        host.apply(&add(&network)).unwrap();
        host.apply(&add(&container)).unwrap();
        remove_without_waiting(&host, &container);
        let deadline = Instant::now() + Duration::from_secs(5);
        while host_has("pnv2") && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!host_has("pnv2"));
        assert_eq!(host.observe(&Query::of([id(2)], [])).unwrap().len(), network.len());
    });
}

fn remove_without_waiting(host: &LinuxHost, objects: &Objects) {
    let (revertible, finals) = Plan::between(objects, &Objects::new()).split();
    host.apply(&revertible).unwrap();
    host.apply(&finals).unwrap();
}
