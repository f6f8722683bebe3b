//! Namespaces of others: what is in them already, and what becomes of their paths.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command};

use pontoon::{Controller, EndpointSpec, IfName, Kind, NamespaceSource, Network, NetworkSpec, Sandbox, SandboxSpec};
use pontoon_testkit::{ip_json, run};

use super::{names, on_kernel};

const PATH: &str = "/var/run/netns/theirs";

/// Makes a namespace `theirs` by commands for `ip`, and a sandbox of it.
fn theirs(controller: &Controller, commands: &[&str]) -> Sandbox {
    run("ip", &["netns", "add", "theirs"]);
    for command in commands {
        inside(command);
    }
    adopt(controller, "theirs", PATH).expect("adopts")
}

fn inside(command: &str) -> String {
    run("ip", &[&["-n", "theirs"], &*command.split(' ').collect::<Vec<_>>()].concat())
}

fn adopt(controller: &Controller, name: &str, path: &str) -> Result<Sandbox, pontoon::Error> {
    controller.create_sandbox(SandboxSpec::new(name).namespace(NamespaceSource::Adopted(path.to_owned())))
}

fn network(controller: &Controller, name: &str, subnets: &[&str]) -> Network {
    let spec = NetworkSpec::new(name).ipv6(subnets.iter().any(|subnet| subnet.contains(':')));
    let spec = subnets.iter().fold(spec, |spec, subnet| spec.subnet(subnet.parse().expect("a subnet")));
    controller.create_network(spec).expect("a network")
}

/// Connects, which is refused, and returns in which words, after checking that nothing was left.
fn refused(controller: &Controller, sandbox: &Sandbox, network: &Network, spec: EndpointSpec) -> String {
    // Without what changes by itself: states of interfaces, and whether an address was checked.
    let look = || {
        let theirs = serde_json::from_str(&inside("-j link")).expect("ip prints JSON");
        let links = [names(&theirs).join(" "), names(&ip_json(&["link", "show"])).join(" ")];
        (links, inside("-4 -o addr"), inside("route"), inside("-6 route"))
    };
    let before = look();
    let error = sandbox.connect(network, spec).err().expect("refused");
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    controller.settle().expect("settles");
    assert_eq!(look(), before, "{error}");
    assert_eq!((controller.endpoints().len(), controller.debts().len()), (0, 0), "{error}");
    assert_eq!(controller.diagnose().expect("a diagnosis"), []);
    let text = pontoon::with_causes(&error);
    let (_, cause) = text.rsplit_once("failed: ").unwrap_or(("", &text));
    cause.replace(&sandbox.id().short(), "ID")
}

/// Upstream `TestSetInterfaceIP`, where only namespaces of others can have such routes.
#[test]
fn routes_that_are_there_already_are_in_nobodys_way() {
    on_kernel(|open| {
        let controller = open();
        let v4 = network(&controller, "v4", &["10.1.0.0/24"]);
        let wide = network(&controller, "wide", &["10.2.0.0/16"]);
        let dual = network(&controller, "dual", &["10.3.0.0/24", "fd00:3::/64"]);
        let sandbox = theirs(
            &controller,
            &[
                "link add up0 type bridge",
                "link set up0 up",
                "addr add 10.1.0.200/25 dev up0",
                "route add 10.2.9.0/24 dev up0",
                "route add unreachable fd00::/16",
            ],
        );
        let refused = |network| refused(&controller, &sandbox, network, EndpointSpec::new("web"));
        let words = |address: &str, route: &str| {
            format!(
                "cannot program address {address} in sandbox interface because it conflicts with existing route {route}: \
                 delete that route inside, or connect to another network"
            )
        };
        assert_eq!(refused(&v4), words("10.1.0.2/24", "10.1.0.128/25"));
        assert_eq!(refused(&wide), words("10.2.0.2/16", "10.2.9.0/24"));
        assert_eq!(refused(&dual), words("fd00:3::2/64", "fd00::/16"));
        for command in ["route del 10.2.9.0/24", "-6 route del unreachable fd00::/16"] {
            inside(command);
        }
        // Link-local routes are on every link, and our own are no conflict.
        sandbox.connect(&wide, EndpointSpec::new("web")).expect("connects");
        sandbox.connect(&dual, EndpointSpec::new("web")).expect("connects beside it");
        sandbox.delete().expect("is given back");
        assert!(inside("route").contains("10.1.0.128/25"));
    });
}

