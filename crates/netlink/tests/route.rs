//! Route netlink on a real kernel, read back with `ip`.

use std::num::NonZeroUsize;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pontoon_netlink::netns::Visitor;
use pontoon_netlink::route::{
    Address, AddressGeneration, Bridge, BridgePort, Family, Ipv4Setting, Kind, Link, LinkChange, NewLink, Peer,
    PortState, Route, RouteFilter, RouteKind, RouteScope, TABLE_MAIN, addresses, delete_group, delete_link, index_of,
    link, links, look, rename_link, routes,
};
use pontoon_netlink::{Error, Protocol, Request, Socket};
use pontoon_testkit::{Feature, ip_json, isolated, require, run};
use serde_json::Value;

const PROTOCOL: u8 = 112;
const GROUP: u32 = 28782;

fn socket() -> Socket {
    Socket::open(Protocol::Route).expect("a socket opens")
}

fn apply(socket: &mut Socket, requests: &[Request]) {
    let answers = socket.batch(requests).expect("the batch is answered");
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, Ok(()), "request {index}");
    }
    assert_eq!(answers.len(), requests.len());
}

fn refused(socket: &mut Socket, request: Request) -> (i32, String) {
    let answers = socket.batch(&[request]).expect("the batch is answered");
    let refusal = answers[0].clone().expect_err("the kernel refuses");
    (refusal.errno, refusal.to_string())
}

fn found(socket: &mut Socket, name: &str) -> Link {
    link(socket, name).expect("the link is described").unwrap_or_else(|| panic!("there is no link {name}"))
}

/// Waits for what the kernel does in the background, such as noticing a carrier.
fn eventually(socket: &mut Socket, name: &str, condition: impl Fn(&Link) -> bool) {
    let patience = Instant::now() + Duration::from_secs(10);
    while !condition(&found(socket, name)) {
        assert!(Instant::now() < patience, "{:?}", found(socket, name));
        sleep(Duration::from_millis(5));
    }
}

fn shown(name: &str) -> Value {
    ip_json(&["link", "show", "dev", name])[0].clone()
}

fn prefix(text: &str) -> ipnet::IpNet {
    text.parse().expect("a prefix")
}

fn bridge(name: &str) -> NewLink {
    NewLink { up: true, ..NewLink::new(name, Kind::Bridge(Bridge::default())) }
}

fn veth(name: &str, peer: &str) -> NewLink {
    NewLink { up: true, ..NewLink::new(name, Kind::Veth(Peer::new(peer))) }
}

#[test]
fn a_bridge_is_made_as_described() {
    isolated(|| {
        let mut socket = socket();
        let described = NewLink {
            mac: Some([2, 0x42, 0, 0, 0, 1]),
            mtu: Some(1400),
            group: Some(GROUP),
            up: true,
            ..NewLink::new(
                "bridge0",
                Kind::Bridge(Bridge {
                    forward_delay: Some(0),
                    spanning_tree: Some(false),
                    vlan_filtering: None,
                    multicast_snooping: Some(false),
                }),
            )
        };
        let settings = LinkChange {
            ipv4: vec![(Ipv4Setting::RouteLocalnet, 1), (Ipv4Setting::ArpIgnore, 2)],
            alias: Some("made by a test".into()),
            ..LinkChange::new("bridge0")
        };
        apply(&mut socket, &[described.create(), settings.set()]);

        let seen = shown("bridge0");
        assert_eq!(seen["address"], "02:42:00:00:00:01");
        assert_eq!(seen["mtu"], 1400);
        assert_eq!(seen["group"], GROUP.to_string());
        assert_eq!(seen["ifalias"], "made by a test");
        assert_eq!(seen["linkinfo"]["info_kind"], "bridge");
        let data = &seen["linkinfo"]["info_data"];
        assert_eq!(data["forward_delay"], 0);
        assert_eq!(data["stp_state"], 0);
        assert_eq!(data["mcast_snooping"], 0);
        let conf = |setting| run("cat", &[&format!("/proc/sys/net/ipv4/conf/bridge0/{setting}")]);
        assert_eq!(conf("route_localnet").trim(), "1");
        assert_eq!(conf("arp_ignore").trim(), "2");

        let ours = found(&mut socket, "bridge0");
        assert_eq!(ours.kind.as_deref(), Some("bridge"));
        assert_eq!(ours.mac, Some([2, 0x42, 0, 0, 0, 1]));
        assert_eq!((ours.mtu, ours.group, ours.up), (1400, GROUP, true));
        assert_eq!(ours.alias.as_deref(), Some("made by a test"));

        if require(Feature::BridgeVlan) {
            let vlans = Bridge { vlan_filtering: Some(true), ..Bridge::default() };
            apply(&mut socket, &[NewLink::new("bridge1", Kind::Bridge(vlans)).create()]);
            assert_eq!(shown("bridge1")["linkinfo"]["info_data"]["vlan_filtering"], 1);
        }

        let off = LinkChange {
            ipv4: vec![(Ipv4Setting::RouteLocalnet, 0)],
            alias: Some(String::new()),
            ..LinkChange::new(ours.index)
        };
        apply(&mut socket, &[off.set()]);
        assert_eq!(conf("route_localnet").trim(), "0");
        assert_eq!(found(&mut socket, "bridge0").alias, None);
    });
}

