//! What another state directory left on the host is not to be touched.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use pontoon::{Config, Controller, EndpointSpec, Error, Kind, NamespaceSource, NetworkSpec, Pending, SandboxSpec};
use pontoon_core::engine::Occupants;
use pontoon_netlink::netns::{Namespace, Visitor};
use pontoon_testkit::{TestEnvironment, isolated, run};

#[test]
fn a_new_state_directory_does_not_take_what_an_older_one_made() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let config = |root: &str| Config::new(dir.path().join(root)).run_dir(dir.path().join("run"));
        let first = Controller::open(config("first")).unwrap();
        first.create_network(NetworkSpec::new("one")).unwrap();
        drop(first.stop().unwrap());
        let refused = Controller::open(config("second")).map(|_| ()).unwrap_err();
        assert!(matches!(refused, Error::OtherState { .. }), "{refused}");
        assert_eq!(refused.kind(), Kind::Conflict);
        assert!(refused.to_string().contains("with another state directory, such as "), "{refused}");
        // Who only looks may do so, and is told when it compares.
        let looking = Controller::open(config("second").read_only()).unwrap();
        assert!(looking.networks().is_empty());
        assert!(matches!(looking.diagnose(), Err(Error::OtherState { .. })));
        drop(looking);
        // The refused one has touched nothing, and left nothing to put right.
        assert_eq!(Controller::open(config("first").read_only()).unwrap().pending().unwrap(), Pending::default());
        let first = Controller::open(config("first")).unwrap();
        assert_eq!(first.diagnose().unwrap(), []);
        drop(first.stop().unwrap());
        let second = Controller::open(config("second").take_over()).unwrap();
        assert!(!second.restored().repaired.done.is_empty());
        assert_eq!(second.diagnose().unwrap(), []);
    });
}

/// A command inside a sandbox sees the same files, and another network: it must not take the sandboxes for gone.
#[test]
fn a_state_is_not_opened_from_another_network_namespace() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let config = || Config::new(dir.path().join("state")).run_dir(dir.path().join("run"));
        let controller = Controller::open(config()).unwrap();
        let network = controller.create_network(NetworkSpec::new("one")).unwrap();
        let sandbox = controller.create_sandbox(SandboxSpec::new("box")).unwrap();
        sandbox.connect(&network, EndpointSpec::new("box")).unwrap();
        let inside = Namespace::open(sandbox.key()).unwrap();
        drop(controller.stop().unwrap());
        let visitor = Visitor::new(NonZeroUsize::MIN).unwrap();
        let elsewhere = config();
        let refused = visitor.visit(&inside, move || Controller::open(elsewhere).map(|_| ())).unwrap();
        assert!(matches!(refused, Err(Error::OtherNamespace)), "{refused:?}");
        assert_eq!(Controller::open(config().read_only()).unwrap().pending().unwrap(), Pending::default());
        let controller = Controller::open(config()).unwrap();
        assert_eq!(controller.diagnose().unwrap(), []);
        assert!(controller.sandbox_of("box").is_ok());
    });
}

/// With another run directory every sandbox would be looked for where it is not.
#[test]
fn a_state_keeps_its_run_directory_for_the_time_of_a_boot() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let environment = TestEnvironment::new(1);
        let open = |config: Config| Controller::builder(config).environment(Arc::new(environment.clone())).open();
        let state = || Config::new(dir.path().join("state"));
        let controller = open(state().run_dir(dir.path().join("run"))).unwrap();
        controller.create_sandbox(SandboxSpec::new("box")).unwrap();
        drop(controller.stop().unwrap());
        for config in [state().run_dir(dir.path().join("other")), state()] {
            for config in [config.clone(), config.clone().passing(), config.read_only()] {
                let refused = open(config).map(|_| ()).unwrap_err();
                let Error::OtherRunDir { kept, given } = &refused else { panic!("{refused}") };
                assert_eq!(kept, dir.path().join("run").to_str().unwrap());
                assert!(given.ends_with("/other") || given == "/run/pontoon", "{given}");
                assert_eq!(refused.kind(), Kind::Conflict);
            }
        }
        assert!(!dir.path().join("other").exists() && !Path::new("/run/pontoon").exists());
        // It can be written in several ways, and a link is the directory where it leads.
        std::os::unix::fs::symlink(dir.path().join("run"), dir.path().join("link")).unwrap();
        for written in ["./run//", "run/../run", "link", "link/../run"] {
            let controller = open(state().run_dir(dir.path().join(written)).read_only()).unwrap();
            assert_eq!(controller.pending().unwrap(), Pending::default());
            assert!(controller.sandbox_of("box").unwrap().key().starts_with(dir.path().join("run")));
            drop(controller.stop().unwrap());
        }
        // What was there ended with its boot.
        environment.reboot();
        let controller = open(state().run_dir(dir.path().join("other"))).unwrap();
        assert_eq!(controller.restored().stale, ["box"]);
        drop(controller.stop().unwrap());
        assert!(matches!(open(state().run_dir(dir.path().join("run"))), Err(Error::OtherRunDir { .. })));
    });
}

