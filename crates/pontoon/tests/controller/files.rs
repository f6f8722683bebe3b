//! Files of sandboxes: what stands in them as endpoints come and go, and what the container changes in them.

use pontoon::files::resolv_conf::{MAX_LINE, Overrides};
use pontoon::objects::FileName;
use pontoon::{EndpointSpec, HostProfile, Kind, NamespaceSource, NetworkSpec, Sandbox, SandboxSpec};

use crate::fixture::{Lab, refused};

const STANDARD: &str = "\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

fn hosts(lab: &Lab, sandbox: &Sandbox) -> String {
    lab.host.file(sandbox.id(), FileName::Hosts).expect("it has a hosts file")
}

/// Returns the lines that are not in every hosts file.
fn own(lab: &Lab, sandbox: &Sandbox) -> Vec<String> {
    hosts(lab, sandbox).strip_prefix(STANDARD).expect("it begins as all do").lines().map(str::to_owned).collect()
}

fn resolv_conf(lab: &Lab, sandbox: &Sandbox) -> String {
    lab.host.file(sandbox.id(), FileName::ResolvConf).expect("it has a resolv.conf")
}

/// Returns what a resolv.conf says, without comments.
fn directives(lab: &Lab, sandbox: &Sandbox) -> String {
    let text = resolv_conf(lab, sandbox);
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join("; ")
}

/// Upstream `TestHostsEntries`.
#[test]
fn a_hosts_file_has_a_line_for_each_address() {
    let lab = Lab::new();
    let spec = SandboxSpec::new("c1").hostname("web").domainname("example.org");
    let sandbox = lab.controller.create_sandbox(spec).unwrap();
    assert_eq!(hosts(&lab, &sandbox), STANDARD);
    lab.joined(&lab.dual("front"), EndpointSpec::new("web"), &sandbox);
    assert_eq!(own(&lab, &sandbox), ["172.17.0.2\tweb.example.org web", "fd00:1::2\tweb.example.org web"]);
    // Without a host name the container's name serves.
    let plain = lab.sandbox("plain");
    lab.joined(&lab.network(NetworkSpec::new("back")), EndpointSpec::new("p"), &plain);
    assert_eq!(own(&lab, &plain), ["172.18.0.2\tplain"]);
}

/// Upstream `TestEtcHostsDisconnect`.
#[test]
fn a_line_goes_with_its_endpoint() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    lab.joined(&lab.network(NetworkSpec::new("a")), EndpointSpec::new("web"), &sandbox);
    let back = lab.joined(&lab.network(NetworkSpec::new("b")), EndpointSpec::new("web"), &sandbox);
    assert_eq!(own(&lab, &sandbox), ["172.17.0.2\tweb", "172.18.0.2\tweb"]);
    back.leave(&sandbox).unwrap();
    assert_eq!(own(&lab, &sandbox), ["172.17.0.2\tweb"]);
    back.join(&sandbox).unwrap();
    assert_eq!(own(&lab, &sandbox), ["172.17.0.2\tweb", "172.18.0.2\tweb"]);
}

/// Upstream `TestEtcHostsIpv6`.
#[test]
fn a_host_without_ipv6_has_no_such_lines() {
    let lab = Lab::new();
    lab.host.set_profile(HostProfile { ipv6: false, ..HostProfile::default() });
    let extra = ["db:192.0.2.7", "db:2001:db8::7"].map(|host| host.parse().unwrap());
    let spec = SandboxSpec { extra_hosts: extra.into(), ..SandboxSpec::new("web") };
    let sandbox = lab.controller.create_sandbox(spec).unwrap();
    lab.joined(&lab.network(NetworkSpec::new("a")), EndpointSpec::new("web"), &sandbox);
    assert_eq!(hosts(&lab, &sandbox), "127.0.0.1\tlocalhost\n192.0.2.7\tdb\n172.17.0.2\tweb\n");
}

