//! What another state directory left on the host is not to be touched.

use pontoon::{Config, Controller, Error, Kind, NetworkSpec};
use pontoon_testkit::isolated;

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