#[test]
fn a_default_route_of_theirs_stays() {
    on_kernel(|open| {
        let controller = open();
        let front = network(&controller, "front", &["10.1.0.0/24"]);
        let sandbox = theirs(
            &controller,
            &[
                "link add up0 type bridge",
                "link set up0 up",
                "addr add 192.0.2.2/24 dev up0",
                "route add default dev up0",
            ],
        );
        let text = refused(&controller, &sandbox, &front, EndpointSpec::new("web"));
        assert!(text.contains("route 0.0.0.0/0") && text.contains("exists already and is not Pontoon's"), "{text}");
        // Who does not lead out has no need of one.
        let inner = controller.create_network(NetworkSpec::new("inner").internal(true)).expect("a network");
        sandbox.connect(&inner, EndpointSpec::new("web")).expect("connects");
        assert!(inside("route").contains("default dev up0"));
    });
}

#[test]
fn interfaces_that_are_there_already_keep_their_names() {
    on_kernel(|open| {
        let controller = open();
        let front = network(&controller, "front", &["10.1.0.0/24"]);
        let sandbox = theirs(&controller, &["link add eth0 type bridge", "link add wan type bridge"]);
        let named = |name: &str| EndpointSpec { ifname: IfName::new(name).ok(), ..EndpointSpec::new("web") };
        for spec in [EndpointSpec::new("web"), named("wan")] {
            let name = spec.ifname.as_ref().map_or("eth0", IfName::as_str).to_owned();
            let text = refused(&controller, &sandbox, &front, spec);
            assert_eq!(text, format!("the interface {name} in sandbox ID exists already and is not Pontoon's"));
        }
        sandbox.connect(&front, named("lan")).expect("connects under another name");
    });
}

#[test]
fn the_loopback_interface_is_up_and_afterwards_as_it_was() {
    on_kernel(|open| {
        let controller = open();
        let is_up = || inside("link show lo").contains("LOWER_UP");
        let sandbox = theirs(&controller, &[]);
        assert!(is_up());
        assert_eq!(controller.repair().expect("repairs").done, []);
        sandbox.delete().expect("deletes");
        controller.settle().expect("settles");
        assert!(!is_up());
        inside("link set lo up");
        adopt(&controller, "theirs", PATH).expect("adopts").delete().expect("deletes");
        assert!(is_up(), "it was up");
    });
}

/// A process in a network namespace of its own.
struct Process(Child);

