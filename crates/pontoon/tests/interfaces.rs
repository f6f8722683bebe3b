//! What every interface of a sandbox has, seen on a kernel: IPv6 only where it belongs, settings, link-local addresses,
//! counters, and what neighbours hear of it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use pontoon::{
    Attach, Config, Controller, EndpointSpec, Error, Kind, NamespaceSource, Network, NetworkSpec, Sandbox, SandboxSpec,
    label,
};
use pontoon_testkit::{Capture, Feature, isolated, require, run, times};

/// Tells this program to be the process that answers and announces: for which run directory.
const HELPER: &str = "PONTOON_HELPER";
const RUN: &str = "/run/pontoon";

fn on_kernel(test: impl FnOnce(&Controller)) {
    on_kernel_with(|config| config, test);
}

/// Runs a test with a controller that `prepare` sets up.
fn on_kernel_with(prepare: impl FnOnce(Config) -> Config, test: impl FnOnce(&Controller)) {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        run("ip", &["link", "set", "lo", "up"]);
        let config = prepare(Config::new("/run/state").run_dir(RUN));
        test(&Controller::open(config).expect("the kernel lets us"));
    });
}

fn dual_stack(name: &str) -> NetworkSpec {
    NetworkSpec::new(name).ipv6(true).subnet("10.7.0.0/24".parse().unwrap()).subnet("fd00:7::/64".parse().unwrap())
}

fn attach(controller: &Controller, sandbox: SandboxSpec, joins: &[(&Network, EndpointSpec)]) -> Result<Sandbox, Error> {
    let endpoints = joins.iter().map(|(network, spec)| ((*network).into(), spec.clone())).collect();
    controller.attach(Attach { sandbox, endpoints })
}

fn attached(controller: &Controller, name: &str, network: &Network, spec: EndpointSpec) -> Sandbox {
    let spec = EndpointSpec { name: name.to_owned(), ..spec };
    attach(controller, SandboxSpec::new(name), &[(network, spec)]).expect("attaches")
}

fn inside(sandbox: &Sandbox, command: &[&str]) -> String {
    let namespace = format!("--net={}", sandbox.key().display());
    run("nsenter", &[&[namespace.as_str()], command].concat()).trim().to_owned()
}

fn setting(sandbox: &Sandbox, name: &str) -> String {
    inside(sandbox, &["cat", &format!("/proc/sys/{}", name.replace('.', "/"))])
}

fn ipv6_off(sandbox: &Sandbox, link: &str) -> String {
    setting(sandbox, &format!("net.ipv6.conf.{link}.disable_ipv6"))
}

#[test]
fn ipv6_is_on_only_where_an_endpoint_has_it() {
    on_kernel(|controller| {
        let dual = controller.create_network(dual_stack("dual")).unwrap();
        let plain = controller.create_network(NetworkSpec::new("plain")).unwrap();
        let joins = [(&dual, EndpointSpec::new("a")), (&plain, EndpointSpec::new("b"))];
        let sandbox = attach(controller, SandboxSpec::new("box"), &joins).unwrap();
        assert_eq!((ipv6_off(&sandbox, "lo").as_str(), ipv6_off(&sandbox, "default").as_str()), ("0", "1"));
        assert_eq!((ipv6_off(&sandbox, "eth0").as_str(), ipv6_off(&sandbox, "eth1").as_str()), ("0", "1"));
        assert_eq!(inside(&sandbox, &["ip", "-6", "-oneline", "address", "show", "dev", "eth1"]), "");
        assert_eq!(controller.repair().unwrap().done, []);
        inside(&sandbox, &["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6"]);
        controller.repair().unwrap();
        assert_eq!(ipv6_off(&sandbox, "eth0"), "0", "drift is put right");
        assert!(inside(&sandbox, &["ip", "-6", "route", "show", "default"]).contains("fd00:7::1"));
    });
}

#[test]
fn an_adopted_namespace_says_it_for_each_interface() {
    on_kernel(|controller| {
        run("ip", &["netns", "add", "theirs"]);
        let plain = controller.create_network(NetworkSpec::new("plain")).unwrap();
        let spec = SandboxSpec::new("box").namespace(NamespaceSource::Adopted("/var/run/netns/theirs".to_owned()));
        let sandbox = attach(controller, spec, &[(&plain, EndpointSpec::new("a"))]).unwrap();
        assert_eq!((ipv6_off(&sandbox, "default").as_str(), ipv6_off(&sandbox, "eth0").as_str()), ("0", "1"));
        assert_eq!(controller.repair().unwrap().done, []);
    });
}

