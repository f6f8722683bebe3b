//! Rows of `docs/behaviour.md` that only a kernel proves, read back with `ip` and from `/proc`.

#[path = "on_linux/adopted.rs"]
mod adopted;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pontoon::{
    Attach, Config, Controller, Endpoint, EndpointSpec, NamespaceSource, NetworkSpec, NetworkTarget, Sandbox,
    SandboxSpec,
};
use pontoon_testkit::{Feature, ip_json, isolated, require, run};
use serde_json::Value;

/// Runs a test in namespaces of its own, if the kernel has what a bridge network needs.
fn on_kernel(test: impl FnOnce(&dyn Fn() -> Controller)) {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        test(&|| Controller::open(Config::new("/run/state").run_dir("/run/pontoon")).expect("opens"));
    });
}

fn inside(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let namespace = format!("--net={}", sandbox.key().display());
    let text = run("nsenter", &[&[&namespace, "ip", "-json", "-details"], arguments].concat());
    if text.trim().is_empty() { Value::Array(Vec::new()) } else { serde_json::from_str(&text).expect("ip prints JSON") }
}

fn joined(controller: &Controller, network: &str, sandbox: &Sandbox) -> Endpoint {
    let network = controller.create_network(NetworkSpec::new(network).ipv6(true)).expect("a network");
    let endpoint = network.create_endpoint(EndpointSpec::new("web")).expect("an endpoint");
    endpoint.join(sandbox).expect("joins");
    endpoint
}

/// Returns names of the interfaces that an `ip -json` answer lists, without `lo`.
fn names(links: &Value) -> Vec<&str> {
    let names = links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
    names.filter(|name| *name != "lo").collect()
}

#[test]
fn a_joined_endpoint_is_up_with_addresses_and_routes() {
    on_kernel(|open| {
        let controller = open();
        let sandbox = controller.create_sandbox(SandboxSpec::new("web")).expect("a sandbox");
        let info = joined(&controller, "front", &sandbox).info().expect("an endpoint");
        joined(&controller, "back", &sandbox);
        let links = inside(&sandbox, &["address", "show"]);
        assert_eq!(names(&links), ["eth0", "eth1"]);
        let eth0 = links.as_array().expect("links").iter().find(|link| link["ifname"] == "eth0").expect("eth0");
        assert!(eth0["flags"].to_string().contains("LOWER_UP"), "{eth0}");
        assert_eq!(eth0["address"], info.mac.to_string());
        for address in &info.addresses {
            let found = eth0["addr_info"].as_array().expect("addresses").iter().find(|found| {
                found["local"] == address.addr().to_string() && found["prefixlen"] == address.prefix_len()
            });
            let found = found.unwrap_or_else(|| panic!("{address} is missing: {eth0}"));
            // Nobody else can have it: the address is usable at once.
            assert!(found["tentative"].is_null(), "{found}");
            assert!(address.addr().is_ipv4() || found["nodad"] == true, "{found}");
        }
        for (family, gateway) in [("-4", info.gateway4), ("-6", info.gateway6)] {
            let routes = inside(&sandbox, &[family, "route", "show", "default"]);
            let routes = routes.as_array().expect("routes").clone();
            assert_eq!(routes.len(), 1, "{routes:?}");
            assert!(gateway.is_some());
        }
    });
}

#[test]
fn a_sandbox_goes_with_its_file_and_its_interfaces() {
    on_kernel(|open| {
        let controller = open();
        let before = names(&ip_json(&["link", "show"])).join(" ");
        let sandbox = controller.create_sandbox(SandboxSpec::new("web")).expect("a sandbox");
        let key = sandbox.key().clone();
        assert!(key.exists());
        let endpoint = joined(&controller, "front", &sandbox);
        endpoint.leave(&sandbox).expect("leaves");
        controller.settle().expect("settles");
        assert!(names(&inside(&sandbox, &["link", "show"])).is_empty());
        // The suffix is used again.
        endpoint.join(&sandbox).expect("joins again");
        assert_eq!(names(&inside(&sandbox, &["link", "show"])), ["eth0"]);
        sandbox.delete().expect("deleted");
        controller.network_by_name("front").expect("a network").delete().expect("deleted");
        controller.settle().expect("settles");
        assert!(!key.exists());
        assert_eq!(names(&ip_json(&["link", "show"])).join(" "), before);
    });
}