impl Process {
    fn start() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().expect("unshare starts");
        let process = Self(child);
        let own = fs::read_link("/proc/self/ns/net").expect("a namespace");
        while fs::read_link(process.path()).is_ok_and(|theirs| theirs == own) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        process
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; that is all that is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A link in the place of `/proc/PID/ns/net`: it leads to another process, as a pid does that was given again.
#[test]
fn a_path_that_leads_elsewhere_by_now_is_not_followed() {
    on_kernel(|open| {
        let controller = open();
        let (first, second) = (Process::start(), Process::start());
        symlink(first.path(), "/run/pid").expect("a link");
        let front = network(&controller, "front", &["10.1.0.0/24"]);
        let sandbox = adopt(&controller, "theirs", "/run/pid").expect("adopts");
        sandbox.connect(&front, EndpointSpec::new("web")).expect("connects");
        fs::remove_file("/run/pid").expect("it was there");
        symlink(second.path(), "/run/pid").expect("a link");
        // The namespace is held, whatever becomes of its path.
        assert_eq!(controller.repair().expect("repairs").done, []);
        run("umount", &[&sandbox.key().display().to_string()]);
        for _ in 0..2 {
            let repaired = controller.repair().expect("repairs");
            let told: Vec<String> = repaired.failed.iter().map(|(_, error)| error.to_string()).collect();
            let lost =
                "the network namespace that was adopted from /run/pid, which is another one by now, does not exist";
            assert!(told.iter().any(|text| text == lost), "{told:?}");
        }
        let links = run("nsenter", &[&format!("--net={}", second.path()), "ip", "-o", "link"]);
        assert_eq!(links.lines().count(), 1, "{links}");
        drop(controller);
        let controller = open();
        let sandbox = controller.sandbox_of("theirs").expect("is there");
        assert!(
            !sandbox.key().metadata().is_ok_and(|kept| kept.len() > 0) && !controller.diagnose().unwrap().is_empty()
        );
        // It is the same one again.
        fs::remove_file("/run/pid").expect("it was there");
        symlink(first.path(), "/run/pid").expect("a link");
        assert_eq!(controller.repair().expect("repairs").failed, []);
        assert_eq!(controller.diagnose().expect("a diagnosis"), []);
        sandbox.delete().expect("deletes");
        controller.settle().expect("settles");
    });
}

#[test]
fn a_path_that_vanishes_takes_nothing_along() {
    on_kernel(|open| {
        let controller = open();
        let front = network(&controller, "front", &["10.1.0.0/24"]);
        let sandbox = theirs(&controller, &[]);
        run("ip", &["netns", "delete", "theirs"]);
        sandbox.connect(&front, EndpointSpec::new("web")).expect("the namespace is held");
        let gateway = sandbox.endpoints()[0].info().expect("an endpoint").gateway4.expect("a gateway").to_string();
        run("nsenter", &[&format!("--net={}", sandbox.key().display()), "ping", "-c1", "-W5", &gateway]);
        assert_eq!(controller.diagnose().expect("a diagnosis"), []);
        sandbox.delete().expect("deletes");
        let again = adopt(&controller, "theirs", PATH).err().expect("refused");
        assert!(pontoon::with_causes(&again).ends_with(&format!("network namespace {PATH} does not exist")), "{again}");
        assert!(controller.sandboxes().is_empty());
    });
}

/// Makes a sandbox that waits for its namespace, with a connection.
fn waiting(controller: &Controller) -> Sandbox {
    let front = network(controller, "front", &["10.1.0.0/24"]);
    let spec = SandboxSpec::new("web").namespace(NamespaceSource::Later);
    let sandbox = controller.create_sandbox(spec).expect("a sandbox");
    sandbox.connect(&front, EndpointSpec::new("web")).expect("connects");
    sandbox
}

#[test]
fn what_fails_while_a_key_is_set_up_is_the_answer() {
    on_kernel(|open| {
        let controller = open();
        let sandbox = waiting(&controller);
        run("ip", &["netns", "add", "theirs"]);
        inside("link add eth0 type bridge");
        let error = sandbox.set_key(PATH).expect_err("there is an eth0");
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        assert!(pontoon::with_causes(&error).contains("the interface eth0"), "{error}");
        assert_eq!(sandbox.info().expect("a record").spec.namespace, NamespaceSource::Later);
        controller.settle().expect("settles");
        assert_eq!((controller.debts(), controller.diagnose().expect("a diagnosis")), (vec![], vec![]));
        inside("link delete eth0");
        sandbox.set_key(PATH).expect("takes the key");
        assert!(inside("-o link").contains(" eth0@"));
    });
}

#[test]
fn a_sandbox_that_is_gone_takes_no_key() {
    on_kernel(|open| {
        let controller = open();
        let sandbox = waiting(&controller);
        run("ip", &["netns", "add", "theirs"]);
        sandbox.delete().expect("deletes");
        assert_eq!(sandbox.set_key(PATH).expect_err("it is gone").kind(), Kind::NotFound);
        assert_eq!(inside("-o link").lines().count(), 1);
    });
}

#[test]
fn the_socket_for_keys_is_its_owners_alone() {
    on_kernel(|open| {
        let controller = open();
        let server = controller.serve_keys("/run/pontoon/keys/keys.sock").expect("serves");
        let mode = |path: &str| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!((mode("/run/pontoon/keys"), mode("/run/pontoon/keys/keys.sock")), (0o700, 0o600));
        drop(server);
    });
}