#[test]
fn extra_hosts_come_first_and_may_be_the_host() {
    let lab = Lab::new();
    let spec = |name: &str| {
        let extra = ["db:[2001:db8::7]", "outside.internal:host-gateway", "db:192.0.2.7"];
        SandboxSpec { extra_hosts: extra.map(|host| host.parse().unwrap()).into(), ..SandboxSpec::new(name) }
    };
    let sandbox = lab.controller.create_sandbox(spec("web")).unwrap();
    assert_eq!(own(&lab, &sandbox), ["2001:db8::7\tdb", "192.0.2.7\tdb"]);
    let endpoint = lab.joined(&lab.dual("front"), EndpointSpec::new("web"), &sandbox);
    let outside = ["172.17.0.1\toutside.internal", "fd00:1::1\toutside.internal"];
    let expected = ["2001:db8::7\tdb", outside[0], outside[1], "192.0.2.7\tdb", "172.17.0.2\tweb", "fd00:1::2\tweb"];
    assert_eq!(own(&lab, &sandbox), expected);
    endpoint.leave(&sandbox).unwrap();
    assert_eq!(own(&lab, &sandbox), ["2001:db8::7\tdb", "192.0.2.7\tdb"]);
    let shared = lab.controller.create_sandbox(spec("shared").namespace(NamespaceSource::Host)).unwrap();
    let itself = ["127.0.0.1\toutside.internal", "::1\toutside.internal"];
    assert_eq!(own(&lab, &shared), ["2001:db8::7\tdb", itself[0], itself[1], "192.0.2.7\tdb"]);
}

#[test]
fn edits_of_a_hosts_file_survive_joins_and_leaves() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let front = lab.joined(&lab.network(NetworkSpec::new("a")), EndpointSpec::new("web"), &sandbox);
    let edited =
        hosts(&lab, &sandbox).replace("127.0.0.1\tlocalhost", "127.0.0.1\tlocalhost mine") + "10.9.9.9\tother\n";
    lab.host.edit_file(sandbox.id(), FileName::Hosts, &edited);
    assert_eq!(lab.controller.diagnose().unwrap(), [], "edits are no difference");
    let back = lab.joined(&lab.network(NetworkSpec::new("b")), EndpointSpec::new("web"), &sandbox);
    assert_eq!(hosts(&lab, &sandbox), format!("{edited}172.18.0.2\tweb\n"));
    front.leave(&sandbox).unwrap();
    back.leave(&sandbox).unwrap();
    assert_eq!(hosts(&lab, &sandbox), edited.replace("172.17.0.2\tweb\n", ""));
}

/// One that asks for a resolver: nobody answers for names here, so it does not get one by itself.
fn with_resolver(name: &str) -> SandboxSpec {
    SandboxSpec { resolver: Some(true), ..SandboxSpec::new(name) }
}

/// Upstream `TestResolvConf`.
#[test]
fn a_resolv_conf_follows_the_networks_until_it_is_edited() {
    let lab = Lab::new();
    lab.host.set_resolv_conf("nameserver 127.0.0.1\nnameserver 192.0.2.53\nsearch example.org\noptions ndots:3\n");
    let plain = lab.sandbox("plain");
    assert_eq!(directives(&lab, &plain), "nameserver 192.0.2.53; search example.org; options ndots:3");
    let sandbox = lab.controller.create_sandbox(with_resolver("web")).unwrap();
    let endpoint = lab.joined(&lab.network(NetworkSpec::new("a")), EndpointSpec::new("web"), &sandbox);
    assert_eq!(directives(&lab, &sandbox), "nameserver 127.0.0.11; search example.org; options ndots:3");
    assert!(resolv_conf(&lab, &sandbox).contains("# ExtServers: [host(127.0.0.1) host(192.0.2.53)]\n"));
    lab.host.edit_file(sandbox.id(), FileName::ResolvConf, "nameserver 10.9.9.9\n");
    endpoint.leave(&sandbox).unwrap();
    assert_eq!(resolv_conf(&lab, &sandbox), "nameserver 10.9.9.9\n");
    assert_eq!(lab.controller.diagnose().unwrap(), [], "edits are no difference");
    assert!(lab.controller.repair().unwrap().done.is_empty());
    assert_eq!(resolv_conf(&lab, &sandbox), "nameserver 10.9.9.9\n");
}

