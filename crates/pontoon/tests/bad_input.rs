//! Bad input, and hosts that cannot: one clear error of the right kind that names the value, and nothing changed.

#[path = "bad_input/kernel.rs"]
mod kernel;
#[path = "bad_input/subnets.rs"]
mod subnets;
mod support;

use std::net::IpAddr;

use expect_test::{Expect, expect};
use pontoon::{
    Attach, Config, Controller, DefaultPools, EndpointSpec, Error, HostProfile, IfName, MacAddr, Mtu, NamespaceSource,
    NetworkSpec, PoolConfig, PoolSpec, PortProto, PortSpec, SandboxSpec,
};

use support::World;

type Case<'a> = (&'a str, &'a dyn Fn(&Controller) -> Result<(), Error>);

/// Runs each case on a host with a network `front` that a sandbox `web` is on, and compares what it is told.
fn check(cases: &[Case<'_>], expected: Expect) {
    let world = World::new();
    let controller = world.open();
    furnish(&controller);
    expected.assert_eq(&told(&world, &controller, cases));
}

fn furnish(controller: &Controller) {
    let front = controller.create_network(front("front", "10.1.0.0/24")).expect("a network");
    let web = SandboxSpec::new("web").publish("8080:80".parse().expect("a port"));
    controller
        .attach(Attach { sandbox: web, endpoints: vec![(front.id().into(), EndpointSpec::new("web"))] })
        .expect("attaches");
    controller.create_sandbox(SandboxSpec::new("idle")).expect("a sandbox");
}

/// Returns what each case is told, after checking that it changed nothing.
fn told(world: &World, controller: &Controller, cases: &[Case<'_>]) -> String {
    let mut lines = String::new();
    for (name, case) in cases {
        let before = world.picture();
        let error = case(controller).expect_err(name);
        assert_eq!(world.picture(), before, "{name}");
        lines += &format!("{name}: {}\n", words(&error));
    }
    assert_eq!(controller.diagnose().expect("readable"), []);
    lines
}

/// Returns an error's kind, its words and those of its causes.
fn words(error: &Error) -> String {
    let words = format!("{:?}: {}", error.kind(), pontoon::with_causes(error));
    words.split_inclusive([' ', '"']).map(nameless).collect()
}

/// Replaces what is random: ids and MAC addresses.
fn nameless(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_hexdigit());
    let is_id = [12, 64].contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_hexdigit());
    match (is_id, bare.parse::<MacAddr>()) {
        (true, _) => word.replace(bare, "<id>"),
        (_, Ok(_)) => word.replace(bare, "<mac>"),
        _ => word.to_owned(),
    }
}

fn front(name: &str, subnet: &str) -> NetworkSpec {
    NetworkSpec::new(name).subnet(subnet.parse().expect("a prefix"))
}

fn create(controller: &Controller, spec: NetworkSpec) -> Result<(), Error> {
    controller.create_network(spec).map(drop)
}

