//! Two hosts in the same state, and what tells them apart.

use std::fmt::Write;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pontoon::HostError;
use pontoon_core::engine::{Host, Observe, Query};
use pontoon_core::objects::{FileName, Key, Object, Objects, Place, Plan};
use pontoon_core::ports::PortProto;
use pontoon_host::linux::{LinuxConfig, LinuxHost};
use pontoon_testkit::{FakeHost, run};

use crate::Accident;
use crate::universe::{SANDBOXES, SYSCTLS, inside, own_settings, sandbox};

/// How long the kernel may take to destroy a namespace.
const PATIENCE: Duration = Duration::from_millis(600);

/// A foreign socket on the kernel.
enum Socket {
    Tcp { _open: TcpListener },
    Udp { _open: UdpSocket },
}

/// The fake and the kernel, in a network namespace of its own.
pub(crate) struct Pair {
    fake: FakeHost,
    linux: LinuxHost,
    run_dir: PathBuf,
    sockets: Vec<(PortProto, Socket)>,
    pub(crate) plans: usize,
    pub(crate) refused: usize,
}

/// A refusal without its words.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Kernel(i32),
    PortBusy(HostError),
    Foreign,
    Missing,
    Other(HostError),
}

impl Refusal {
    fn of(error: &HostError) -> Self {
        match error {
            HostError::Kernel { errno, .. } => Self::Kernel(*errno),
            HostError::PortBusy { .. } => Self::PortBusy(error.clone()),
            HostError::Foreign { .. } => Self::Foreign,
            HostError::Missing { .. } => Self::Missing,
            other => Self::Other(other.clone()),
        }
    }
}

impl Pair {
    /// Call it in a fresh network namespace.
    pub(crate) fn new(number: usize) -> Self {
        run("ip", &["link", "set", "lo", "up"]);
        for setting in ["ipv4/ip_forward", "ipv4/conf/default/forwarding", "ipv6/conf/all/forwarding"] {
            fs::write(format!("/proc/sys/net/{setting}"), "0").expect("the namespace is ours");
        }
        let run_dir = PathBuf::from(format!("/run/contract/{number}"));
        let linux = LinuxHost::open(LinuxConfig::new(&run_dir)).expect("the kernel lets us");
        Self { fake: FakeHost::new(), linux, run_dir, sockets: Vec::new(), plans: 0, refused: 0 }
    }