/// Upstream's base directory has the same mode, and the same twelve characters name a sandbox there.
#[test]
fn a_new_namespace_is_kept_by_the_beginning_of_its_id_and_has_its_loopback_up() {
    on_kernel(|open| {
        let controller = open();
        let sandbox = controller.create_sandbox(SandboxSpec::new("web")).expect("a sandbox");
        let id = sandbox.id().to_string();
        assert_eq!(sandbox.key(), &Path::new("/run/pontoon/netns").join(&id[..12]));
        let mode = std::fs::metadata("/run/pontoon/netns").expect("a directory").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        let netns = format!("--net={}", sandbox.key().display());
        for own in ["127.0.0.1", "::1"] {
            run("nsenter", &[&netns, "ping", "-c1", "-W5", own]);
        }
        let mine = run("readlink", &["/proc/self/ns/net"]);
        assert_ne!(run("nsenter", &[&netns, "readlink", "/proc/self/ns/net"]), mine);
        // The host's own is kept the same way.
        let host = SandboxSpec::new("host").namespace(NamespaceSource::Host);
        let host = controller.create_sandbox(host).expect("a sandbox");
        let netns = format!("--net={}", host.key().display());
        assert_eq!(run("nsenter", &[&netns, "readlink", "/proc/self/ns/net"]), mine);
    });
}

/// The kernel gives such an interface no IPv6, and no settings of it.
#[test]
fn an_interface_too_small_for_ipv6_joins_without_it() {
    on_kernel(|open| {
        let controller = open();
        let small = NetworkSpec::new("small").option("com.docker.network.driver.mtu", "1279");
        let network = controller.create_network(small).expect("a network");
        run("ip", &["netns", "add", "theirs"]);
        let theirs = NamespaceSource::Adopted("/var/run/netns/theirs".to_owned());
        for source in [NamespaceSource::New, theirs] {
            let spec = SandboxSpec::new(format!("{source:?}").chars().take(3).collect::<String>()).namespace(source);
            let sandbox = controller.create_sandbox(spec).expect("a sandbox");
            sandbox.connect(&network, EndpointSpec::new(sandbox.id().short())).expect("connects");
            let netns = format!("--net={}", sandbox.key().display());
            run("nsenter", &[&netns, "test", "!", "-e", "/proc/sys/net/ipv6/conf/eth0"]);
            let gateway = sandbox.endpoints()[0].info().expect("an endpoint").gateway4.expect("a gateway").to_string();
            run("nsenter", &[&netns, "ping", "-c1", "-W5", &gateway]);
        }
        assert!(controller.diagnose().expect("a diagnosis").is_empty());
    });
}

/// Upstream `TestGatewayErrorOnNetDisconnect` disconnects all the same, and leaves the sandbox without a way out.
#[test]
fn a_gateway_that_cannot_take_over_is_named_until_it_is_repaired() {
    on_kernel(|open| {
        let controller = open();
        let sandbox = controller.create_sandbox(SandboxSpec::new("web")).expect("a sandbox");
        let first = joined(&controller, "a", &sandbox);
        joined(&controller, "b", &sandbox);
        let netns = format!("--net={}", sandbox.key().display());
        run("nsenter", &[&netns, "ip", "link", "set", "eth1", "down"]);
        let routes = || inside(&sandbox, &["route", "show"]);
        let before = routes();
        let error = first.leave(&sandbox).expect_err("nothing leads out of eth1");
        assert!(pontoon::with_causes(&error).contains("on eth1"), "{error}");
        assert_eq!(routes(), before);
        controller.repair().expect("repairs");
        first.leave(&sandbox).expect("leaves");
        assert_eq!(inside(&sandbox, &["route", "show", "default"])[0]["dev"], "eth1");
        // Whatever is broken, a sandbox goes.
        run("nsenter", &[&netns, "ip", "link", "set", "eth1", "down"]);
        sandbox.delete().expect("deletes");
    });
}

