//! A controller that is killed while its sandboxes run, and the next one, on the real kernel with the store on disk.

mod support;

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use pontoon::files::resolv_conf::Overrides;
use pontoon::{
    Attach, Config, Controller, EndpointSpec, NamespaceSource, NetworkSpec, NetworkTarget, Owner, Sandbox, SandboxSpec,
    myself,
};
use pontoon_testkit::{Feature, isolated, require, run};
use rustix::process::{Signal, getpid, kill_process};
use support::{lasting, picture::Picture};

const RUN: &str = "/run/pontoon";
/// Tells the child who owns the sandbox that it makes.
const OWNER: &str = "PONTOON_LIVE_RESTORE";
/// What the child does that owns its sandbox itself.
const MINE: &str = "mine";

fn open() -> Controller {
    Controller::open(Config::new("/run/state").run_dir(RUN)).expect("opens")
}

/// The child, which is killed with its controller open; without an errand there is nothing to do.
#[test]
fn child() {
    let Ok(owner) = env::var(OWNER) else { return };
    let controller = open();
    match serde_json::from_str(&owner) {
        Ok(owner) => furnish(&controller, owner),
        Err(_) => {
            let front = controller.find_network("front").expect("it is there");
            let spec = SandboxSpec { owner: Some(myself()), ..SandboxSpec::new("stale") };
            let spec = spec.publish("8081:80".parse().expect("a port"));
            attach(&controller, spec, vec![((&front).into(), EndpointSpec::new("stale"))]);
        }
    }
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
}

fn attach(controller: &Controller, sandbox: SandboxSpec, endpoints: Vec<(NetworkTarget, EndpointSpec)>) {
    controller.attach(Attach { sandbox, endpoints }).expect("attaches");
}

/// Two sandboxes: one with everything that a restart could forget, and one whose namespace is somebody else's.
fn furnish(controller: &Controller, owner: Owner) {
    let network = |name: &str, v6: bool| controller.create_network(NetworkSpec::new(name).ipv6(v6)).expect("a network");
    let (front, back) = (network("front", true), network("back", false));
    let endpoint = EndpointSpec { ifname: Some("lan0".parse().expect("a name")), ..EndpointSpec::new("web") };
    let endpoint = endpoint.link("store", "db").link_local("169.254.7.7".parse().expect("an address"));
    let endpoint = endpoint.sysctl("net.ipv4.conf.IFNAME.log_martians=1");
    // Of two equal ones the front would be the gateway, for it has both families.
    let way_out = EndpointSpec { priority: 5, ..EndpointSpec::new("web") };
    let dns = Overrides { options: vec!["ndots:2".to_owned()], ..Overrides::default() };
    let web = SandboxSpec { resolver: Some(true), owner: Some(owner), ..SandboxSpec::new("web").dns(dns) };
    let web = web.publish("8080:80".parse().expect("a port"));
    attach(controller, web, vec![((&front).into(), endpoint), ((&back).into(), way_out)]);
    let db = SandboxSpec::new("db").namespace(NamespaceSource::Adopted("/run/netns/theirs".to_owned()));
    attach(controller, db, vec![((&front).into(), EndpointSpec::new("db"))]);
}

/// Runs the child until it is killed.
fn killed(owner: &str) {
    let this = env::current_exe().expect("the running test has a path");
    let mut command = Command::new(this);
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    let output = command.env(OWNER, owner).output().expect("it runs");
    let text = || [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()), "the child did not die as planned: {}", text());
}

/// What a kernel numbers anew when it is made again: interfaces, which are also named, and the namespace.
fn numbers(sandbox: &Sandbox) -> Vec<String> {
    let namespace = format!("--net={}", sandbox.key().display());
    let links = run("nsenter", &[&namespace, "ip", "-json", "link", "show"]);
    let links: serde_json::Value = serde_json::from_str(&links).expect("ip prints JSON");
    let links = links.as_array().into_iter().flatten().map(|link| format!("{} {}", link["ifname"], link["ifindex"]));
    links.chain([run("stat", &["--format=%i", &sandbox.key().display().to_string()])]).collect()
}

/// The next controller: it finds everything, and has nothing to do for those that stay.
fn next(stale: &[&str]) -> (Picture, Vec<Vec<String>>) {
    let controller = open();
    assert_eq!(controller.restored().stale, stale);
    assert!(controller.restored().repaired.failed.is_empty(), "{:?}", controller.restored());
    if stale.is_empty() {
        assert_eq!(lasting(&controller.restored().repaired.done), []);
    }
    assert_eq!(controller.diagnose().expect("a diagnosis"), []);
    assert!(controller.debts().is_empty() && controller.quarantined().is_empty());
    let endpoints = controller.endpoints();
    let names: Vec<_> = endpoints.iter().map(|one| one.record().expect("a record").spec.name.clone()).collect();
    assert_eq!(names.iter().filter(|name| **name != "web").collect::<Vec<_>>(), ["db"]);
    let sandboxes = ["web", "db"].map(|name| controller.sandbox_of(name).expect("it is still there"));
    let numbers = sandboxes.iter().map(numbers).collect();
    controller.settle().expect("deletions end");
    (Picture::take(Path::new(RUN)), numbers)
}

#[test]
fn sandboxes_of_a_killed_controller_are_recognised_and_those_of_dead_owners_removed() {
    isolated(|| {
        if ![Feature::Ipv6, Feature::Veth, Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        run("ip", &["netns", "add", "theirs"]);
        killed(&serde_json::to_string(&myself()).expect("plain data"));
        let first = next(&[]);
        killed(MINE);
        let after = next(&["stale"]);
        assert!(first.0 == after.0, "{}", first.0.difference(&after.0));
        assert_eq!(first.1, after.1);
        assert!(first.1[0].iter().any(|link| link.starts_with("\"lan0\"")), "{:?}", first.1);
    });
}