#[test]
fn one_message_makes_a_veth_across_namespaces() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[bridge("bridge0").create()]);
        let master = found(&mut socket, "bridge0").index;

        let threads = NonZeroUsize::MIN;
        let visitor = Visitor::new(threads).expect("a visitor");
        let (namespace, inside) =
            visitor.create(Some("/run/netns/inside".as_ref()), |_| Socket::open(Protocol::Route)).expect("a namespace");
        let mut inside = inside.expect("a socket inside");
        let described = NewLink {
            index: Some(1000),
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: Some(1450),
            master: Some(master),
            group: Some(GROUP),
            transmit_queue: Some(0),
            ..veth("host0", "")
        };
        let peer = Peer {
            name: "eth0".into(),
            index: Some(2000),
            mac: Some([2, 0, 0, 0, 0, 2]),
            mtu: Some(1450),
            namespace: Some(std::os::fd::AsRawFd::as_raw_fd(&namespace)),
        };
        let described = NewLink { kind: Kind::Veth(peer), ..described };
        apply(&mut socket, &[described.create()]);

        let host = shown("host0");
        assert_eq!(host["ifindex"], 1000);
        assert_eq!(host["address"], "02:00:00:00:00:01");
        assert_eq!(host["mtu"], 1450);
        assert_eq!(host["master"], "bridge0");
        assert_eq!(host["group"], GROUP.to_string());
        // `ip` leaves out a queue of no packets.
        assert_eq!(host["txqlen"], Value::Null);
        let peer = ip_json(&["-n", "inside", "link", "show", "dev", "eth0"])[0].clone();
        assert_eq!(peer["ifindex"], 2000);
        assert_eq!(peer["address"], "02:00:00:00:00:02");
        assert_eq!(peer["mtu"], 1450);
        assert_eq!(peer["operstate"], "DOWN");

        let ours = found(&mut socket, "host0");
        assert_eq!((ours.index, ours.master, ours.peer), (1000, Some(master), Some(2000)));
        assert!(ours.peer_namespace.is_some());
        assert_eq!(ours.kind.as_deref(), Some("veth"));
        assert!(!ours.running);

        // Everything inside is one batch on a socket that was opened inside.
        let gateway = Route { gateway: "10.9.0.1".parse().ok(), protocol: PROTOCOL, ..Route::new(prefix("0.0.0.0/0")) };
        let up = |index| LinkChange { up: Some(true), ..LinkChange::new(index) };
        let address = Address { protocol: PROTOCOL, ..Address::new(2000, prefix("10.9.0.2/16")) };
        apply(&mut inside, &[up(1).set(), up(2000).set(), address.add(), gateway.add()]);
        let default = ip_json(&["-n", "inside", "route", "show", "default"]);
        assert_eq!(default[0]["gateway"], "10.9.0.1");
        assert_eq!(default[0]["protocol"], PROTOCOL.to_string());
        eventually(&mut socket, "host0", |link| link.running);

        // An index in use is refused, not replaced by another.
        let (errno, _) = refused(&mut socket, NewLink { name: "host1".into(), ..described }.create());
        assert!(errno == libc::EBUSY || errno == libc::EEXIST, "errno {errno}");
    });
}

#[test]
fn links_are_found_by_name() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[veth("host0", "peer0").create()]);
        let index = found(&mut socket, "host0").index;
        assert_eq!(index_of(&socket, "host0").expect("looked up"), Some(index));
        assert_eq!(index_of(&socket, "nobody").expect("looked up"), None);
        let answers = socket.batch(&[look(index), look("nobody")]).expect("answered");
        assert_eq!(answers[0], Ok(()));
        assert_eq!(answers[1].as_ref().map_err(|refusal| refusal.errno), Err(libc::ENODEV));
    });
}

