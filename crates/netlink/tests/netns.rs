//! Network namespaces on a real kernel.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::channel;

use pontoon_netlink::netns::{Namespace, Visitor, cookie, destroy};
use pontoon_netlink::route::{Kind, NewLink, Peer, link, links};
use pontoon_netlink::{Error, Protocol, Socket};
use pontoon_testkit::{isolated, run};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

fn visitor(threads: usize) -> Visitor {
    Visitor::new(NonZeroUsize::new(threads).expect("not zero")).expect("a visitor")
}

fn here() -> Namespace {
    Namespace::current().expect("this thread has a namespace")
}

#[test]
fn a_kept_namespace_outlives_its_visitor() {
    isolated(|| {
        let path = Path::new("/run/netns/kept");
        let visitor = visitor(1);
        let (namespace, socket) = visitor
            .create(Some(path), |_| {
                fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a sysctl is written");
                Socket::open(Protocol::Route).expect("a socket opens")
            })
            .expect("a namespace");
        let identity = namespace.identity().expect("an identity");
        assert_ne!(identity, here().identity().expect("an identity"));
        drop((visitor, namespace, socket));

        let again = Namespace::open(path).expect("it is kept");
        assert_eq!(again.identity().expect("an identity"), identity);
        let forward = run("ip", &["netns", "exec", "kept", "cat", "/proc/sys/net/ipv4/ip_forward"]);
        assert_eq!(forward.trim(), "1");

        destroy(path).expect("it is removed");
        assert!(!path.exists());
        destroy(path).expect("removing nothing is not an error");
        destroy("/run/netns/never/was").expect("removing nothing is not an error");
        let error = Namespace::open(path).expect_err("it is gone");
        assert_eq!(error.to_string(), "could not open network namespace /run/netns/kept");
        assert_eq!(error.errno(), Some(libc::ENOENT));
    });
}

#[test]
fn an_existing_path_is_left_alone() {
    isolated(|| {
        let visitor = visitor(1);
        let path = Path::new("/run/netns/taken");
        fs::write(path, "text").expect("a file is written");
        let error = visitor.create(Some(path), |_| ()).expect_err("the path is taken");
        assert_eq!(error.errno(), Some(libc::EEXIST));
        assert_eq!(fs::read_to_string(path).expect("it is there"), "text");
        let home = here().identity().expect("an identity");
        let seen = visitor.visit(visitor.home(), || here().identity());
        assert_eq!(seen.expect("visited").expect("an identity"), home);
    });
}

#[test]
fn sockets_stay_and_threads_return() {
    isolated(|| {
        let visitor = visitor(3);
        let home = here().identity().expect("an identity");
        let mut inside = Vec::new();
        for number in 0..10 {
            let (namespace, socket) = visitor.create(None, |_| Socket::open(Protocol::Route)).expect("a namespace");
            let mut socket = socket.expect("a socket opens");
            let name = format!("only{number}");
            let described = NewLink::new(&name, Kind::Veth(Peer::new("peer0")));
            socket.request(&described.create()).expect("a link is made");
            inside.push((namespace, name));
        }
        let mut outside = Socket::open(Protocol::Route).expect("a socket opens");
        assert_eq!(links(&mut outside).expect("a list").len(), 1);
        for (namespace, name) in &inside {
            let name = name.clone();
            let found = visitor.visit(namespace, move || link(&mut Socket::open(Protocol::Route)?, name.as_str()));
            assert!(found.expect("visited").expect("answered").is_some());
        }
        // Every thread of this process is home again.
        for task in fs::read_dir("/proc/self/task").expect("threads") {
            let path = task.expect("a thread").path().join("ns/net");
            let seen = Namespace::open(path).expect("it has a namespace");
            assert_eq!(seen.identity().expect("an identity"), home);
        }
        assert_eq!(here().identity().expect("an identity"), home);
    });
}

#[test]
fn cookies_tell_namespaces_apart() {
    isolated(|| {
        let visitor = visitor(1);
        let ours = cookie().expect("a cookie");
        let (namespace, first) = visitor.create(None, |_| cookie()).expect("a namespace");
        let second = visitor.visit(&namespace, cookie).expect("visited");
        let first = first.expect("a cookie");
        assert_eq!(first, second.expect("a cookie"));
        assert_ne!(first, ours);
        let process = Namespace::of_process(std::process::id()).expect("it runs");
        let seen = visitor.visit(&process, cookie).expect("visited");
        assert_eq!(seen.expect("a cookie"), ours);
    });
}

#[test]
fn panics_are_reported_and_survived() {
    isolated(|| {
        let visitor = visitor(1);
        let path = Path::new("/run/netns/broken");
        let error = visitor.create(Some(path), |_| panic!("it broke")).expect_err("the work panics");
        assert!(matches!(&error, Error::Panicked { message, .. } if message == "it broke"), "{error}");
        assert!(!path.exists());
        let (namespace, ()) = visitor.create(None, |_| ()).expect("a namespace");
        let error = visitor.visit(&namespace, || -> () { panic!("number {}", 2) }).expect_err("the work panics");
        assert!(error.to_string().ends_with("panicked: number 2"), "{error}");
        let home = visitor.visit(visitor.home(), || here().identity());
        assert_eq!(home.expect("visited").ok(), here().identity().ok());
    });
}

#[test]
fn several_visits_run_at_the_same_time() {
    isolated(|| {
        let visitor = visitor(2);
        let (to_first, from_second) = channel();
        let (to_second, from_first) = channel();
        // Each waits for the other, so this ends only if both run.
        let first = visitor.start(visitor.home(), move || {
            to_second.send(1).expect("the other lives");
            from_second.recv().expect("the other answers")
        });
        let second = visitor.start_create(None, move |_| {
            to_first.send(2).expect("the other lives");
            from_first.recv().expect("the other answers")
        });
        assert_eq!(first.expect("started").wait().expect("visited"), 2);
        assert_eq!(second.expect("started").wait().expect("visited").1, 1);

        let visits: Vec<_> =
            (0..100).map(|number| visitor.start(visitor.home(), move || number).expect("started")).collect();
        let results: Result<Vec<_>, _> = visits.into_iter().map(|visit| visit.wait()).collect();
        assert_eq!(results.expect("visited"), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_thread_that_cannot_return_is_replaced() {
    isolated(|| {
        let visitor = visitor(1);
        let (namespace, ours) = visitor.create(None, |_| cookie()).expect("a namespace");
        // Capabilities belong to a thread: without this one, the way back is refused.
        let away = visitor.visit(&namespace, || {
            let mut sets = capabilities(None).expect("capabilities are read");
            sets.effective.remove(CapabilitySet::SYS_ADMIN);
            set_capabilities(None, sets).expect("a capability is dropped");
            cookie()
        });
        assert_eq!(away.expect("visited").ok(), ours.ok());
        for _ in 0..3 {
            let home = visitor.visit(visitor.home(), cookie).expect("another thread visits");
            assert_eq!(home.ok(), cookie().ok());
        }
    });
}
