//! Token buckets and redirecting on a real kernel, read back with `tc`.

use pontoon_netlink::route::{
    Kind, Link, NewLink, Peer, TokenBucket, add_ingress, buckets, delete_ingress, delete_link, delete_root, link,
    redirect_all, redirects,
};
use pontoon_netlink::{Protocol, Request, Socket};
use pontoon_testkit::{Feature, isolated, require, run};
use serde_json::{Value, json};

/// Runs a test with two links: a pair's end `pair0`, and `ifb0`.
fn stage(test: impl FnOnce(&mut Socket, u32, u32)) {
    isolated(|| {
        if ![Feature::Veth, Feature::Shaping].into_iter().all(require) {
            return;
        }
        let mut socket = Socket::open(Protocol::Route).expect("a socket opens");
        let pair = NewLink { up: true, ..NewLink::new("pair0", Kind::Veth(Peer::new("pair1"))) }.create();
        apply(&mut socket, &[pair, NewLink::new("ifb0", Kind::Ifb).create()]);
        let [pair, ifb] = ["pair0", "ifb0"].map(|name| found(&mut socket, name));
        assert_eq!(ifb.kind.as_deref(), Some("ifb"));
        test(&mut socket, pair.index, ifb.index);
    });
}

fn apply(socket: &mut Socket, requests: &[Request]) {
    for answer in socket.batch(requests).expect("the batch is answered") {
        assert_eq!(answer, Ok(()));
    }
}

fn refused(socket: &mut Socket, request: Request) -> i32 {
    let answers = socket.batch(&[request]).expect("the batch is answered");
    answers[0].clone().expect_err("the kernel refuses").errno
}

fn found(socket: &mut Socket, name: &str) -> Link {
    link(socket, name).expect("the link is described").expect("the link is there")
}

fn tc(arguments: &[&str]) -> Value {
    serde_json::from_str(&run("tc", &[&["-j"], arguments].concat())).expect("tc writes JSON")
}

#[test]
fn a_token_bucket_is_set_changed_and_removed() {
    stage(|socket, pair, _| {
        // The last two need 64 bits; the kernel's clock rounds the burst.
        for rate in [1_000, 1_000_000, 125_000_000, 5_000_000_000, 50_000_000_000] {
            let burst = u32::try_from(rate / 100).expect("small enough").max(66_560);
            let bucket = TokenBucket { rate, burst, limit: 2 * burst };
            apply(socket, &[bucket.replace(pair)]);
            let shown = &tc(&["qdisc", "show", "dev", "pair0", "root"])[0];
            assert_eq!((&shown["kind"], &shown["options"]["rate"]), (&json!("tbf"), &json!(rate)), "{shown}");
            let shown = run("tc", &["qdisc", "show", "dev", "pair0", "root"]);
            assert!(shown.contains("tbf"), "{shown}");
            let [(link, read)] = buckets(socket).expect("a list")[..] else { panic!("one bucket at {rate}") };
            assert_eq!((link, read.rate, read.limit), (pair, rate, bucket.limit));
            let (wanted, precision) = (u64::from(burst), rate * 64 / 1_000_000_000 + 1);
            assert!(wanted.abs_diff(u64::from(read.burst)) <= precision, "{read:?}");
        }
        assert_eq!(found(socket, "pair0").qdisc.as_deref(), Some("tbf"));
        apply(socket, &[delete_root(pair)]);
        assert_eq!(found(socket, "pair0").qdisc.as_deref(), Some("noqueue"));
        assert!(buckets(socket).expect("a list").is_empty());
        assert_eq!(refused(socket, delete_root(pair)), libc::ENOENT);
        // Whatever it sent through before.
        run("tc", &["qdisc", "add", "dev", "pair0", "root", "pfifo"]);
        apply(socket, &[TokenBucket { rate: 1_000, burst: 66_560, limit: 66_560 }.replace(pair)]);
        assert_eq!(found(socket, "pair0").qdisc.as_deref(), Some("tbf"));
    });
}

#[test]
fn everything_that_arrives_is_redirected() {
    stage(|socket, pair, ifb| {
        assert!(redirects(socket, pair).expect("a list").is_empty());
        apply(socket, &[add_ingress(pair), redirect_all(pair, ifb)]);
        assert_eq!(redirects(socket, pair).expect("a list"), [ifb]);
        assert_eq!(refused(socket, add_ingress(pair)), libc::EEXIST);
        let shown = tc(&["filter", "show", "dev", "pair0", "ingress"]);
        let rules: Vec<&Value> =
            shown.as_array().expect("a list").iter().filter(|one| one["options"]["actions"] != Value::Null).collect();
        let [rule] = rules[..] else { panic!("{shown}") };
        let action = &rule["options"]["actions"][0];
        assert_eq!((&rule["protocol"], &rule["kind"]), (&json!("all"), &json!("u32")));
        assert_eq!((&action["kind"], &action["mirred_action"]), (&json!("mirred"), &json!("redirect")));
        assert_eq!((&action["direction"], &action["to_dev"]), (&json!("egress"), &json!("ifb0")));
        // One for a single protocol redirects something, not everything.
        apply(socket, &[delete_ingress(pair), add_ingress(pair)]);
        assert!(redirects(socket, pair).expect("a list").is_empty());
        let one =
            ["filter", "add", "dev", "pair0", "parent", "ffff:", "protocol", "ip", "u32", "match", "u32", "0", "0"];
        run("tc", &[&one[..], &["action", "mirred", "egress", "redirect", "dev", "ifb0"]].concat());
        assert!(redirects(socket, pair).expect("a list").is_empty());
        apply(socket, &[delete_link(pair)]);
        assert!(redirects(socket, pair).expect("a list").is_empty());
    });
}