#[test]
fn bridge_ports_are_changed() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[bridge("bridge0").create(), veth("host0", "peer0").create()]);
        let master = Some(found(&mut socket, "bridge0").index);
        let index = found(&mut socket, "host0").index;
        let join = LinkChange { master, ..LinkChange::new("host0") };
        let peer = LinkChange { up: Some(true), ..LinkChange::new("peer0") };
        let port = BridgePort { isolated: Some(true), hairpin: Some(true), ..BridgePort::new(index) };
        apply(&mut socket, &[join.set(), peer.set(), port.set()]);
        let seen: Value = serde_json::from_str(&run("bridge", &["-j", "-d", "link", "show"])).expect("JSON");
        assert_eq!(seen[0]["ifname"], "host0");
        assert_eq!((&seen[0]["isolated"], &seen[0]["hairpin"]), (&true.into(), &true.into()));
        let ours = found(&mut socket, "host0").port.expect("a port");
        assert!(ours.isolated && ours.hairpin);
        eventually(&mut socket, "host0", |link| link.port.and_then(|port| port.state) == Some(PortState::Forwarding));

        let disable = BridgePort { isolated: Some(false), state: Some(PortState::Disabled), ..BridgePort::new(index) };
        apply(&mut socket, &[disable.set()]);
        let seen: Value = serde_json::from_str(&run("bridge", &["-j", "-d", "link", "show"])).expect("JSON");
        assert_eq!(seen[0]["state"], "disabled");
        assert_eq!((&seen[0]["isolated"], &seen[0]["hairpin"]), (&false.into(), &true.into()));

        let leave = LinkChange { master: Some(0), up: Some(false), ..LinkChange::new("host0") };
        apply(&mut socket, &[leave.set()]);
        let ours = found(&mut socket, "host0");
        assert_eq!((ours.master, ours.port, ours.up), (None, None, false));
        assert_eq!(shown("host0")["master"], Value::Null);
    });
}

#[test]
fn links_are_changed_renamed_and_deleted() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[veth("host0", "peer0").create()]);
        let index = found(&mut socket, "host0").index;
        let change = LinkChange {
            mac: Some([2, 0, 0, 0, 0, 9]),
            mtu: Some(1300),
            group: Some(5),
            up: Some(false),
            address_generation: Some(AddressGeneration::None),
            ..LinkChange::new(index)
        };
        apply(&mut socket, &[change.set(), rename_link(index, "renamed0")]);
        let seen = shown("renamed0");
        assert_eq!(seen["address"], "02:00:00:00:00:09");
        assert_eq!((&seen["mtu"], &seen["group"]), (&1300.into(), &"5".into()));
        assert_eq!(seen["inet6_addr_gen_mode"], "none");
        assert_eq!(found(&mut socket, "renamed0").peer_namespace, None);
        apply(&mut socket, &[delete_link(index)]);
        assert_eq!(link(&mut socket, "renamed0").expect("answered"), None);
        assert_eq!(link(&mut socket, "peer0").expect("answered"), None);
        assert_eq!(link(&mut socket, index).expect("answered"), None);
        if require(Feature::Dummy) {
            apply(&mut socket, &[NewLink::new("dummy0", Kind::Dummy).create()]);
            assert_eq!(shown("dummy0")["linkinfo"]["info_kind"], "dummy");
        }
    });
}

#[test]
fn a_group_is_deleted_at_once() {
    isolated(|| {
        let mut socket = socket();
        let grouped = |number: u32| NewLink {
            group: Some(if number < 20 { GROUP } else { 0 }),
            ..veth(&format!("host{number}"), &format!("peer{number}"))
        };
        let requests: Vec<_> = (0..22).map(|number| grouped(number).create()).collect();
        apply(&mut socket, &requests);
        assert_eq!(links(&mut socket).expect("a list").len(), 1 + 44);
        apply(&mut socket, &[delete_group(GROUP)]);
        let names: Vec<_> = links(&mut socket).expect("a list").into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["lo", "peer20", "host20", "peer21", "host21"]);
        assert_eq!(refused(&mut socket, delete_group(GROUP)).0, libc::ENODEV);
    });
}