    /// Returns what both have, or how they differ.
    pub(crate) fn observe(&self) -> Result<Objects, String> {
        let keys = SYSCTLS.map(|name| Key::Sysctl(Place::Host, name.to_owned()));
        let keys = keys.into_iter().chain(own_settings().into_iter().map(|setting| setting.key()));
        let query = Query::of(SANDBOXES.map(sandbox), keys);
        let began = Instant::now();
        loop {
            let fake = self.fake.observe(&query).map_err(|error| error.to_string())?;
            let linux = self.linux.observe(&query).map_err(|error| format!("the kernel cannot be read: {error}"))?;
            if fake == linux {
                return self.same_files().map(|()| fake);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("they have different objects:\n{}", difference(&fake, &linux)));
            }
            // Namespaces die in the background.
            sleep(Duration::from_millis(5));
        }
    }

    /// Compares what a container reads, which no object says.
    fn same_files(&self) -> Result<(), String> {
        for (letter, name) in SANDBOXES.into_iter().flat_map(|letter| FileName::ALL.map(|name| (letter, name))) {
            let (fake, linux) =
                (self.fake.file(sandbox(letter), name), fs::read_to_string(self.file(letter, name)).ok());
            if fake != linux {
                return Err(format!("{name} of {letter} has different text:\nfake: {fake:?}\nkernel: {linux:?}"));
            }
        }
        Ok(())
    }

    fn file(&self, letter: char, name: FileName) -> PathBuf {
        self.run_dir.join("files").join(sandbox(letter).short()).join(name.as_str())
    }

    /// Applies a plan to both; returns whether it succeeded, or how they differ.
    pub(crate) fn apply(&mut self, plan: &Plan) -> Result<bool, String> {
        self.plans += 1;
        let outcome = |result: Result<_, pontoon::ApplyError>| match result {
            Ok(_) => Ok(()),
            Err(error) => {
                let left: Vec<String> = error.left_behind.iter().map(|(op, _)| op.to_string()).collect();
                Err((error.step, Refusal::of(&error.cause), left, error.cause.to_string()))
            }
        };
        let (fake, linux) = (outcome(self.fake.apply(plan)), outcome(self.linux.apply(plan)));
        self.linux.settle().map_err(|error| error.to_string())?;
        let same = match (&fake, &linux) {
            (Err(one), Err(other)) => (one.0, &one.1, &one.2) == (other.0, &other.1, &other.2),
            (Ok(()), Ok(())) => true,
            _ => false,
        };
        if !same {
            return Err(format!("of the plan\n{plan}they say different things:\nfake: {fake:?}\nkernel: {linux:?}"));
        }
        self.refused += usize::from(fake.is_err());
        Ok(fake.is_ok())
    }

    /// Makes an accident happen to both, if what it needs is there.
    pub(crate) fn suffer(&mut self, accident: &Accident) -> Result<(), String> {
        let present = self.observe()?;
        let has = |key: Key| present.get(&key).is_some();
        let free = |link: &str| !PathBuf::from(format!("/proc/sys/net/ipv4/conf/{link}")).exists();
        match accident {
            Accident::DeleteLink(link) if !free(link) => {
                self.fake.delete_link(link);
                run("ip", &["link", "delete", link]);
            }
            Accident::AddLink(link) if free(link) => {
                self.fake.add_foreign_bridge(link);
                run("ip", &["link", "add", link, "type", "bridge"]);
                run("ip", &["link", "set", link, "up"]);
            }
            Accident::DeletePeer(letter, link)
                if has(Key::Namespace(sandbox(*letter))) && self.ip_at(inside(*letter), &["link", "delete", link]) =>
            {
                self.fake.delete_link_in(inside(*letter), link);
            }
            Accident::SetDown(link) if has(Key::Link((*link).to_owned())) => {
                self.fake.set_down(link);
                run("ip", &["link", "set", link, "down"]);
            }
            Accident::ReleasePort(link) if has(Key::Link((*link).to_owned())) => {
                self.fake.release_port(link);
                run("ip", &["link", "set", link, "nomaster"]);
            }
            Accident::FlushRuleset => {
                self.fake.flush_ruleset();
                run("nft", &["flush", "ruleset"]);
            }
            Accident::DeleteAddress(address) if has(Object::from(address.clone()).key()) => {
                let (prefix, link) = (address.prefix.to_string(), address.link.to_string());
                self.fake.delete_address(address.place, &link, address.prefix);
                assert!(self.ip_at(address.place, &["address", "delete", &prefix, "dev", &link]));
            }
            Accident::AddAddress(link, prefix) if !free(link) => {
                let mut arguments = vec!["address", "add", prefix, "dev", link];
                arguments.extend(prefix.contains(':').then_some("nodad"));
                if self.ip_at(Place::Host, &arguments) {
                    self.fake.add_foreign_address(Place::Host, link, prefix.parse().expect("a prefix"));
                }
            }
            Accident::KillNamespace(letter) if has(Key::Namespace(sandbox(*letter))) => {
                self.fake.delete_namespace_of(sandbox(*letter));
                let path = self.netns(*letter);
                run("umount", &["-l", &path]);
                fs::remove_file(path).expect("it is a file");
            }
            Accident::Occupy(proto, port) if self.sockets.iter().all(|(other, _)| other != proto) => {
                let address = format!("0.0.0.0:{port}");
                let socket = match proto {
                    PortProto::Tcp => TcpListener::bind(address).map(|open| Socket::Tcp { _open: open }),
                    _ => UdpSocket::bind(address).map(|open| Socket::Udp { _open: open }),
                };
                if let Ok(socket) = socket {
                    self.fake.occupy("0.0.0.0".parse().expect("an address"), *port, *proto);
                    self.sockets.push((*proto, socket));
                }
            }
            Accident::SetSysctl(name, value) => {
                self.fake.set_sysctl(Place::Host, name, value);
                fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value).expect("the namespace is ours");
            }
            Accident::EditFile(name, added) => {
                if let Some(text) = self.fake.file(sandbox('a'), *name) {
                    let text = text + added;
                    fs::write(self.file('a', *name), &text).expect("the file is there too");
                    self.fake.edit_file(sandbox('a'), *name, &text);
                }
            }
            Accident::DeleteFile(name) if self.fake.file(sandbox('a'), *name).is_some() => {
                self.fake.delete_file(sandbox('a'), *name);
                fs::remove_file(self.file('a', *name)).expect("the file is there too");
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the sandboxes' namespaces; this one ends with the thread.
    pub(crate) fn end(self) {
        drop(self.linux);
        for letter in SANDBOXES {
            let path = self.run_dir.join("netns").join(sandbox(letter).short());
            pontoon_netlink::netns::destroy(path).expect("the namespace is ours");
        }
    }

    fn netns(&self, letter: char) -> String {
        self.run_dir.join("netns").join(sandbox(letter).short()).display().to_string()
    }

    /// Returns whether it succeeded.
    fn ip_at(&self, place: Place, arguments: &[&str]) -> bool {
        let letter = SANDBOXES.into_iter().find(|letter| inside(*letter) == place);
        let mut command = match letter {
            None => std::process::Command::new("ip"),
            Some(letter) => {
                let mut command = std::process::Command::new("nsenter");
                command.arg(format!("--net={}", self.netns(letter))).arg("ip");
                command
            }
        };
        command.args(arguments).output().expect("ip can be run").status.success()
    }
}

fn difference(fake: &Objects, linux: &Objects) -> String {
    let mut text = String::new();
    let only = |one: &Objects, other: &Objects| -> Vec<String> {
        one.iter().filter(|object| other.get(&object.key()) != Some(object)).map(ToString::to_string).collect()
    };
    only(fake, linux).iter().for_each(|line| writeln!(text, "fake only: {line}").expect("a string takes all"));
    only(linux, fake).iter().for_each(|line| writeln!(text, "kernel only: {line}").expect("a string takes all"));
    text
}
