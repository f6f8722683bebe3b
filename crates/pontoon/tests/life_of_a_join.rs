//! Writes the section "Life of a join" of `ARCHITECTURE.md`: what is really done, read off a host in memory.
//!
//! `UPDATE_EXPECT=1 cargo test -p pontoon --test life_of_a_join` rewrites the section; otherwise it is compared.

mod documents;

use std::env;
use std::fmt::Write;
use std::fs;
use std::sync::Arc;

use pontoon::{Attach, Config, Controller, DefaultPools, EndpointSpec, NetworkSpec, SandboxSpec};
use pontoon_host::store::MemoryStore;
use pontoon_testkit::{FakeHost, TestEnvironment};

const DOCUMENT: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- life-of-a-join:begin -->\n";
const END: &str = "<!-- life-of-a-join:end -->";

/// A controller, and how much of what it did was told already.
struct Story {
    controller: Controller,
    host: FakeHost,
    store: MemoryStore,
    told: usize,
    commits: u64,
    text: String,
}

impl Story {
    fn begin() -> Self {
        let (host, store) = (FakeHost::new(), MemoryStore::new());
        let pools = DefaultPools::local(Some("fd00:1::/48".parse().expect("a prefix")));
        let controller = Controller::builder(Config::new("unused").default_pools(pools))
            .host(Arc::new(host.clone()))
            .store(Arc::new(store.clone()))
            .environment(Arc::new(TestEnvironment::new(1)))
            .open()
            .expect("opens");
        let commits = store.commits();
        Self { controller, host, store, told: 0, commits, text: String::new() }
    }

    /// Tells what was done since the last time, plan by plan.
    fn tell(&mut self, title: &str) {
        let plans = self.host.plans();
        let commits = self.store.commits() - std::mem::replace(&mut self.commits, self.store.commits());
        let plural = if commits == 1 { "" } else { "s" };
        let _ = write!(self.text, "\n{title} ({commits} durable commit{plural}):\n\n```text\n");
        for (number, plan) in plans[self.told..].iter().enumerate() {
            if number > 0 {
                self.text.push_str("-- committed --\n");
            }
            let _ = write!(self.text, "{plan}");
        }
        self.text.push_str("```\n");
        self.told = plans.len();
    }
}

/// Returns the section: a network is created, a sandbox with a published port is attached, and both go again.
fn section() -> String {
    let mut story = Story::begin();
    let network = story.controller.create_network(NetworkSpec::new("front").ipv6(true)).expect("a network");
    story.tell("`pontoon network create --ipv6 front`");
    let attach = Attach {
        sandbox: SandboxSpec::new("web").publish("8080:80".parse().expect("a port")),
        endpoints: vec![(network.id().into(), EndpointSpec::new("web"))],
    };
    let sandbox = story.controller.attach(attach).expect("attached");
    let endpoint = sandbox.endpoints()[0].id();
    story.tell("`pontoon run --network front -p 8080:80 -- some-server`");
    sandbox.delete().expect("deleted");
    story.tell("The server ends");
    network.delete().expect("deleted");
    story.tell("`pontoon network rm front`");
    let names =
        [(network.id().short(), "NETWORK"), (sandbox.id().short(), "SANDBOX"), (endpoint.digits(9), "ENDPOINT")];
    let text = names.iter().fold(story.text, |text, (id, name)| text.replace(id, name));
    text.lines().map(|line| without_chance(line) + "\n").collect()
}

/// Replaces what is drawn at random, or changes with every version of the ruleset.
fn without_chance(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        match words[at - 1] {
            "mac" => words[at] = "MAC",
            "pontoon" if words.contains(&"ruleset") => words[at] = "FINGERPRINT",
            _ => {}
        }
    }
    words.join(" ")
}

#[test]
fn the_section_is_what_happens() {
    let document = documents::read(DOCUMENT);
    let (before, rest) = document.split_once(BEGIN).expect("the section begins");
    let (written, after) = rest.split_once(END).expect("the section ends");
    let section = section();
    if written == section {
        return;
    }
    if env::var_os("UPDATE_EXPECT").is_some() {
        let text = format!("{before}{BEGIN}{section}{END}{after}");
        fs::write(documents::root().join(DOCUMENT), text).expect("the document can be written");
        return;
    }
    let only = |one: &str, other: &str, sign: char| -> String {
        one.lines()
            .filter(|line| !other.lines().any(|known| known == *line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    panic!(
        "{DOCUMENT} tells another life of a join; UPDATE_EXPECT=1 rewrites it\n{}{}",
        only(written, &section, '-'),
        only(&section, written, '+')
    );
}
