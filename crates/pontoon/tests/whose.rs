//! What another state directory left on the host is not to be touched.

use std::num::NonZeroUsize;

use pontoon::{Config, Controller, EndpointSpec, Error, Kind, NamespaceSource, NetworkSpec, SandboxSpec};
use pontoon_netlink::netns::{Namespace, Visitor};
use pontoon_testkit::{isolated, run};

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
        // The refused one has touched nothing.
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
        let controller = Controller::open(config()).unwrap();
        assert_eq!(controller.diagnose().unwrap(), []);
        assert!(controller.sandbox_of("box").is_ok());
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
