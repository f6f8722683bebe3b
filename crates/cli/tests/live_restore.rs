//! Sandboxes go on while every process of Pontoon dies and comes back, except for the one that a container lives with.

mod common;
#[path = "live_restore/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use common::inside::{address, dig, helper, host_servers, kill_helper, netns, say};
use common::{ROOT, eventually, json, like_before, ok, outside, signal, snapshot, start};
use pontoon_testkit::{isolated, run};
use traffic::{Changes, Flow, Pings, Place, Questions};

/// How often everything is killed.
const ROUNDS: u64 = 10;
const SANDBOXES: [&str; 3] = ["server", "client", "app"];

/// Two sandboxes that commands made and left, one of them with everything that a restart could forget.
fn furnish() {
    outside();
    run("ip", &["-n", "outside", "route", "add", "default", "via", "192.0.2.1"]);
    host_servers("");
    ok(&["network", "create", "--ipv6", "--subnet", "10.1.0.0/24", "--subnet", "fd00:1::/64", "front"]);
    ok(&["network", "create", "--subnet", "10.2.0.0/24", "back"]);
    ok(&["sandbox", "create", "server", "--network", "front", "-p", "7000:7000"]);
    let front = "front,link=server:store,ifname=lan0,link-local-ip=169.254.7.7";
    let settings = ["--dns-opt", "ndots:2", "--sysctl", "net.ipv4.conf.IFNAME.log_martians=1"];
    ok(&[&["sandbox", "create", "client", "--network", front], &settings[..]].concat());
    // Of two equal ones the front would be the gateway, for it has both families.
    ok(&["network", "connect", "--gw-priority", "5", "back", "client"]);
}

/// Everything inside the sandboxes that could have been touched, with what a kernel numbers anew when something is made again.
fn insides() -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for sandbox in SANDBOXES {
        for words in ["address", "route show table all", "-6 route show table all"] {
            let words: Vec<&str> = ["ip", "-json"].into_iter().chain(words.split(' ')).collect();
            told.insert(format!("{sandbox}: {}", words.join(" ")), say(sandbox, &words));
        }
        told.insert(format!("{sandbox}: rules"), say(sandbox, &["nft", "--json", "list", "ruleset"]));
        told.insert(format!("{sandbox}: namespace"), run("stat", &["--format=%i", &netns(sandbox)]));
        for file in ["HostsPath", "ResolvConfPath"] {
            let path = json(&["sandbox", "inspect", sandbox])[0][file].as_str().expect("a path").to_owned();
            told.insert(path.clone(), run("cat", &[&path]));
        }
    }
    told
}

/// What upstream forgets when it is started again, as the kernel and the resolver have it.
fn remembered() -> Vec<String> {
    let inspected = &json(&["sandbox", "inspect", "client"])[0];
    let conf = run("cat", &[inspected["ResolvConfPath"].as_str().expect("a path")]);
    let first = |words: &[&str]| say("client", words).split(" proto").next().unwrap_or_default().trim().to_owned();
    vec![
        dig("client", &["store", "A"]),
        conf.lines().find(|line| line.starts_with("options")).unwrap_or_default().to_owned(),
        first(&["ip", "-4", "route", "show", "default"]),
        first(&["ip", "-6", "route", "show", "default"]),
        say("client", &["sh", "-c", "ip -oneline -4 address show dev lan0 | awk '{ print $4 }' | sort | xargs"]),
        say("client", &["cat", "/proc/sys/net/ipv4/conf/lan0/log_martians"]),
    ]
}

/// What must come back whatever dies.
fn expected() -> Vec<String> {
    let lines = [
        &*address("server", "front", false),
        "options ndots:2",
        "default via 10.2.0.1 dev eth0",
        "default via fd00:1::1 dev lan0",
        "10.1.0.3/24 169.254.7.7/16",
        "1",
    ];
    lines.map(str::to_owned).into()
}

/// Kills whoever answers, and a command in the middle of its work, a little later each round; then the next command comes.
/// Returns whether a change was cut short.
fn kill_and_come_back(round: u64) -> bool {
    let commands: [&[&str]; 3] = [
        &["sandbox", "create", "victim", "--network", "front", "--network", "back", "-p", "7100:80"],
        &["sandbox", "exec", "server", "--", "sleep", "600"],
        &["sandbox", "rm", "victim"],
    ];
    for words in commands {
        let mut command = start(words);
        sleep(Duration::from_millis(5 * round));
        // It may have ended by itself.
        let _ = command.kill();
        command.wait().expect("a command that was started");
        if helper().is_some() {
            kill_helper();
        }
    }
    let cut_short = Path::new(ROOT).join("in-use").exists();
    ok(&["repair"]);
    if json(&["sandbox", "ls"]).as_array().is_some_and(|all| all.iter().any(|one| one["Name"] == "victim")) {
        ok(&["sandbox", "rm", "victim"]);
    }
    assert_eq!(remembered(), expected(), "round {round}");
    cut_short
}