fn pool(subnet: &str, change: impl FnOnce(&mut PoolSpec)) -> NetworkSpec {
    let mut spec = front("new", subnet);
    change(&mut spec.ipam.v4[0]);
    spec
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn subnets_and_gateways() {
    check(
        &[
            ("the same subnet", &|c| create(c, front("new", "10.1.0.0/24"))),
            ("a subnet around it", &|c| create(c, front("new", "10.0.0.0/8"))),
            ("a subnet within it", &|c| create(c, front("new", "10.1.0.128/25"))),
            ("host bits", &|c| create(c, front("new", "10.2.0.5/24"))),
            ("a gateway elsewhere", &|c| create(c, pool("10.2.0.0/24", |pool| pool.gateway = Some(ip("10.3.0.1"))))),
            ("a gateway of the other family", &|c| {
                create(c, pool("10.2.0.0/24", |pool| pool.gateway = Some(ip("fd00::1"))))
            }),
            ("a range elsewhere", &|c| {
                create(c, pool("10.2.0.0/24", |pool| pool.range = Some("10.3.0.0/25".parse().unwrap())))
            }),
            ("a range with host bits", &|c| {
                create(c, pool("10.2.0.0/24", |pool| pool.range = Some("10.2.0.5/25".parse().unwrap())))
            }),
            ("an auxiliary address elsewhere", &|c| {
                create(c, pool("10.2.0.0/24", |pool| pool.aux = [("router".to_owned(), ip("10.3.0.9"))].into()))
            }),
            ("an IPv6 subnet that is multicast", &|c| {
                create(c, NetworkSpec::new("new").ipv6(true).subnet("ff02::/64".parse().unwrap()))
            }),
            ("an IPv6 subnet with link-local addresses", &|c| {
                create(c, NetworkSpec::new("new").ipv6(true).subnet("fe80::/10".parse().unwrap()))
            }),
            ("an unknown address manager", &|c| {
                let mut spec = NetworkSpec::new("new");
                spec.ipam.driver = "dhcp".to_owned();
                create(c, spec)
            }),
        ],
        expect![[r#"
            the same subnet: Forbidden: Pool overlaps with other one on this address space: 10.1.0.0/24 overlaps 10.1.0.0/24
            a subnet around it: Forbidden: Pool overlaps with other one on this address space: 10.0.0.0/8 overlaps 10.1.0.0/24
            a subnet within it: Forbidden: Pool overlaps with other one on this address space: 10.1.0.128/25 overlaps 10.1.0.0/24
            host bits: Invalid: invalid subnet: 10.2.0.5/24 has bits set after its prefix length, it should be 10.2.0.0/24
            a gateway elsewhere: Invalid: gateway 10.3.0.1 is not in the subnet 10.2.0.0/24, choose one inside it
            a gateway of the other family: Invalid: gateway fd00::1 is not in the subnet 10.2.0.0/24, choose one inside it
            a range elsewhere: Invalid: invalid address subpool: 10.3.0.0/25 is not inside the subnet 10.2.0.0/24
            a range with host bits: Invalid: invalid range: 10.2.0.5/25 has bits set after its prefix length, it should be 10.2.0.0/25
            an auxiliary address elsewhere: Forbidden: auxiliary address: (router:10.3.0.9) must belong to the master pool: 10.2.0.0/24
            an IPv6 subnet that is multicast: Invalid: 'ff02::/64' is a multicast subnet, which a bridge cannot have
            an IPv6 subnet with link-local addresses: Invalid: 'fe80::/10' clashes with the Link-Local prefix 'fe80::/64'
            an unknown address manager: Invalid: invalid ipam driver: "dhcp"
        "#]],
    );
}

#[test]
fn exhausted_pools() {
    let world = World::new();
    let pools = DefaultPools::new([PoolConfig { base: "10.9.0.0/23".parse().unwrap(), size: 24 }]).expect("pools");
    let controller = Controller::builder(Config::new("unused").default_pools(pools))
        .host(std::sync::Arc::new(world.host.clone()))
        .store(std::sync::Arc::new(world.store.clone()))
        .environment(std::sync::Arc::new(world.environment.clone()))
        .open()
        .expect("opens");
    for name in ["one", "two"] {
        controller.create_network(NetworkSpec::new(name)).expect("there are two");
    }
    let small = controller.create_network(front("small", "10.3.0.0/30")).expect("a network");
    small.create_endpoint(EndpointSpec::new("only")).expect("one address is left");
    let endpoint = |name: &str, address: &str| {
        let small = controller.network_by_name("small")?;
        small.create_endpoint(EndpointSpec::new(name).address(ip(address))).map(drop)
    };
    let cases: &[Case<'_>] = &[
        ("a third network", &|c| create(c, NetworkSpec::new("three"))),
        ("an IPv6 network without a pool", &|c| create(c, NetworkSpec::new("six").ipv4(false).ipv6(true))),
        ("a second container", &|c| c.network_by_name("small")?.create_endpoint(EndpointSpec::new("second")).map(drop)),
        ("its address", &|_| endpoint("second", "10.3.0.2")),
        ("the gateway's address", &|_| endpoint("second", "10.3.0.1")),
        ("the broadcast address", &|_| endpoint("second", "10.3.0.3")),
        ("an address elsewhere", &|_| endpoint("second", "10.4.0.2")),
    ];
    expect![[r#"
        a third network: Exhausted: all predefined address pools have been fully subnetted; add pools to `default-address-pools`, give a subnet, or remove unused networks
        an IPv6 network without a pool: Invalid: invalid address pool: no default pool can give an IPv6 subnet; give a subnet, or add a pool to `default-address-pools`
        a second container: Exhausted: no available addresses on this pool: 10.3.0.0/30
        its address: Forbidden: Address already in use: 10.3.0.2
        the gateway's address: Forbidden: Address already in use: 10.3.0.1
        the broadcast address: Forbidden: Address already in use: 10.3.0.3
        an address elsewhere: Invalid: requested address is out of range: 10.4.0.2 is not in 10.3.0.0/30
    "#]].assert_eq(&told(&world, &controller, cases));
}

#[test]
fn names_and_ids() {
    check(
        &[
            ("a network's name twice", &|c| create(c, front("front", "10.2.0.0/24"))),
            ("a network's id twice", &|c| {
                let id = c.network_by_name("front")?.id();
                create(c, NetworkSpec { id: Some(id), ..front("new", "10.2.0.0/24") })
            }),
            ("a network's name of nothing", &|c| create(c, NetworkSpec::new(" "))),
            ("a network's name with a slash", &|c| create(c, NetworkSpec::new("a/b"))),
            ("a network's name with a line end", &|c| create(c, NetworkSpec::new("a\nb"))),
            ("an unknown driver", &|c| create(c, NetworkSpec::new("new").driver("token-ring"))),
            ("an endpoint's name twice", &|c| {
                c.network_by_name("front")?.create_endpoint(EndpointSpec::new("web")).map(drop)
            }),
            ("an endpoint's name of nothing", &|c| {
                c.network_by_name("front")?.create_endpoint(EndpointSpec::new("")).map(drop)
            }),
            ("a container twice", &|c| c.create_sandbox(SandboxSpec::new("web")).map(drop)),
            ("a container of nothing", &|c| c.create_sandbox(SandboxSpec::new("")).map(drop)),
            ("a network that is not there", &|c| c.find_network("back").map(drop)),
            ("a container that is not there", &|c| c.find_sandbox("db").map(drop)),
            ("a network in use", &|c| c.network_by_name("front")?.delete()),
            ("an endpoint in use", &|c| c.network_by_name("front")?.endpoint_by_name("web")?.delete(false)),
            ("an endpoint of another", &|c| {
                c.network_by_name("front")?.endpoint_by_name("web")?.join(&c.sandbox_of("idle")?)
            }),
            ("a leave from another", &|c| {
                c.network_by_name("front")?.endpoint_by_name("web")?.leave(&c.sandbox_of("idle")?)
            }),
            ("a namespace that is not there", &|c| {
                let adopted = NamespaceSource::Adopted("/run/netns/nowhere".to_owned());
                c.create_sandbox(SandboxSpec::new("new").namespace(adopted)).map(drop)
            }),
            ("one interface name for two", &|c| {
                let attach = |name: &str| EndpointSpec { ifname: IfName::new("net0").ok(), ..EndpointSpec::new(name) };
                let front = c.network_by_name("front")?.id();
                let endpoints = vec![(front.into(), attach("x")), (front.into(), attach("y"))];
                c.attach(Attach { sandbox: SandboxSpec::new("new"), endpoints }).map(drop)
            }),
        ],
        expect![[r#"
            a network's name twice: Conflict: network with name front already exists
            a network's id twice: Conflict: network with name <id> already exists
            a network's name of nothing: Invalid: invalid name: name is empty
            a network's name with a slash: Invalid: invalid name "a/b": control characters and '/' are not allowed
            a network's name with a line end: Invalid: invalid name "a\nb": control characters and '/' are not allowed
            an unknown driver: NotFound: could not find plugin token-ring in v1 plugin registry: plugin not found
            an endpoint's name twice: Forbidden: endpoint with name web already exists in network front
            an endpoint's name of nothing: Invalid: invalid name: name is empty
            a container twice: Forbidden: container web is already present in sandbox <id>
            a container of nothing: Invalid: invalid container ID
            a network that is not there: NotFound: network back not found
            a container that is not there: NotFound: sandbox db not found
            a network in use: Forbidden: network front has active endpoints (name:"web" id:"<id>")
            an endpoint in use: Forbidden: endpoint with name web id <id> has active containers
            an endpoint of another: Forbidden: another container is attached to the same network endpoint
            a leave from another: Forbidden: unexpected sandbox ID in leave request. Expected <id>. Got <id>
            a namespace that is not there: NotFound: create sandbox new failed: step 1 (+ namespace of sandbox <id> adopted from /run/netns/nowhere) failed: namespace /run/netns/nowhere does not exist
            one interface name for two: Conflict: interface name net0 is already used in sandbox new
        "#]],
    );
}

#[test]
fn options() {
    let option = |c: &Controller, key: &str, value: &str| {
        create(c, front("new", "10.2.0.0/24").option(format!("com.docker.network.{key}"), value))
    };
    check(
        &[
            ("unknown", &|c| option(c, "bridge.enable_icq", "true")),
            ("neither true nor false", &|c| option(c, "bridge.enable_icc", "maybe")),
            ("an MTU that is no number", &|c| option(c, "driver.mtu", "big")),
            ("an MTU too small", &|c| option(c, "driver.mtu", "10")),
            ("an MTU too large", &|c| option(c, "driver.mtu", "70000")),
            ("an MTU too small for IPv6", &|c| {
                create(c, NetworkSpec::new("new").ipv6(true).option("com.docker.network.driver.mtu", "1000"))
            }),
            ("a bridge name too long", &|c| option(c, "bridge.name", "a-name-of-17-char")),
            ("a bridge name with a slash", &|c| option(c, "bridge.name", "br/0")),
            ("a bridge name with a space", &|c| option(c, "bridge.name", "br 0")),
            ("a bridge name that is a directory", &|c| option(c, "bridge.name", "..")),
            ("an unknown gateway mode", &|c| option(c, "bridge.gateway_mode_ipv4", "bridge")),
            ("isolated, and leading out", &|c| option(c, "bridge.gateway_mode_ipv6", "isolated")),
            ("inhibited perhaps", &|c| option(c, "bridge.inhibit_ipv4", "perhaps")),
            ("a trusted name with a space", &|c| option(c, "bridge.trusted_host_interfaces", "eth0:eth 1")),
            ("a source address of the other family", &|c| option(c, "host_ipv4", "2001:db8::1")),
            ("a source address that nobody answers", &|c| option(c, "host_ipv6", "::")),
            ("a binding that is no address", &|c| option(c, "bridge.host_binding_ipv4", "localhost")),
            ("a prefix that leaves no room", &|c| option(c, "container_iface_prefix", "interface-of-net")),
            ("no family", &|c| create(c, NetworkSpec::new("new").ipv4(false))),
        ],
        expect![[r#"
            unknown: Invalid: unknown option com.docker.network.bridge.enable_icq for driver bridge: did you mean com.docker.network.bridge.enable_icc?
            neither true nor false: Invalid: invalid value "maybe" for option com.docker.network.bridge.enable_icc: it must be true or false
            an MTU that is no number: Invalid: invalid value "big" for option com.docker.network.driver.mtu: it must be a number of bytes
            an MTU too small: Invalid: invalid value "10" for option com.docker.network.driver.mtu: MTU 10 is out of range [68, 65535]
            an MTU too large: Invalid: invalid value "70000" for option com.docker.network.driver.mtu: MTU 70000 is out of range [68, 65535]
            an MTU too small for IPv6: Invalid: invalid value "1000" for option com.docker.network.driver.mtu: IPv6 needs at least 1280 bytes (RFC 8200 section 5)
            a bridge name too long: Invalid: invalid value "a-name-of-17-char" for option com.docker.network.bridge.name: invalid interface name "a-name-of-17-char": it is longer than 15 bytes
            a bridge name with a slash: Invalid: invalid value "br/0" for option com.docker.network.bridge.name: invalid interface name "br/0": it contains '/' or ':'
            a bridge name with a space: Invalid: invalid value "br 0" for option com.docker.network.bridge.name: invalid interface name "br 0": it contains white space or control characters
            a bridge name that is a directory: Invalid: invalid value ".." for option com.docker.network.bridge.name: invalid interface name "..": it names a directory
            an unknown gateway mode: Invalid: invalid value "bridge" for option com.docker.network.bridge.gateway_mode_ipv4: it must be nat, nat-unprotected, routed or isolated
            isolated, and leading out: Invalid: invalid value "isolated" for option com.docker.network.bridge.gateway_mode_ipv6: it is for internal networks only: make the network internal, or choose another mode
            inhibited perhaps: Invalid: invalid value "perhaps" for option com.docker.network.bridge.inhibit_ipv4: it must be true or false
            a trusted name with a space: Invalid: invalid value "eth0:eth 1" for option com.docker.network.bridge.trusted_host_interfaces: invalid interface name "eth 1": it contains white space or control characters
            a source address of the other family: Invalid: invalid value "2001:db8::1" for option com.docker.network.host_ipv4: invalid IPv4 address syntax
            a source address that nobody answers: Invalid: invalid value "::" for option com.docker.network.host_ipv6: it must be an address of the host that others can answer to
            a binding that is no address: Invalid: invalid value "localhost" for option com.docker.network.bridge.host_binding_ipv4: invalid IP address syntax
            a prefix that leaves no room: Invalid: invalid value "interface-of-net" for option com.docker.network.container_iface_prefix: a number must fit behind it: invalid interface name "interface-of-net999": it is longer than 15 bytes
            no family: Invalid: IPv4 or IPv6 must be enabled
        "#]],
    );
}

#[test]
fn ports_as_text() {
    let words = |text: &str| match text.parse::<PortSpec>() {
        Ok(spec) => format!("{text}: {spec}\n"),
        Err(error) => format!("{text}: {:?}: {error}\n", error.kind()),
    };
    let texts = [
        "0",
        "8080:0",
        "65536",
        "8080:70000",
        "http:80",
        "90-80",
        "8090-8080:80",
        "8080-8082:80-81",
        "80/icmp",
        "",
        "1.2.3:80:80",
        "::1:80:80",
        "80;from=10.0.0.5/24",
        "80;to=10.0.0.0/8",
        "53/udp;proxy-protocol",
    ];
    let told: String = texts.into_iter().map(words).collect();
    expect![[r#"
        0: Invalid: invalid port 0: ports start at 1
        8080:0: Invalid: invalid port 0: ports start at 1
        65536: Invalid: invalid port `65536`: write a number from 1 to 65535, or two joined by `-`
        8080:70000: Invalid: invalid port `70000`: write a number from 1 to 65535, or two joined by `-`
        http:80: Invalid: invalid port `http`: write a number from 1 to 65535, or two joined by `-`
        90-80: Invalid: invalid port range 90-80: it ends before it starts, did you mean 80-90
        8090-8080:80: Invalid: invalid port range 8090-8080: it ends before it starts, did you mean 8080-8090
        8080-8082:80-81: Invalid: host port range 8080-8082 and container port range 80-81 differ in length: 3 and 2 ports
        80/icmp: Invalid: unknown protocol `icmp`: use tcp, udp or sctp
        : Invalid: invalid port ``: write a number from 1 to 65535, or two joined by `-`
        1.2.3:80:80: Invalid: invalid host address `1.2.3`: write an IPv4 address, or an IPv6 address in brackets
        ::1:80:80: Invalid: invalid port specification `::1:80:80`: write [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp][;from=PREFIX][;proxy-protocol]
        80;from=10.0.0.5/24: Invalid: invalid source `10.0.0.5/24` in from=: it has bits set after its prefix length, it should be 10.0.0.0/24
        80;to=10.0.0.0/8: Invalid: unknown port option `to=10.0.0.0/8`: use from=PREFIX or proxy-protocol
        53/udp;proxy-protocol: Invalid: proxy-protocol needs tcp, not udp
    "#]].assert_eq(&told);
}

#[test]
fn small_values() {
    let told = [
        IfName::new("").unwrap_err().to_string(),
        IfName::new("a-name-of-17-char").unwrap_err().to_string(),
        IfName::new("a:b").unwrap_err().to_string(),
        "02:00:00".parse::<MacAddr>().unwrap_err().to_string(),
        "01:00:5e:00:00:01".parse::<MacAddr>().unwrap_err().to_string(),
        "00:00:00:00:00:00".parse::<MacAddr>().unwrap_err().to_string(),
        Mtu::try_from(67).unwrap_err().to_string(),
        "xyz".parse::<pontoon::NetworkId>().unwrap_err().to_string(),
    ];
    expect![[r#"
        invalid interface name "": it is empty
        invalid interface name "a-name-of-17-char": it is longer than 15 bytes
        invalid interface name "a:b": it contains '/' or ':'
        invalid MAC address "02:00:00": it must be six pairs of hexadecimal digits
        invalid MAC address "01:00:5e:00:00:01": it is a multicast address
        invalid MAC address "00:00:00:00:00:00": it is zero
        MTU 67 is out of range [68, 65535]
        invalid id "xyz": it must be 64 hexadecimal digits
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn ports_that_cannot_be_had() {
    let world = World::new();
    world.host.occupy(ip("0.0.0.0"), 9000, PortProto::Tcp);
    let controller = world.open();
    furnish(&controller);
    let publish = |c: &Controller, port: &str| {
        let sandbox = SandboxSpec::new("new").publish(port.parse()?);
        let front = &c.network_by_name("front")?;
        c.attach(Attach { sandbox, endpoints: vec![(front.into(), EndpointSpec::new("new"))] }).map(drop)
    };
    let cases: &[Case<'_>] = &[
        ("of another program", &|c| publish(c, "9000:80")),
        ("of another program, in a range", &|c| publish(c, "8995-9004:80-89")),
        ("of another sandbox", &|c| publish(c, "8080:80")),
        ("of another sandbox, on one address", &|c| publish(c, "127.0.0.1:8080:80")),
        ("twice in one sandbox", &|c| {
            let sandbox = SandboxSpec::new("new").publish("81:80".parse()?).publish("81:90".parse()?);
            let front = c.network_by_name("front")?.id();
            c.attach(Attach { sandbox, endpoints: vec![(front.into(), EndpointSpec::new("new"))] }).map(drop)
        }),
        ("none left of those asked for", &|c| publish(c, "8080-8080:80")),
        ("for some sources only", &|c| publish(c, "81:80;from=10.0.0.0/8")),
        ("with the PROXY protocol", &|c| publish(c, "81:80;proxy-protocol")),
        ("of SCTP", &|c| publish(c, "81:80/sctp")),
    ];
    expect![[r#"
        of another program: Conflict: failed to bind host port 0.0.0.0:9000/tcp: address already in use
        of another program, in a range: Conflict: failed to bind host port 0.0.0.0:9000/tcp: address already in use
        of another sandbox: Conflict: Bind for 0.0.0.0:8080 failed: port is already allocated
        of another sandbox, on one address: Conflict: Bind for 127.0.0.1:8080 failed: port is already allocated
        twice in one sandbox: Conflict: Bind for 0.0.0.0:81 failed: port is already allocated
        none left of those asked for: Conflict: Bind for 0.0.0.0:8080 failed: port is already allocated
        for some sources only: Unsupported: published port 81:80/tcp;from=10.0.0.0/8: a source prefix (from=) cannot be served by the bridge driver yet; leave it out
        with the PROXY protocol: Unsupported: published port 81:80/tcp;proxy-protocol: the PROXY protocol cannot be served by the bridge driver yet; leave it out
        of SCTP: Unsupported: published port 81:80/sctp: SCTP cannot be served by the bridge driver yet; leave it out
    "#]].assert_eq(&told(&world, &controller, cases));
}

#[test]
fn hosts_that_cannot() {
    let told_by = |profile: HostProfile, spec: NetworkSpec| {
        let world = World::new();
        world.host.set_profile(profile);
        let controller = world.open();
        told(&world, &controller, &[("network", &|c| create(c, spec.clone()))])
    };
    let six = NetworkSpec::new("six").ipv6(true);
    let none = HostProfile::default();
    let told = [
        told_by(HostProfile { ipv6: false, ..none.clone() }, six),
        told_by(HostProfile { nf_tables: false, ..none.clone() }, NetworkSpec::new("four")),
    ];
    expect![[r#"
        network: Unsupported: network six asks for IPv6, which this kernel does not have; create it with IPv4 only
        network: Unsupported: driver bridge needs nf_tables, which this kernel does not have
    "#]]
    .assert_eq(&told.concat());
    // What needs neither works.
    let world = World::new();
    world.host.set_profile(HostProfile { ipv6: false, ..none });
    world.open().create_network(NetworkSpec::new("four")).expect("IPv4 is there");
}

#[test]
fn a_bridge_name_of_anothers_interface() {
    let world = World::new();
    world.host.add_foreign_link("eth7");
    let controller = world.open();
    let spec = front("new", "10.2.0.0/24").option("com.docker.network.bridge.name", "eth7");
    let cases: &[Case<'_>] = &[("network", &|c| create(c, spec.clone()))];
    expect![[r#"
        network: Conflict: interface eth7 exists already and is not Pontoon's: choose another name
    "#]]
    .assert_eq(&told(&world, &controller, cases));
}
