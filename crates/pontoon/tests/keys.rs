//! Sandboxes whose namespaces are named later: by a call, and through a socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pontoon::{
    Attach, Config, Controller, EndpointSpec, KeyRequest, Kind, NamespaceSource, NetworkSpec, NetworkTarget, Sandbox,
    SandboxSpec, send_key, with_causes,
};
use pontoon_testkit::{Feature, ip_json, isolated, require, run};

const SOCKET: &str = "/run/pontoon/keys/keys.sock";

fn open() -> Controller {
    Controller::open(Config::new("/run/state").run_dir("/run/pontoon")).expect("opens")
}

fn on_kernel(test: impl FnOnce(Controller)) {
    isolated(|| {
        if [Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            test(open());
        }
    });
}

/// A process in a network namespace of its own, as a runtime makes it.
struct Container(Child);

impl Container {
    fn start() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().expect("unshare starts");
        let container = Self(child);
        let own = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::read_link(container.key()).is_ok_and(|namespace| namespace == own) {
            assert!(Instant::now() < deadline, "unshare made no namespace");
            std::thread::sleep(Duration::from_millis(1));
        }
        container
    }

    fn key(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn run(&self, arguments: &[&str]) -> String {
        run("nsenter", &[&[&format!("--net={}", self.key()) as &str], arguments].concat())
    }

    fn has(&self, link: &str) -> bool {
        self.run(&["ip", "-o", "link"]).contains(&format!(" {link}@"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended; that is all that is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sandbox that waits for its namespace, with an endpoint and a published port.
fn waiting(controller: &Controller) -> Sandbox {
    let network = NetworkTarget::create_if_missing(NetworkSpec::new("front").ipv6(true));
    let sandbox = SandboxSpec::new("web").namespace(NamespaceSource::Later).publish("8080:80".parse().unwrap());
    controller.attach(Attach { sandbox, endpoints: vec![(network, EndpointSpec::new("web"))] }).expect("attaches")
}

fn pairs() -> usize {
    let links = ip_json(&["link", "show", "type", "veth"]);
    links.as_array().map_or(0, Vec::len)
}

fn ping_gateway(container: &Container, sandbox: &Sandbox) {
    let info = sandbox.endpoints()[0].info().expect("an endpoint");
    for gateway in [info.gateway4, info.gateway6].into_iter().flatten() {
        container.run(&["ping", "-c1", "-W5", &gateway.to_string()]);
    }
}

#[test]
fn what_was_joined_before_is_set_up_when_the_namespace_comes() {
    on_kernel(|controller| {
        let sandbox = waiting(&controller);
        let addresses = sandbox.endpoints()[0].info().expect("an endpoint").addresses;
        assert_eq!((addresses.len(), pairs(), sandbox.key().exists()), (2, 0, false));
        assert!(controller.diagnose().expect("a diagnosis").is_empty());
        let container = Container::start();
        sandbox.set_key(&container.key()).expect("takes the key");
        assert_eq!(sandbox.endpoints()[0].info().expect("an endpoint").addresses, addresses);
        ping_gateway(&container, &sandbox);
        assert!(controller.diagnose().expect("a diagnosis").is_empty());
        sandbox.delete().expect("deletes");
        controller.settle().expect("settles");
        assert_eq!((pairs(), container.has("eth0")), (0, false));
    });
}

/// What is wrong with a key costs nobody the network that is there.
#[test]
fn a_sandbox_keeps_its_namespace_when_a_key_is_refused() {
    on_kernel(|controller| {
        let sandbox = waiting(&controller);
        let (first, second) = (Container::start(), Container::start());
        sandbox.set_key(&first.key()).expect("takes the key");
        for (key, kind) in [("/run/nothing", Kind::NotFound), ("/proc/self/ns/net", Kind::Invalid)] {
            let error = sandbox.set_key(key).expect_err(key);
            assert_eq!(error.kind(), kind, "{key}: {}", with_causes(&error));
            ping_gateway(&first, &sandbox);
        }
        // What is found out only while it is set up.
        second.run(&["ip", "link", "add", "eth0", "type", "bridge"]);
        let error = sandbox.set_key(&second.key()).expect_err("there is an eth0");
        assert_eq!(error.kind(), Kind::Conflict, "{}", with_causes(&error));
        ping_gateway(&first, &sandbox);
        assert!(controller.diagnose().expect("a diagnosis").is_empty());

        let network = controller.network_by_name("front").expect("a network");
        let endpoints = vec![((&network).into(), EndpointSpec::new("own"))];
        let own = controller.attach(Attach { sandbox: SandboxSpec::new("own"), endpoints }).expect("attaches");
        let error = own.set_key(&second.key()).expect_err("it has one of its own");
        assert_eq!(error.kind(), Kind::Forbidden, "{error}");
        assert_eq!(own.info().unwrap().spec.namespace, NamespaceSource::New);
    });
}

#[test]
fn another_namespace_takes_the_place_of_the_first() {
    on_kernel(|controller| {
        let sandbox = waiting(&controller);
        let (first, second) = (Container::start(), Container::start());
        sandbox.set_key(&first.key()).expect("takes the key");
        sandbox.set_key(&second.key()).expect("takes the other key");
        controller.settle().expect("settles");
        assert_eq!((first.has("eth0"), second.has("eth0"), pairs()), (false, true, 1));
        ping_gateway(&second, &sandbox);
        // The same path once more: what it leads to may be another namespace by now.
        sandbox.set_key(&second.key()).expect("takes the key again");
        ping_gateway(&second, &sandbox);
    });
}

#[test]
fn a_key_that_is_none_is_refused_and_changes_nothing() {
    on_kernel(|controller| {
        let sandbox = waiting(&controller);
        std::fs::write("/run/file", "").unwrap();
        let gone = {
            let container = Container::start();
            container.key()
        };
        let refused = [
            ("", Kind::Invalid, "invalid sandbox key"),
            ("/run/nothing", Kind::NotFound, "/run/nothing"),
            ("/run/file", Kind::Invalid, "/run/file"),
            ("/proc/self/ns/mnt", Kind::Invalid, "/proc/self/ns/mnt"),
            ("/proc/self/ns/net", Kind::Invalid, "host's own"),
            (gone.as_str(), Kind::NotFound, gone.as_str()),
        ];
        for (key, kind, words) in refused {
            let error = sandbox.set_key(key).expect_err(key);
            let text = with_causes(&error);
            assert_eq!(error.kind(), kind, "{key}: {text}");
            assert!(text.contains(words), "{key}: {text}");
            assert_eq!((pairs(), sandbox.info().unwrap().spec.namespace.clone()), (0, NamespaceSource::Later), "{key}");
        }
        let container = Container::start();
        sandbox.set_key(&container.key()).expect("takes a real one");
        ping_gateway(&container, &sandbox);
    });
}

#[test]
fn a_namespace_has_one_sandbox() {
    on_kernel(|controller| {
        let sandbox = waiting(&controller);
        let container = Container::start();
        sandbox.set_key(&container.key()).expect("takes the key");
        for key in [container.key(), sandbox.key().display().to_string()] {
            let other = SandboxSpec::new("other").namespace(NamespaceSource::Adopted(key));
            let error = controller.create_sandbox(other).err().expect("refused");
            assert_eq!(error.kind(), Kind::Conflict, "{error}");
            let text = with_causes(&error);
            assert!(text.contains(&sandbox.id().short()), "{text}");
        }
        assert!(controller.diagnose().expect("a diagnosis").is_empty());
        ping_gateway(&container, &sandbox);
    });
}

#[test]
fn a_sandbox_still_waits_after_a_restart() {
    on_kernel(|controller| {
        let id = waiting(&controller).id();
        drop(controller);
        let controller = open();
        assert!(controller.restored().repaired.done.is_empty(), "{:?}", controller.restored());
        let sandbox = controller.sandbox_by_id(&id.to_string()).expect("is there");
        let container = Container::start();
        sandbox.set_key(&container.key()).expect("takes the key");
        ping_gateway(&container, &sandbox);
    });
}

#[test]
fn keys_come_through_a_socket() {
    on_kernel(|controller| {
        let sandbox = waiting(&controller);
        let server = controller.serve_keys(SOCKET).expect("serves");
        let container = Container::start();
        let request = |container: &str, key: &str| KeyRequest { container: container.to_owned(), key: key.to_owned() };
        let refused = send_key(Path::new(SOCKET), &request("nobody", &container.key())).expect_err("unknown");
        assert_eq!(refused.to_string(), "network sandbox for container nobody not found");
        let refused = send_key(Path::new(SOCKET), &request("web", "/run/nothing")).expect_err("no namespace");
        assert!(refused.to_string().contains("/run/nothing"), "{refused}");
        // Somebody who says nothing keeps nobody waiting.
        let _silent = UnixStream::connect(SOCKET).expect("connects");
        send_key(Path::new(SOCKET), &request("web", &container.key())).expect("success");
        ping_gateway(&container, &sandbox);
        drop(server);
        assert!(!Path::new(SOCKET).exists());
        assert!(send_key(Path::new(SOCKET), &request("web", &container.key())).is_err());
    });
}

#[test]
fn a_socket_nobody_serves_is_replaced_and_one_that_is_served_is_not() {
    on_kernel(|controller| {
        std::fs::create_dir_all("/run/pontoon/keys").unwrap();
        drop(std::os::unix::net::UnixListener::bind(SOCKET).unwrap());
        let server = controller.serve_keys(SOCKET).expect("replaces it");
        assert_eq!(controller.serve_keys(SOCKET).expect_err("served").kind(), std::io::ErrorKind::AddrInUse);
        let answer = ask(br#"{"ContainerID":"a","Key":"#);
        assert!(answer.starts_with("invalid request: "), "{answer}");
        let answer = ask(&[b'['; 100_000]);
        assert!(answer.starts_with("invalid request: "), "{answer}");
        let answer = ask(b"");
        assert_eq!(answer, "invalid request: it is empty");
        assert_eq!(ask(b" [\"a\",\"b\"]"), "invalid request: it is no JSON object");
        // A client may leave its side open, and send more than it has to.
        let mut stream = UnixStream::connect(SOCKET).unwrap();
        stream.write_all(br#"{"ContainerID":"a","Key":"b","OTelTrace":{}}"#).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "network sandbox for container a not found");
        drop(server);
    });
}

#[test]
fn silent_clients_are_given_up_and_only_some_are_served_at_a_time() {
    on_kernel(|controller| {
        let server = controller.serve_keys(SOCKET).expect("serves");
        let connect = |_| UnixStream::connect(SOCKET).expect("connects");
        let mut silent: Vec<UnixStream> = (0..100).map(connect).collect();
        serves(64);
        // It waits for those that say nothing, and no longer.
        assert_eq!(ask(br#"{"ContainerID":"a","Key":"b"}"#), "network sandbox for container a not found");
        let mut answer = String::new();
        silent[0].read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "invalid request: timed out");
        // Who ends the server does not wait for them either.
        silent.extend((0..100).map(connect));
        serves(64);
        drop(server);
        assert!(UnixStream::connect(SOCKET).is_err());
        let server = controller.serve_keys(SOCKET).expect("serves again");
        assert_eq!(ask(br#"{"ContainerID":"a","Key":"b"}"#), "network sandbox for container a not found");
        drop(server);
    });
}

/// Waits until so many threads serve clients, and looks for a moment whether there are ever more.
fn serves(clients: usize) {
    let serving = || {
        let threads = std::fs::read_dir("/proc/self/task").expect("threads are listed").map(|entry| entry.unwrap());
        let name = |thread: &std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        threads.filter(|thread| name(thread) == "key\n").count()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while serving() < clients {
        assert!(Instant::now() < deadline, "{} of {clients} clients are served", serving());
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..50 {
        assert!(serving() <= clients, "{} clients are served at a time", serving());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_answer_that_does_not_come_is_an_error() {
    let request = KeyRequest { container: "web".to_owned(), key: "/n".to_owned() };
    let check = |answer: &[u8], expected: &str| {
        let (mine, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(answer).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let said = request.exchange(mine).map_or_else(|error| error.to_string(), |()| "done".to_owned());
        assert_eq!(said, expected);
    };
    check(b"success", "done");
    check(b"success\n", "done");
    check(b"successful", "successful");
    check(b"", "the connection was closed without an answer");
    check(b"no such \xff", "no such \u{fffd}");
    check(&[b'a'; 100_000], &"a".repeat(16 * 1024));
}

fn ask(request: &[u8]) -> String {
    let mut stream = UnixStream::connect(SOCKET).unwrap();
    // It may be refused before all of it was sent.
    let _sent = stream.write_all(request);
    let _ended = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    // What was not read resets the connection, after the answer.
    let _read = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}