#[test]
fn addresses_come_and_go() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[veth("host0", "peer0").create()]);
        let index = found(&mut socket, "host0").index;
        let four = Address {
            broadcast: "10.1.255.255".parse().ok(),
            protocol: PROTOCOL,
            ..Address::new(index, prefix("10.1.2.3/16"))
        };
        let six = Address {
            protocol: PROTOCOL,
            flags: Address::NO_DUPLICATE_DETECTION,
            ..Address::new(index, prefix("fd00::7/64"))
        };
        apply(&mut socket, &[four.add()]);
        let seen = ip_json(&["addr", "show", "dev", "host0"])[0]["addr_info"].clone();
        assert_eq!(seen[0]["local"], "10.1.2.3");
        assert_eq!(seen[0]["prefixlen"], 16);
        assert_eq!(seen[0]["broadcast"], "10.1.255.255");
        let listed = addresses(&mut socket, Some(index)).expect("a list");
        let ours = listed.iter().find(|a| a.prefix == four.prefix).expect("listed");
        assert_eq!((ours.broadcast, ours.protocol), (four.broadcast, PROTOCOL));
        assert_eq!(addresses(&mut socket, Some(1)).expect("a list").iter().filter(|a| a.link != 1).count(), 0);
        assert_eq!(refused(&mut socket, four.add()).0, libc::EEXIST);
        apply(&mut socket, &[four.replace(), four.delete()]);
        assert_eq!(refused(&mut socket, four.delete()).0, libc::EADDRNOTAVAIL);

        if require(Feature::Ipv6) {
            apply(&mut socket, &[six.add()]);
            let seen = run("ip", &["addr", "show", "dev", "host0"]);
            assert!(seen.contains("inet6 fd00::7/64 scope global nodad"), "{seen}");
            let listed = addresses(&mut socket, Some(index)).expect("a list");
            let ours = listed.iter().find(|a| a.prefix == six.prefix).expect("listed");
            assert_eq!(ours.protocol, PROTOCOL);
            assert_ne!(ours.flags & Address::NO_DUPLICATE_DETECTION, 0);
            apply(&mut socket, &[six.delete()]);
        }
    });
}

#[test]
fn routes_come_and_go() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[veth("host0", "peer0").create()]);
        let index = found(&mut socket, "host0").index;
        let up = LinkChange { up: Some(true), ..LinkChange::new("peer0") };
        apply(&mut socket, &[up.set(), Address::new(index, prefix("10.1.0.2/16")).add()]);
        let plain = |text| Route { protocol: PROTOCOL, ..Route::new(prefix(text)) };
        let default = Route {
            gateway: "10.1.0.1".parse().ok(),
            link: Some(index),
            metric: Some(7),
            preferred_source: "10.1.0.2".parse().ok(),
            ..plain("0.0.0.0/0")
        };
        let connected = Route { link: Some(index), scope: RouteScope::Link, ..plain("10.7.0.0/24") };
        let on_link =
            Route { gateway: "192.0.2.1".parse().ok(), link: Some(index), on_link: true, ..plain("10.8.0.0/24") };
        let elsewhere = Route { link: Some(index), scope: RouteScope::Link, table: 1234, ..plain("10.6.0.0/24") };
        let blackhole = Route { kind: RouteKind::Blackhole, ..plain("10.5.0.0/24") };
        let all = [&default, &connected, &on_link, &elsewhere, &blackhole];
        apply(&mut socket, &all.map(Route::add));

        let seen = ip_json(&["route", "show", "default"])[0].clone();
        assert_eq!(seen["gateway"], "10.1.0.1");
        assert_eq!((&seen["metric"], &seen["prefsrc"]), (&7.into(), &"10.1.0.2".into()));
        assert_eq!(seen["protocol"], "112");
        assert_eq!(ip_json(&["route", "show", "table", "1234"])[0]["dst"], "10.6.0.0/24");
        assert_eq!(ip_json(&["route", "show", "10.8.0.0/24"])[0]["flags"][0], "onlink");

        let filter = RouteFilter { family: Family::V4, table: None, link: None, protocol: Some(PROTOCOL) };
        let listed = routes(&mut socket, &filter).expect("a list");
        for route in all {
            assert!(listed.contains(route), "{route:?} is not in {listed:?}");
        }
        assert_eq!(listed.len(), all.len());
        let main = RouteFilter { table: Some(TABLE_MAIN), link: Some(index), ..filter.clone() };
        assert_eq!(routes(&mut socket, &main).expect("a list").len(), 3);
        let absent = RouteFilter { table: Some(4321), ..filter.clone() };
        assert_eq!(routes(&mut socket, &absent).expect("a list"), []);

        assert_eq!(refused(&mut socket, default.add()).0, libc::EEXIST);
        // What was listed can be deleted as it was.
        apply(&mut socket, &listed.iter().map(Route::delete).collect::<Vec<_>>());
        assert_eq!(routes(&mut socket, &filter).expect("a list"), []);
        assert_eq!(refused(&mut socket, default.delete()).0, libc::ESRCH);

        if require(Feature::Ipv6) {
            let six = Address { flags: Address::NO_DUPLICATE_DETECTION, ..Address::new(index, prefix("fd00::2/64")) };
            let default =
                Route { gateway: "fd00::1".parse().ok(), link: Some(index), metric: Some(1024), ..plain("::/0") };
            let via = Route { gateway: "fd00::1".parse().ok(), link: Some(index), ..plain("10.4.0.0/24") };
            apply(&mut socket, &[six.add(), default.add(), via.add()]);
            let filter = RouteFilter { family: Family::V6, ..filter.clone() };
            assert_eq!(routes(&mut socket, &filter).expect("a list"), [default]);
            assert_eq!(ip_json(&["route", "show", "10.4.0.0/24"])[0]["via"]["host"], "fd00::1");
            let filter = RouteFilter { family: Family::V4, ..filter };
            assert_eq!(routes(&mut socket, &filter).expect("a list"), [via]);
        }
    });
}