#[test]
fn settings_of_an_interface_are_written_before_it_is_up() {
    on_kernel(|controller| {
        let network = controller.create_network(dual_stack("dual")).unwrap();
        let spec = EndpointSpec::new("box")
            .sysctl("net.ipv4.conf.IFNAME.log_martians=1")
            .sysctl("net.ipv6.conf.ifname.accept_dad=0");
        let sandbox = attached(controller, "box", &network, spec);
        assert_eq!(setting(&sandbox, "net.ipv4.conf.eth0.log_martians"), "1");
        assert_eq!(setting(&sandbox, "net.ipv6.conf.eth0.accept_dad"), "0");
        assert_eq!(controller.repair().unwrap().done, []);
    });
}

#[test]
fn an_endpoint_that_switches_ipv6_off_has_no_ipv6_address() {
    on_kernel(|controller| {
        let network = controller.create_network(dual_stack("dual")).unwrap();
        let spec =
            EndpointSpec::new("box").sysctl("net.ipv6.conf.IFNAME.disable_ipv6=1").publish("8080:80".parse().unwrap());
        let sandbox = attached(controller, "box", &network, spec);
        let info = sandbox.endpoints()[0].info().unwrap();
        assert_eq!(info.addresses, ["10.7.0.2/24".parse().unwrap()]);
        assert!(info.gateway6.is_none());
        assert!(info.ports.iter().all(|port| port.container_ip.is_ipv4()), "{:?}", info.ports);
        assert_eq!(ipv6_off(&sandbox, "eth0"), "1");
        let other = attached(controller, "other", &network, EndpointSpec::default());
        assert_eq!(other.endpoints()[0].info().unwrap().addresses[1], "fd00:7::2/64".parse().unwrap());
    });
}

/// Lets nobody write settings, as where this process is in a container itself.
fn make_settings_read_only() {
    run("mount", &["--bind", "/proc/sys", "/proc/sys"]);
    run("mount", &["-o", "remount,bind,ro", "/proc/sys"]);
}

#[test]
fn ipv6_that_cannot_be_switched_on_is_done_without() {
    on_kernel(|controller| {
        let network = controller.create_network(dual_stack("dual")).unwrap();
        let spec = SandboxSpec::new("box").publish("8080:80".parse().unwrap());
        let sandbox = controller.create_sandbox(spec).unwrap();
        make_settings_read_only();
        let endpoint = sandbox.connect(&network, EndpointSpec::new("box")).unwrap();
        let info = endpoint.info().unwrap();
        assert_eq!(info.addresses, ["10.7.0.2/24".parse().unwrap()]);
        assert!(info.gateway6.is_none() && info.ports.iter().all(|port| port.container_ip.is_ipv4()), "{info:?}");
        assert_eq!(ipv6_off(&sandbox, "eth0"), "1");
        assert_eq!(inside(&sandbox, &["ip", "-6", "-oneline", "address", "show", "dev", "eth0"]), "");
        inside(&sandbox, &["ping", "-c", "1", "-W", "2", "10.7.0.1"]);
        assert_eq!(controller.repair().unwrap().done, []);
        // A namespace of one's own begins with IPv6, and that cannot be switched off.
        let Err(refused) = controller.create_sandbox(SandboxSpec::new("other")) else { panic!("it was made") };
        let told = pontoon::with_causes(&refused);
        assert!(told.contains("/proc/sys is read-only"), "{told}");
        assert_eq!((controller.sandboxes().len(), controller.repair().unwrap().done), (1, Vec::new()));
    });
}

#[test]
fn settings_that_are_right_are_not_written() {
    on_kernel(|controller| {
        run("ip", &["netns", "add", "theirs"]);
        let dual = controller.create_network(dual_stack("dual")).unwrap();
        let plain = controller.create_network(NetworkSpec::new("plain")).unwrap();
        make_settings_read_only();
        let spec = SandboxSpec::new("box").namespace(NamespaceSource::Adopted("/var/run/netns/theirs".to_owned()));
        let sandbox = attach(controller, spec, &[(&dual, EndpointSpec::new("a"))]).unwrap();
        assert_eq!(ipv6_off(&sandbox, "eth0"), "0");
        let addresses = sandbox.endpoints()[0].info().unwrap().addresses.clone();
        assert_eq!(addresses[1], "fd00:7::2/64".parse().unwrap());
        // An interface with IPv6 and no address of it would listen to its neighbours.
        let Err(refused) = sandbox.connect(&plain, EndpointSpec::new("b")) else { panic!("it was connected") };
        let told = pontoon::with_causes(&refused);
        assert!(told.contains("failed to disable IPv6 on container's interface eth1"), "{told}");
        assert_eq!((sandbox.endpoints().len(), controller.repair().unwrap().done), (1, Vec::new()));
    });
}