#[test]
fn sandboxes_do_not_notice_that_everybody_dies_and_comes_back() {
    isolated(|| {
        furnish();
        let app = start(&["run", "--name", "app", "--network", "front", "-p", "7001:7001", "--", "sleep", "600"]);
        eventually("the sandbox", || json(&["sandbox", "ls"]).as_array().is_some_and(|all| all.len() == 3));
        eventually("an answer", || dig("app", &["server", "A"]) == address("server", "front", false));
        assert_eq!(remembered(), expected());
        let place = |sandbox: &str| Place::open(&netns(sandbox));
        place("server").echo(7000);
        place("app").echo(7001);
        let (server, store) = (address("server", "front", false), address("server", "front", true));
        let outside = Place::open("/run/netns/outside");
        let to = |ip: &str, port: u16| (ip.parse::<std::net::IpAddr>().expect("an address"), port).into();
        let flows = [
            Flow::open("between sandboxes", &place("client"), to(&server, 7000)),
            Flow::open("through a port of a sandbox that commands made", &outside, to("192.0.2.1", 7000)),
            Flow::open("through a port of a running command", &outside, to("192.0.2.1", 7001)),
            Flow::open("from the host", &Place::open("/proc/self/ns/net"), to("127.0.0.1", 7000)),
        ];
        let pings = [server.as_str(), &store, "192.0.2.9"].map(|to| Pings::start(&netns("client"), to));
        // The kernel's own addresses count once it has checked them.
        let routes = |sandbox: &str| say(sandbox, &["ip", "-6", "route", "show", "table", "local"]);
        eventually("link-local addresses", || SANDBOXES.iter().all(|sandbox| routes(sandbox).contains("fe80::")));
        let changes = SANDBOXES.map(|sandbox| Changes::watch(&netns(sandbox)));
        let (before, within) = (snapshot(), insides());
        let mut cut_short = 0;
        for round in 0..ROUNDS {
            let carried = flows.each_ref().map(Flow::carried);
            cut_short += usize::from(kill_and_come_back(round));
            let goes_on = || flows.iter().zip(carried).all(|(flow, carried)| flow.carried() > carried + 10);
            eventually("traffic on every connection", goes_on);
        }
        println!("COUNT {cut_short} of {ROUNDS} times something was cut short");
        like_before(&before);
        for (what, told) in insides() {
            assert_eq!(told, within[&what], "{what}");
        }
        flows.into_iter().for_each(Flow::close);
        for (count, lost) in pings.map(Pings::stop) {
            println!("COUNT {count} echo requests answered, {} lost", lost.len());
            assert!(count > 10 && lost.is_empty(), "{lost:?}");
        }
        assert_eq!(changes.map(Changes::stop).concat(), "", "changes inside");
        assert_eq!(ok(&["--plan", "repair"]), "", "what a repair would do");
        let ended = signal(app, "TERM");
        assert_eq!((ended.status, ended.stderr.as_str()), (128 + 15, ""));
    });
}

#[test]
fn records_bring_back_what_was_undone_by_hand() {
    isolated(|| {
        furnish();
        assert_eq!(remembered(), expected());
        kill_helper();
        for words in [
            "ip address del 169.254.7.7/16 dev lan0",
            "ip route del default",
            "ip -6 route del default",
            "sysctl -q net.ipv4.conf.lan0.log_martians=0",
        ] {
            say("client", &words.split(' ').collect::<Vec<_>>());
        }
        assert_ne!(remembered(), expected());
        ok(&["repair"]);
        assert_eq!(remembered(), expected());
    });
}

#[test]
fn somebody_answers_soon_after_the_helpers_death_while_a_command_runs() {
    isolated(|| {
        furnish();
        let app = start(&["run", "--name", "app", "--network", "front", "--", "sleep", "600"]);
        eventually("the sandbox", || json(&["sandbox", "ls"]).as_array().is_some_and(|all| all.len() == 3));
        eventually("an answer", || dig("app", &["server", "A"]) == address("server", "front", false));
        let questions = Questions::ask(Place::open(&netns("app")), "server");
        for _ in 0..10 {
            let answered = questions.answered();
            eventually("answers", || questions.answered() > answered + 10 && helper().is_some());
            kill_helper();
        }
        let answered = questions.answered();
        eventually("answers", || questions.answered() > answered + 10);
        let longest = questions.stop();
        println!("COUNT {} ms at most without an answer, over 10 deaths of the helper", longest.as_millis());
        assert!(longest < Duration::from_secs(5), "{longest:?}");
        let ended = signal(app, "TERM");
        assert_eq!((ended.status, ended.stderr.as_str()), (128 + 15, ""));
    });
}
