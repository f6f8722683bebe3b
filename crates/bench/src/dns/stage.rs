//! A network whose sandboxes know each other by name, and one among them that asks.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pontoon::names::RESOLVER_ADDRESS;
use pontoon::{
    Attach, BridgeDriverConfig, Config, Controller, EndpointSpec, NetworkId, NetworkSpec, Sandbox, SandboxSpec,
};
use pontoon_netlink::netns::{Namespace, Visitor};
use rustix::process::Pid;

use super::client::{PATIENCE, ask};
use super::question::{Expected, Question};
use crate::Outcome;

const RUN_DIR: &str = "/run/bench-dns";
/// Where a sandbox asks.
pub(crate) const RESOLVER: SocketAddrV4 = SocketAddrV4::new(RESOLVER_ADDRESS, 53);
/// Where an echo is asked that is reached as the resolver is.
pub(crate) const REDIRECTED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 12), 53);

/// The network, its sandboxes, and the namespace of the one that asks.
pub(crate) struct Stage {
    controller: Controller,
    network: NetworkId,
    asking: Namespace,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    visitor: Visitor,
    dir: PathBuf,
    /// What the other sandboxes are called, and where they are.
    names: Vec<(String, Ipv4Addr)>,
}

impl Stage {
    /// Makes the network and the sandbox that asks, with its state below `dir` and the program `pontoon` as its helper.
    pub(crate) fn set(dir: &Path, pontoon: &Path) -> Outcome<Self> {
        let helper = [pontoon.into(), "--run-dir".into(), RUN_DIR.into(), "resolver".into()];
        let config = Config::new(dir.join("state")).run_dir(RUN_DIR).names(helper);
        let controller = Controller::open(config.driver("bridge", BridgeDriverConfig::default()))?;
        let network = controller.create_network(NetworkSpec::new("bench").subnet("10.10.0.0/16".parse()?))?.id();
        let sandbox = attach(&controller, network, "asking")?;
        let asking = Namespace::open(sandbox.key())?;
        let info = sandbox.endpoints().first().ok_or("the sandbox that asks has no endpoint")?.info()?;
        let Some(IpAddr::V4(gateway)) = info.gateway4 else { return Err("the network has no gateway".into()) };
        Ok(Self {
            address: address(&sandbox)?,
            controller,
            network,
            asking,
            gateway,
            visitor: Visitor::new(const { NonZeroUsize::new(1).expect("one is not zero") })?,
            dir: dir.to_owned(),
            names: Vec::new(),
        })
    }

    /// Makes further sandboxes until there are `size` beside the one that asks, which asks for each as soon as it is there.
    /// Returns how many were answered at once.
    pub(crate) fn grow(&mut self, size: usize) -> Outcome<usize> {
        let socket = self.client(RESOLVER)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut at_once = 0;
        for number in self.names.len()..size {
            let name = format!("container{number}");
            let address = address(&attach(&self.controller, self.network, &name)?)?;
            let mut question = Question::new(&name, Expected::Address(address));
            at_once += usize::from(ask(&socket, &mut question, u16::try_from(number)?).is_ok());
            self.names.push((name, address));
        }
        Ok(at_once)
    }

    /// Returns what the sandboxes are called that are asked for, with their addresses.
    pub(crate) fn names(&self) -> &[(String, Ipv4Addr)] {
        &self.names
    }

    /// Returns the namespace of the sandbox that asks.
    pub(crate) fn asking(&self) -> &Namespace {
        &self.asking
    }

    /// Returns the address of the sandbox that asks.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns the host's address on the network.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// Returns the namespace in which the sandboxes' bridge is.
    pub(crate) fn host(&self) -> &Namespace {
        self.visitor.home()
    }

    /// Returns a directory for what does not outlive the measurement.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Does something inside a namespace.
    pub(crate) fn visit<T: Send + 'static>(
        &self,
        namespace: &Namespace,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Outcome<T> {
        Ok(self.visitor.visit(namespace, work)?)
    }

    /// Opens a socket in the sandbox that asks, connected to a server.
    pub(crate) fn client(&self, server: SocketAddrV4) -> Outcome<UdpSocket> {
        let open = move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(server)?;
            io::Result::Ok(socket)
        };
        Ok(self.visit(&self.asking, open)??)
    }

    /// Opens a socket in the sandbox that asks, at a free port of a loopback address.
    pub(crate) fn server(&self, address: Ipv4Addr) -> Outcome<(UdpSocket, SocketAddrV4)> {
        let socket = self.visit(&self.asking, move || UdpSocket::bind((address, 0)))??;
        let port = socket.local_addr()?.port();
        Ok((socket, SocketAddrV4::new(address, port)))
    }

    /// Leads what is asked at [`REDIRECTED`] to a port, as the resolver's own table does.
    pub(crate) fn redirect(&self, port: u16) -> Outcome<()> {
        let (address, from) = (REDIRECTED.ip(), REDIRECTED.port());
        let rules = format!(
            "table ip bench {{
                chain forth {{
                    type nat hook output priority -100;
                    ip daddr {address} udp dport {from} dnat to {address}:{port};
                }}
                chain back {{
                    type nat hook postrouting priority 100;
                    ip saddr {address} udp sport {port} snat to :{from};
                }}
            }}"
        );
        let mut command = Command::new("nft");
        command.arg(rules).stdin(Stdio::null());
        let status = self.visit(&self.asking, move || command.status())??;
        if status.success() { Ok(()) } else { Err(format!("nft ended with {status}").into()) }
    }

    /// Returns the process that answers the sandboxes: the one with the helper's command line.
    pub(crate) fn helper(&self) -> Outcome<Pid> {
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
            else {
                continue;
            };
            // One that has ended meanwhile is not the one.
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if line.ends_with(format!("\0--run-dir\0{RUN_DIR}\0resolver\0").as_bytes()) {
                return Ok(pid);
            }
        }
        Err("there is no process that answers the sandboxes".into())
    }

    /// Removes everything.
    pub(crate) fn strike(self) -> Outcome<()> {
        self.controller.purge()?;
        Ok(())
    }
}

fn attach(controller: &Controller, network: NetworkId, name: &str) -> Outcome<Sandbox> {
    let endpoint = EndpointSpec::new(name).dns_name(name);
    Ok(controller.attach(Attach { sandbox: SandboxSpec::new(name), endpoints: vec![(network.into(), endpoint)] })?)
}

fn address(sandbox: &Sandbox) -> Outcome<Ipv4Addr> {
    let info = sandbox.endpoints().first().ok_or("a sandbox has no endpoint")?.info()?;
    match info.addresses.first().map(|address| address.addr()) {
        Some(IpAddr::V4(address)) => Ok(address),
        other => Err(format!("a sandbox has the address {other:?}").into()),
    }
}

/// Waits until a server answers.
pub(crate) fn wait_for(socket: &UdpSocket, question: &Question) -> Outcome<()> {
    const TRIES: u16 = 50;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut last = Ok(Duration::ZERO);
    for number in 0..TRIES {
        last = ask(socket, &mut question.clone(), number);
        if last.is_ok() {
            break;
        }
        // A refusal comes at once.
        std::thread::sleep(Duration::from_millis(20));
    }
    last.map(drop)
}