#[test]
fn refusals_carry_the_kernels_words() {
    isolated(|| {
        let mut socket = socket();
        apply(&mut socket, &[bridge("bridge0").create()]);
        let index = found(&mut socket, "bridge0").index;
        apply(&mut socket, &[bridge("bridge1").create()]);
        let nested = LinkChange { master: Some(index), ..LinkChange::new("bridge1") };
        let (errno, text) = refused(&mut socket, nested.set());
        assert_eq!(errno, libc::ELOOP);
        assert_eq!(text, "Can not enslave a bridge to a bridge (ELOOP)");
        let unreachable = Route { gateway: "10.250.0.1".parse().ok(), ..Route::new(prefix("0.0.0.0/0")) };
        let (errno, text) = refused(&mut socket, unreachable.add());
        assert_eq!(errno, libc::ENETUNREACH);
        assert_eq!(text, "Nexthop has invalid gateway (ENETUNREACH)");
        let error = addresses(&mut socket, Some(9999)).expect_err("there is no such link");
        assert!(matches!(&error, Error::Refused(refusal) if refusal.errno == libc::ENODEV), "{error}");
        // A refused request leaves nothing behind that the next one could trip over.
        assert_eq!(links(&mut socket).expect("a list").len(), 3);
    });
}

#[test]
fn large_batches_and_lists_are_complete() {
    isolated(|| {
        let mut socket = socket();
        let requests: Vec<_> =
            (0..500).map(|number| bridge(&format!("b{}", number - number % 50 / 49)).create()).collect();
        let answers = socket.batch(&requests).expect("the batch is answered");
        assert_eq!(answers.len(), 500);
        for (number, answer) in answers.iter().enumerate() {
            let errno = answer.as_ref().err().map(|refusal| refusal.errno);
            assert_eq!(errno, (number % 50 == 49).then_some(libc::EEXIST), "request {number}");
        }
        assert_eq!(links(&mut socket).expect("a list").len(), 1 + 490);

        let addresses_of = |count: u32| {
            (0..count).map(|number| {
                let host = std::net::Ipv4Addr::from(0x0a00_0000 + number);
                Address::new(1, ipnet::Ipv4Net::new(host, 32).expect("32 bits").into())
            })
        };
        let requests: Vec<_> = addresses_of(2000).map(|address| address.add()).collect();
        apply(&mut socket, &requests);
        let listed = addresses(&mut socket, Some(1)).expect("a list");
        let ours: Vec<_> = listed.iter().map(|a| a.prefix).collect();
        for address in addresses_of(2000) {
            assert!(ours.contains(&address.prefix), "{} is missing", address.prefix);
        }
    });
}

#[test]
fn a_list_of_two_thousand_links_is_complete() {
    isolated(|| {
        let mut socket = socket();
        let requests: Vec<_> = (0..1000)
            .map(|number| NewLink::new(format!("h{number}"), Kind::Veth(Peer::new(format!("p{number}")))).create())
            .collect();
        apply(&mut socket, &requests);
        let mut names: Vec<_> = links(&mut socket).expect("a list").into_iter().map(|l| l.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 2001);
    });
}

#[test]
fn small_buffers_are_not_overrun() {
    isolated(|| {
        // Without privileges over the host, buffers have the size that the host allows.
        let mut socket = socket();
        let requests: Vec<_> = (0..5000).map(|_| delete_link("absent0")).collect();
        let answers = socket.batch(&requests).expect("the batch is answered");
        for answer in answers {
            assert_eq!(answer.expect_err("there is no such link").errno, libc::ENODEV);
        }
    });
}