/// Upstream `TestDNSOptions`.
#[test]
fn overrides_stand_in_for_the_hosts() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("a"));
    let joined = |name: &str, options: &[&str]| {
        let dns = Overrides {
            name_servers: vec!["203.0.113.1".parse().unwrap()],
            search: vec!["a.example".to_owned(), "b.example".to_owned()],
            options: options.iter().map(|&option| option.to_owned()).collect(),
        };
        let sandbox = lab.controller.create_sandbox(with_resolver(name).dns(dns)).unwrap();
        lab.joined(&network, EndpointSpec::new(name), &sandbox);
        directives(&lab, &sandbox)
    };
    assert_eq!(joined("one", &[]), "nameserver 127.0.0.11; search a.example b.example; options ndots:0");
    assert!(joined("two", &["ndots:5"]).ends_with("options ndots:5"));
    assert!(joined("three", &["ndots:-1", "timeout:3"]).ends_with("options timeout:3 ndots:0"));
}

#[test]
fn a_sandbox_without_a_resolver_asks_by_itself() {
    let lab = Lab::new();
    lab.host.set_resolv_conf("nameserver 127.0.0.53\nnameserver 2001:db8::53\n");
    let network = lab.network(NetworkSpec::new("a"));
    let spec = SandboxSpec { resolver: Some(false), ..SandboxSpec::new("web") };
    let sandbox = lab.controller.create_sandbox(spec).unwrap();
    lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    assert_eq!(directives(&lab, &sandbox), "nameserver 8.8.8.8; nameserver 8.8.4.4");
    assert!(resolv_conf(&lab, &sandbox).contains("# Used default nameservers.\n"));
}

#[test]
fn in_the_hosts_namespace_the_hosts_files_are_copied() {
    let lab = Lab::new();
    lab.host.set_resolv_conf("nameserver 127.0.0.53\n");
    lab.host.set_hosts("127.0.0.1\tlocalhost\n192.0.2.1\tmachine\n");
    let sandbox = lab.controller.create_sandbox(SandboxSpec::new("web").namespace(NamespaceSource::Host)).unwrap();
    assert_eq!(hosts(&lab, &sandbox), "127.0.0.1\tlocalhost\n192.0.2.1\tmachine\n");
    assert_eq!(directives(&lab, &sandbox), "nameserver 127.0.0.53");
    sandbox.delete().unwrap();
    assert_eq!(lab.host.file(sandbox.id(), FileName::Hosts), None);
}

#[test]
fn a_running_container_keeps_what_the_host_said_at_first() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("a"));
    let sandbox = lab.controller.create_sandbox(with_resolver("web")).unwrap();
    lab.host.set_resolv_conf("nameserver 198.51.100.53\n");
    let lab = lab.restarted();
    assert!(lab.controller.restored().repaired.done.is_empty(), "{:?}", lab.controller.restored());
    let network = lab.controller.network_by_id(&network.id().to_string()).unwrap();
    let sandbox = lab.controller.sandbox_by_id(&sandbox.id().to_string()).unwrap();
    lab.joined(&network, EndpointSpec::new("web"), &sandbox);
    assert!(resolv_conf(&lab, &sandbox).contains("# ExtServers: [host(192.0.2.53)]\n"));
    assert_eq!(directives(&lab, &lab.sandbox("next")), "nameserver 198.51.100.53");
}

#[test]
fn a_file_that_is_gone_is_made_again() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    for name in FileName::ALL {
        let before = lab.host.file(sandbox.id(), name);
        lab.host.delete_file(sandbox.id(), name);
        let told: Vec<String> = lab.controller.diagnose().unwrap().iter().map(|one| one.step.to_string()).collect();
        let line = format!("+ file {name} of sandbox {}", sandbox.id().short());
        assert!(told.len() == 1 && told[0].starts_with(&line), "{told:?}");
        assert_eq!(lab.controller.repair().unwrap().done.len(), 1);
        assert_eq!(lab.host.file(sandbox.id(), name), before);
    }
}

