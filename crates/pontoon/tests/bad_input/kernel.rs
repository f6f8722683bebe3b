//! What only a kernel and a disk refuse.

use std::fs;
use std::path::Path;
use std::time::Duration;

use expect_test::expect;
use pontoon::{Attach, Config, Controller, EndpointSpec, Error, NamespaceSource, SandboxSpec};
use pontoon_host::store::DiskStore;
use pontoon_testkit::{Feature, isolated, require, run};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::{Case, create, front, furnish, words};

fn open(root: &str) -> Result<Controller, Error> {
    let config = Config::new(root).run_dir("/run/pontoon").deadline(Duration::from_millis(200));
    Controller::open(config)
}

/// Returns what the kernel holds that could have changed.
pub(super) fn kernel() -> String {
    [run("ip", &["address"]), run("ip", &["route"]), run("nft", &["list", "ruleset"]), run("ss", &["-Htuln"])]
        .join("\n")
}

/// Runs a test in namespaces of its own, if the kernel has what a bridge network needs.
pub(super) fn on_kernel(test: impl FnOnce()) {
    isolated(|| {
        if [Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            test();
        }
    });
}

#[test]
fn the_kernel_refuses_and_nothing_is_left() {
    on_kernel(|| {
        run("ip", &["link", "add", "eth7", "type", "bridge"]);
        let _taken = std::net::TcpListener::bind("0.0.0.0:9000").expect("a free port");
        let controller = open("/run/state").expect("opens");
        furnish(&controller);
        controller.settle().expect("settles");
        let publish = |c: &Controller, port: &str| {
            let sandbox = SandboxSpec::new("new").publish(port.parse()?);
            let front = c.network_by_name("front")?.id();
            c.attach(Attach { sandbox, endpoints: vec![(front.into(), EndpointSpec::new("new"))] }).map(drop)
        };
        let named = |name: &str| front("new", "10.2.0.0/24").option("com.docker.network.bridge.name", name);
        let cases: &[Case<'_>] = &[
            ("a port of another program", &|c| publish(c, "9000:80")),
            ("a port of another program, in a range", &|c| publish(c, "8995-9004:80-89")),
            ("an address that is not the host's", &|c| publish(c, "192.0.2.99:81:80")),
            ("a bridge name of another's interface", &|c| create(c, named("eth7"))),
            ("a bridge name that the kernel keeps", &|c| create(c, named("all"))),
            ("a bridge name that the kernel keeps too", &|c| create(c, named("default"))),
            ("a namespace that is none", &|c| {
                let adopted = NamespaceSource::Adopted("/proc/self/status".to_owned());
                c.create_sandbox(SandboxSpec::new("new").namespace(adopted)).map(drop)
            }),
        ];
        let mut told = String::new();
        for (name, case) in cases {
            let before = kernel();
            let error = case(&controller).expect_err(name);
            controller.settle().expect("settles");
            assert_eq!(kernel(), before, "{name}");
            assert_eq!(controller.debts(), [], "{name}");
            told += &format!("{name}: {}\n", words(&error));
        }
        assert_eq!(controller.diagnose().expect("readable"), []);
        expect![[r#"
            a port of another program: Conflict: failed to bind host port 0.0.0.0:9000/tcp: address already in use
            a port of another program, in a range: Conflict: failed to bind host port 0.0.0.0:9000/tcp: address already in use
            an address that is not the host's: Invalid: create sandbox new failed: step 7 (+ hold 192.0.2.99:81/tcp) failed: host address 192.0.2.99 of port 81/tcp is not an address of this host: publish on another
            a bridge name of another's interface: Conflict: interface eth7 exists already and is not Pontoon's: choose another name
            a bridge name that the kernel keeps: Invalid: invalid value "all" for option com.docker.network.bridge.name: invalid interface name "all": the kernel keeps settings of other interfaces under it
            a bridge name that the kernel keeps too: Invalid: invalid value "default" for option com.docker.network.bridge.name: invalid interface name "default": the kernel keeps settings of other interfaces under it
            a namespace that is none: Invalid: create sandbox new failed: step 1 (+ namespace of sandbox <id> adopted from /proc/self/status) failed: /proc/self/status is not a network namespace
        "#]].assert_eq(&told);
    });
}

#[test]
fn without_privileges() {
    on_kernel(|| {
        let before = kernel();
        let error = unprivileged(|| words(&open("/run/state").err().expect("refused")));
        expect!["Forbidden: changing networks (CAP_NET_ADMIN and CAP_SYS_ADMIN) needs privileges: run as root, or as an ordinary user in a user namespace (`pontoon run` does so)"].assert_eq(&error);
        assert_eq!(kernel(), before);
        assert!(!Path::new("/run/pontoon").exists());
        // The store was let go of.
        drop(open("/run/state").expect("opens with privileges"));
    });
}

/// Runs `work` on a thread that has lost root's privileges.
fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none = CapabilitySet::empty();
            set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
                .expect("privileges can be given up");
            work()
        });
        thread.join().expect("it does not panic")
    })
}

#[test]
fn stores_that_cannot_be_used() {
    on_kernel(|| {
        let before = kernel();
        let mut told = String::new();
        let mut tell = |name: &str, error: Option<Error>| told += &format!("{name}: {}\n", words(&error.expect(name)));

        tell("no directory", open("").err());
        fs::write("/run/file", "").expect("writable");
        tell("a file for a directory", open("/run/file").err());
        drop(open("/run/state").expect("opens"));
        fs::set_permissions("/run/state", std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("changed");
        tell("an unreadable directory", unprivileged(|| open("/run/state").err()));
        fs::set_permissions("/run/state", std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("changed");

        let holder = DiskStore::open(Path::new("/run/state"), Duration::ZERO).expect("nobody holds it");
        let held = words(&open("/run/state").err().expect("held"));
        tell_held(&held);
        drop(holder);

        let bytes = fs::read("/run/state/pontoon.redb").expect("the store's file");
        fs::write("/run/state/pontoon.redb", &bytes[..bytes.len() / 3]).expect("writable");
        tell("a half-written store", open("/run/state").err());
        fs::write("/run/state/pontoon.redb", b"not a store at all").expect("writable");
        tell("a file that is no store", open("/run/state").err());
        assert_eq!(fs::read("/run/state/pontoon.redb").expect("there"), b"not a store at all");
        fs::write("/run/state/pontoon.redb", &bytes).expect("writable");
        drop(open("/run/state").expect("opens again"));
        assert_eq!(kernel(), before);
        expect![[r#"
            no directory: Invalid: empty dir: name the directory that keeps the state
            a file for a directory: Internal: the store /run/file failed to create: File exists (os error 17)
            an unreadable directory: Forbidden: the store /run/state/lock failed to lock: Permission denied (os error 13)
            a half-written store: Internal: the store /run/state/pontoon.redb cannot be read: DB corrupted: File truncated below stored layout: file_len=352256, layout_len=1056768; move the file away to start empty, then import an export if there is one
            a file that is no store: Internal: the store /run/state/pontoon.redb cannot be read: I/O error: Not a redb database: magic number mismatch; move the file away to start empty, then import an export if there is one
        "#]].assert_eq(&told);
    });
}

fn tell_held(words: &str) {
    let me = std::process::id().to_string();
    assert!(words.starts_with("Unavailable: the store /run/state") && words.contains(&me), "{words}");
}
