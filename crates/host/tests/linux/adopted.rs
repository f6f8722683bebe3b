//! Namespaces of others.

use pontoon_core::engine::Host;
use pontoon_core::model::NamespaceSource;
use pontoon_core::objects::{Namespace, Objects, Op, Plan};
use pontoon_host::linux::{LinuxConfig, LinuxHost};
use pontoon_testkit::run;

use super::refused;
use super::support::*;

#[test]
fn a_loopback_interface_that_was_down_goes_down_again() {
    on_kernel(|host| {
        run("ip", &["netns", "add", "theirs"]);
        let is_up = || run("ip", &["-n", "theirs", "link", "show", "lo"]).contains("<LOOPBACK,UP");
        let source = NamespaceSource::Adopted("/run/netns/theirs".to_owned());
        let mut namespace = Objects::new();
        namespace.set(Namespace { sandbox: id(2), source });
        host.apply(&add(&namespace)).unwrap();
        assert!(is_up());
        // The process dies, and the next one takes the step again before it gives the namespace back.
        drop(host);
        let host = LinuxHost::open(LinuxConfig::new(RUN)).unwrap();
        assert_observed(&host, &namespace);
        host.apply(&add(&namespace)).unwrap();
        remove(&host, &namespace);
        assert!(!is_up());
        // A plan that fails after it.
        let missing = Namespace { sandbox: id(3), source: NamespaceSource::Adopted("/run/netns/no".to_owned()) };
        let mut plan = add(&namespace).ops().to_vec();
        plan.push(Op::Add(missing.into()));
        assert!(host.apply(&Plan::of(plan)).is_err());
        assert!(!is_up());
        assert_observed(&host, &Objects::new());
    });
}

#[test]
fn adopted_namespaces_are_left_as_they_were() {
    on_kernel(|host| {
        run("ip", &["netns", "add", "theirs"]);
        run("ip", &["-n", "theirs", "link", "set", "lo", "up"]);
        host.apply(&add(&network())).unwrap();
        let mut container = container(2);
        let source = NamespaceSource::Adopted("/run/netns/theirs".to_owned());
        container.set(Namespace { sandbox: id(2), source });
        let before = run("ip", &["-n", "theirs", "-json", "address", "show"]);
        host.apply(&add(&container)).unwrap();
        assert_observed(&host, &both(&network(), &container));
        // The same interface name again, at once: the old pair is deleted first.
        let (revertible, finals) = Plan::between(&container, &Objects::new()).split();
        host.apply(&revertible).unwrap();
        host.apply(&finals).unwrap();
        host.apply(&add(&container)).unwrap();
        remove(&host, &container);
        assert_eq!(run("ip", &["-n", "theirs", "-json", "address", "show"]), before);

        let missing = Namespace { sandbox: id(3), source: NamespaceSource::Adopted("/run/netns/no".to_owned()) };
        refused(&host, &Plan::of(vec![Op::Add(missing.into())]), |cause| {
            assert_eq!(cause.to_string(), "network namespace /run/netns/no does not exist");
        });
        let own = Namespace { sandbox: id(4), source: NamespaceSource::Host };
        let mut objects = Objects::new();
        objects.set(own);
        host.apply(&add(&objects)).unwrap();
        assert_observed(&host, &both(&network(), &objects));
        remove(&host, &objects);
    });
}