#[test]
fn settings_that_the_kernel_refuses_leave_nothing() {
    on_kernel(|controller| {
        let network = controller.create_network(NetworkSpec::new("plain")).unwrap();
        for (text, said) in [
            ("net.ipv4.conf.IFNAME.colour=1", "/proc/sys/net/ipv4/conf/eth0/colour is not a sysctl file"),
            ("net.ipv4.conf.IFNAME.rp_filter=many", "unable to write to '/proc/sys/net/ipv4/conf/eth0/rp_filter'"),
            ("net.ipv4.conf.IFNAME.rp_filter", "to have format name=value"),
            ("net.ipv4.tcp_rmem=1", "to have format net.X.Y.IFNAME.Z"),
        ] {
            let joins = [(&network, EndpointSpec::new("box").sysctl(text))];
            let Err(error) = attach(controller, SandboxSpec::new("box"), &joins) else { panic!("{text} was taken") };
            let told = pontoon::with_causes(&error);
            assert!(told.contains(said), "{told}");
            assert_eq!(error.kind(), Kind::Invalid, "{told}");
        }
        assert!(controller.sandboxes().is_empty() && controller.endpoints().is_empty());
        assert_eq!(controller.repair().unwrap().done, []);
    });
}

#[test]
fn link_local_addresses_come_beside_the_others() {
    on_kernel(|controller| {
        let network = controller.create_network(dual_stack("dual")).unwrap();
        let spec =
            EndpointSpec::new("a").link_local("169.254.7.7".parse().unwrap()).link_local("fe80::7:7".parse().unwrap());
        let sandbox = attached(controller, "a", &network, spec.clone());
        let shown = inside(&sandbox, &["ip", "-oneline", "address", "show", "dev", "eth0"]);
        for address in ["169.254.7.7/16", "fe80::7:7/64", "10.7.0.2/24", "fd00:7::2/64"] {
            assert!(shown.contains(address), "{address} is missing: {shown}");
        }
        assert_eq!(controller.repair().unwrap().done, []);
        let taken = network.create_endpoint(EndpointSpec { name: "b".to_owned(), ..spec });
        let Err(taken) = taken else { panic!("one address for two") };
        assert_eq!(taken.kind(), Kind::Conflict);
        assert!(taken.to_string().contains("169.254.7.7 is already used by endpoint a"), "{taken}");
        for (address, said) in [("10.7.0.9", "not in 169.254.0.0/16 or fe80::/10"), ("169.254.0.0", "the whole link")] {
            let spec = EndpointSpec::new("c").link_local(address.parse().unwrap());
            let Err(refused) = network.create_endpoint(spec) else { panic!("{address} was taken") };
            assert_eq!((refused.kind(), refused.to_string().contains(said)), (Kind::Invalid, true), "{refused}");
        }
    });
}

#[test]
fn interfaces_count_what_they_pass() {
    on_kernel(|controller| {
        let network = controller.create_network(dual_stack("dual")).unwrap();
        let sandbox = attached(controller, "box", &network, EndpointSpec::default());
        let before = sandbox.statistics().unwrap();
        assert_eq!((before.len(), before[0].ifname.as_str(), before[0].network.as_str()), (1, "eth0", "dual"));
        inside(&sandbox, &["ping", "-c", "3", "-i", "0.01", "-s", "1000", "10.7.0.1"]);
        let after = sandbox.statistics().unwrap()[0].counters;
        let before = before[0].counters;
        assert!(after.tx_packets >= before.tx_packets + 3 && after.rx_packets >= before.rx_packets + 3, "{after:?}");
        assert!(after.tx_bytes >= before.tx_bytes + 3000 && after.rx_bytes >= before.rx_bytes + 3000, "{after:?}");
        assert_eq!((after.rx_errors, after.tx_errors), (0, 0));
        let empty = controller.create_sandbox(SandboxSpec::new("empty")).unwrap();
        assert_eq!(empty.statistics().unwrap(), []);
    });
}

/// Hands over when a neighbour hears of a new sandbox's IPv4 address and of its IPv6 address.
fn announced(options: &[(&str, &str)], wait: Duration, check: impl FnOnce(Vec<f64>, Vec<f64>, &[String])) {
    on_kernel(|controller| {
        let spec = options.iter().fold(dual_stack("dual"), |spec, (key, value)| spec.option(*key, *value));
        let network = controller.create_network(spec).unwrap();
        let neighbour = attached(controller, "neighbour", &network, EndpointSpec::default());
        let ears = Capture::open(neighbour.key(), "eth0", "arp or icmp6");
        let spec = EndpointSpec::default().mac("02:00:00:00:07:07".parse().unwrap());
        attached(controller, "box", &network, spec);
        sleep(wait);
        let packets = ears.close();
        let arp = ["02:00:00:00:07:07 > ff:ff:ff:ff:ff:ff", "who-has 10.7.0.3", "tell 10.7.0.3"];
        let na = [
            "02:00:00:00:07:07 > 33:33:00:00:00:01",
            "hlim 255",
            "fd00:7::3 > ff02::1",
            "neighbor advertisement",
            "tgt is fd00:7::3, Flags [override]",
            "destination link-address option (2), length 8 (1): 02:00:00:00:07:07",
        ];
        check(times(&packets, &arp), times(&packets, &na), &packets);
    });
}