#[test]
fn a_helper_that_cannot_be_started_is_no_reason_to_fail() {
    isolated(|| {
        let config = Config::new("/run/state").run_dir("/run/pontoon").names(["/run/nothing".into()]);
        let controller = Controller::open(config).expect("opens");
        let network = NetworkTarget::create_if_missing(NetworkSpec::new("front"));
        let endpoints = vec![(network, EndpointSpec::new("web"))];
        let sandbox = controller.attach(Attach { sandbox: SandboxSpec::new("web"), endpoints }).expect("attaches");
        assert!(run("nsenter", &[&format!("--net={}", sandbox.key().display()), "ip", "link"]).contains("eth0"));
        sandbox.delete().expect("deletes");
    });
}

#[test]
fn a_restart_keeps_what_is_configured() {
    on_kernel(|open| {
        let controller = open();
        let sandbox = controller.create_sandbox(SandboxSpec::new("web")).expect("a sandbox");
        joined(&controller, "front", &sandbox);
        let settled = |sandbox: &Sandbox| (inside(sandbox, &["address", "show"]), inside(sandbox, &["route", "show"]));
        let before = settled(&sandbox);
        drop(controller);
        let controller = open();
        assert!(controller.restored().repaired.done.is_empty(), "{:?}", controller.restored());
        let sandbox = controller.sandbox_of("web").expect("it is still there");
        assert_eq!(settled(&sandbox), before);
    });
}

#[test]
fn forwarding_is_read_back_from_the_kernel() {
    on_kernel(|open| {
        let read = |name: &str| run("cat", &[&format!("/proc/sys/net/{name}")]).trim().to_owned();
        // A machine that forwards hands that on to new namespaces.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("the namespace is ours");
        let controller = open();
        let inner = controller.create_network(NetworkSpec::new("inner").internal(true)).expect("a network");
        assert_eq!(read("ipv4/ip_forward"), "0");
        let front = controller.create_network(NetworkSpec::new("front").ipv6(true)).expect("a network");
        assert_eq!(read("ipv4/ip_forward"), "1");
        assert_eq!(read("ipv6/conf/all/forwarding"), "1");
        inner.delete().expect("deleted");
        front.delete().expect("deleted");
        assert_eq!(read("ipv4/ip_forward"), "1");
    });
}

#[test]
fn a_namespace_that_is_none_is_refused() {
    on_kernel(|open| {
        let controller = open();
        for path in ["/run/nowhere", "/proc/self/status"] {
            let adopted = SandboxSpec::new("web").namespace(NamespaceSource::Adopted(path.to_owned()));
            assert!(controller.create_sandbox(adopted).is_err(), "{path}");
        }
        assert!(controller.sandboxes().is_empty());
        assert!(!Path::new("/run/nowhere").exists());
    });
}

/// The attempt that was undone leaves its interface and namespace to the kernel for a moment; the next one uses the same names.
#[test]
fn a_port_that_is_taken_is_chosen_again_with_everything_made_anew() {
    on_kernel(|open| {
        let controller = open();
        let _taken: Vec<_> =
            (32_768..32_772).map(|port| std::net::TcpListener::bind(("0.0.0.0", port)).expect("it is free")).collect();
        for _ in 0..10 {
            let network = NetworkTarget::create_if_missing(NetworkSpec::new("front"));
            let sandbox = SandboxSpec::new("web").publish("80".parse().expect("a port"));
            let endpoints = vec![(network, EndpointSpec::new("web"))];
            let sandbox = controller.attach(Attach { sandbox, endpoints }).expect("attaches");
            let info = sandbox.endpoints()[0].info().expect("an endpoint");
            let gateway = info.gateway4.expect("a gateway").to_string();
            // Longer than what was undone is watched.
            std::thread::sleep(std::time::Duration::from_millis(100));
            run("nsenter", &[&format!("--net={}", sandbox.key().display()), "ping", "-c1", "-W5", &gateway]);
            assert!(controller.diagnose().expect("a diagnosis").is_empty());
            sandbox.delete().expect("deletes");
            controller.find_network("front").expect("a network").delete().expect("deletes");
        }
    });
}