#[test]
fn what_cannot_stand_in_a_file_is_refused() {
    let lab = Lab::new();
    let before = lab.host.snapshot();
    let create = |spec: SandboxSpec| lab.controller.create_sandbox(spec).map(|_| ());
    let text = "invalid hosts entry \"127.0.0.1 we\\nb\": control characters and `#` are not allowed in a host name";
    refused(create(SandboxSpec::new("web").hostname("we\nb")), Kind::Invalid, text);
    let rule = "white space and control characters are not allowed";
    let web = || SandboxSpec::new("web");
    let options = |option: &str| Overrides { options: vec![option.to_owned()], ..Overrides::default() };
    let search = |domain: &str| Overrides { search: vec![domain.to_owned()], ..Overrides::default() };
    for (spec, what) in [
        (SandboxSpec::new("w b").hostname("h"), r#"sandbox name "w b""#),
        (web().hostname("h 1"), r#"host name "h 1""#),
        (web().domainname("example org"), r#"domain name "example org""#),
        (web().dns(options("x\nnameserver 6.6.6.6")), r#"resolver option "x\nnameserver 6.6.6.6""#),
        (web().dns(options("a b")), r#"resolver option "a b""#),
        (web().dns(search("a\nnameserver 6.6.6.6")), r#"search domain "a\nnameserver 6.6.6.6""#),
        (web().dns(search("a\u{2003}b")), r#"search domain "a\u{2003}b""#),
        (web().dns(search("a\u{7}")), r#"search domain "a\u{7}""#),
    ] {
        refused(create(spec), Kind::Invalid, format!("invalid {what}: {rule}"));
    }
    lab.host.set_resolv_conf(&format!("nameserver {}", "1".repeat(MAX_LINE)));
    let text = "failed to parse resolv.conf from /etc/resolv.conf: line too long (exceeds 65536): shorten line 1";
    refused(create(SandboxSpec::new("web")), Kind::Internal, text);
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert!(lab.controller.sandboxes().is_empty());
}

/// Upstream `TestConcurrentWrites`.
#[test]
fn joins_and_leaves_at_once_leave_a_whole_file() {
    let lab = Lab::new();
    let sandbox = lab.sandbox("web");
    let networks: Vec<_> = (0..6).map(|n| lab.network(NetworkSpec::new(format!("n{n}")))).collect();
    std::thread::scope(|scope| {
        for (n, network) in networks.iter().enumerate() {
            let (lab, sandbox) = (&lab, &sandbox);
            scope.spawn(move || {
                let endpoint = lab.joined(network, EndpointSpec::new("web"), sandbox);
                endpoint.leave(sandbox).unwrap();
                if n % 2 == 0 {
                    endpoint.join(sandbox).unwrap();
                }
            });
        }
    });
    assert_eq!(own(&lab, &sandbox), ["172.17.0.2\tweb", "172.19.0.2\tweb", "172.21.0.2\tweb"]);
}

#[test]
fn names_that_no_query_can_carry_are_refused() {
    let lab = Lab::new();
    let network = lab.network(NetworkSpec::new("front"));
    let (label, total) = ("a".repeat(64), ["a".repeat(63).as_str(); 4].join("."));
    let empty = "it has an empty label: one between dots, or before the first";
    for (name, reason) in [
        ("", "it is empty"),
        (".", "it is empty"),
        ("..", empty),
        ("a..b", empty),
        (".a", empty),
        (&label, "it has a label longer than 63 bytes"),
        (&total, "it is longer than 253 bytes"),
        ("a b", "white space and control characters are not allowed"),
        ("a\n", "white space and control characters are not allowed"),
    ] {
        let web = || EndpointSpec::new("web");
        for spec in [web().dns_name(name), web().link(name, "db")] {
            let created = network.create_endpoint(spec).map(|_| ());
            refused(created, Kind::Invalid, format!("invalid DNS name {name:?}: {reason}"));
        }
    }
    // Its own, and whom a link leads to, may be an id of 64 digits; others end with the root.
    let spec = EndpointSpec::new(&label).dns_name(&label).dns_name("www.example.");
    network.create_endpoint(spec.link("db", &label)).unwrap();
}