#[test]
fn addresses_are_announced_as_often_as_the_options_say() {
    let options = [(label::ADVERTISE_COUNT, "3"), (label::ADVERTISE_INTERVAL, "200")];
    announced(&options, Duration::from_millis(900), |arp, na, packets| {
        for times in [arp, na] {
            assert_eq!(times.len(), 3, "{packets:#?}");
            let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps.iter().all(|gap| (0.18..0.4).contains(gap)), "{gaps:?}");
        }
    });
}

#[test]
fn nothing_is_announced_where_the_count_is_zero() {
    announced(&[(label::ADVERTISE_COUNT, "0")], Duration::from_millis(300), |arp, na, packets| {
        assert_eq!((arp.len(), na.len()), (0, 0), "{packets:#?}");
    });
}

/// The process that a controller with names starts; otherwise there is nothing to do.
#[test]
fn helper() {
    if let Some(run_dir) = std::env::var_os(HELPER) {
        pontoon::names::serve(run_dir.as_ref()).expect("the run directory is there");
    }
}

/// The helper announces for everybody, also for those who ask nobody for names.
#[test]
fn a_sandbox_without_a_resolver_is_announced_as_often() {
    let this = std::env::current_exe().expect("the running test has a path");
    let command = ["env".into(), format!("{HELPER}={RUN}").into(), this.into(), "--exact".into(), "helper".into()];
    on_kernel_with(
        |config| config.names(command),
        |controller| {
            let network =
                controller.create_network(dual_stack("dual").option(label::ADVERTISE_INTERVAL, "200")).unwrap();
            let quiet = |name: &str, spec: EndpointSpec| {
                let spec = [(&network, EndpointSpec { name: name.to_owned(), ..spec })];
                attach(controller, SandboxSpec { resolver: Some(false), ..SandboxSpec::new(name) }, &spec).unwrap()
            };
            let neighbour = quiet("neighbour", EndpointSpec::default());
            let ears = Capture::open(neighbour.key(), "eth0", "arp");
            quiet("box", EndpointSpec::default().mac("02:00:00:00:07:07".parse().unwrap()));
            let heard = || times(&ears.packets(), &["02:00:00:00:07:07 > ff:ff:ff:ff:ff:ff", "tell 10.7.0.3"]).len();
            let began = Instant::now();
            while heard() < 3 {
                assert!(began.elapsed() < Duration::from_secs(10), "{:#?}", ears.packets());
                sleep(Duration::from_millis(20));
            }
            sleep(Duration::from_millis(500));
            assert_eq!(heard(), 3, "{:#?}", ears.packets());
        },
    );
}

#[test]
fn a_neighbour_learns_the_new_mac_of_an_address() {
    on_kernel(|controller| {
        let network = controller.create_network(dual_stack("dual")).unwrap();
        let neighbour = attached(controller, "neighbour", &network, EndpointSpec::default());
        let with = |mac: &str| {
            let spec = EndpointSpec::default().address("10.7.0.9".parse().unwrap());
            spec.address("fd00:7::9".parse().unwrap()).mac(mac.parse().unwrap())
        };
        let first = attached(controller, "first", &network, with("02:00:00:00:09:01"));
        for address in ["10.7.0.9", "fd00:7::9"] {
            inside(&neighbour, &["ping", "-c", "1", "-W", "2", address]);
        }
        let known = |mac: &str| {
            let shown = inside(&neighbour, &["ip", "neighbour", "show", "dev", "eth0"]);
            ["10.7.0.9 ", "fd00:7::9 "]
                .iter()
                .all(|address| shown.lines().any(|line| line.starts_with(address) && line.contains(mac)))
        };
        assert!(known("02:00:00:00:09:01"));
        first.delete().unwrap();
        let began = Instant::now();
        attached(controller, "second", &network, with("02:00:00:00:09:02"));
        while !known("02:00:00:00:09:02") {
            assert!(began.elapsed() < Duration::from_millis(500), "the neighbour remembers the old one");
            sleep(Duration::from_millis(10));
        }
    });
}