/// In another mount namespace every sandbox would be looked for where it is not mounted.
#[test]
fn sandboxes_stay_in_their_mount_namespace_while_somebody_is_there() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let environment = TestEnvironment::new(1);
        let config = || Config::new(dir.path().join("state")).run_dir(dir.path().join("run"));
        let open = |config: Config| Controller::builder(config).environment(Arc::new(environment.clone())).open();
        drop(open(config()).unwrap().stop().unwrap());
        // A state without sandboxes has nothing mounted.
        environment.mount_elsewhere(Occupants::Unknown);
        let controller = open(config().passing()).unwrap();
        controller.create_sandbox(SandboxSpec::new("box")).unwrap();
        drop(controller.stop().unwrap());
        drop(open(config()).unwrap().stop().unwrap());
        for (occupants, said) in [
            (Occupants::Process(4711), "that of process 4711: run the command there (`nsenter -t 4711 -m COMMAND`)"),
            (Occupants::Unknown, "it cannot be told from here who uses it: run the command there (in the PID"),
        ] {
            environment.mount_elsewhere(occupants);
            for config in [config(), config().passing(), config().read_only()] {
                let refused = open(config).map(|_| ()).unwrap_err();
                assert!(
                    matches!(refused, Error::OtherMounts { .. }) && refused.to_string().contains(said),
                    "{refused}"
                );
                assert_eq!(refused.kind(), Kind::Conflict);
            }
        }
        // What was mounted there is gone with the last one who was there.
        environment.mount_elsewhere(Occupants::Nobody);
        drop(open(config().passing()).unwrap().stop().unwrap());
        environment.reboot();
        environment.mount_elsewhere(Occupants::Unknown);
        assert_eq!(open(config()).unwrap().restored().stale, ["box"]);
    });
}

/// A copy would take what the original makes for its own.
#[test]
fn a_run_directory_belongs_to_one_state_directory() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let open = |root: &str| Controller::open(Config::new(at(root)).run_dir(at("run"))).map(drop);
        let owner = || std::fs::read_to_string(at("run/owner")).unwrap();
        let controller = Controller::open(Config::new(at("state")).run_dir(at("run"))).unwrap();
        controller.create_network(NetworkSpec::new("one")).unwrap();
        drop(controller.stop().unwrap());
        run("cp", &["-a", &at("state"), &at("copy")]);
        let refused = open("copy").unwrap_err();
        let Error::OtherOwner { run_dir, kept, given } = &refused else { panic!("{refused}") };
        assert_eq!((run_dir, kept, given), (&at("run"), &at("state"), &at("copy")));
        assert_eq!(refused.kind(), Kind::Conflict);
        // Under another name it is the same one; its copy is none yet.
        run("mv", &[&at("state"), &at("renamed")]);
        open("renamed").unwrap();
        assert!(owner().ends_with(&format!(" {}\n", at("renamed"))), "{}", owner());
        assert!(matches!(open("copy"), Err(Error::OtherOwner { .. })));
        // One that is removed has left its place.
        run("rm", &["-r", &at("renamed")]);
        open("copy").unwrap();
        assert!(owner().ends_with(&format!(" {}\n", at("copy"))), "{}", owner());
        // Nothing is left of one that was purged, and who takes over asks nobody.
        run("cp", &["-a", &at("copy"), &at("second")]);
        let second = Controller::open(Config::new(at("second")).run_dir(at("run")).take_over()).unwrap();
        second.purge().unwrap();
        drop(second.stop().unwrap());
        open("copy").unwrap();
    });
}

/// The one who adopts a namespace means a container's.
#[test]
fn the_hosts_own_namespace_is_not_adopted() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let controller =
            Controller::open(Config::new(dir.path().join("state")).run_dir(dir.path().join("run"))).unwrap();
        for (path, why) in
            [("/proc/self/ns/net", "the host's own"), ("/proc/self/ns/uts", "is not a network namespace")]
        {
            let spec = SandboxSpec::new("me").namespace(NamespaceSource::Adopted(path.to_owned()));
            let refused = controller.create_sandbox(spec).map(|_| ()).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
            let Error::Apply { source, .. } = refused else { panic!("{refused}") };
            assert!(source.cause.to_string().contains(why), "{}", source.cause);
        }
    });
}

#[test]
fn a_neighbour_that_plays_the_router_is_not_believed() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let controller =
            Controller::open(Config::new(dir.path().join("state")).run_dir(dir.path().join("run"))).unwrap();
        let network = controller.create_network(NetworkSpec::new("one")).unwrap();
        let sandbox = controller.create_sandbox(SandboxSpec::new("box")).unwrap();
        sandbox.connect(&network, EndpointSpec::new("box")).unwrap();
        let key = format!("--net={}", sandbox.key().display());
        let believed = run("nsenter", &[&key, "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra"]);
        assert_eq!(believed.trim(), "0");
    });
}
