//! The kernel floor: the bare system calls of an attach, one after the other, with no state and nothing durable.
//!
//! Per container: a namespace held by a file, a veth pair with its peer made inside, `lo` and the peer up, an address, a
//! default route, one element of an nftables map.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::wire::{CREATE, Wire, Wired};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NFNL_BATCH_BEGIN: u16 = 16;
const NFNL_BATCH_END: u16 = 17;
const NFT_NEWSETELEM: u16 = (10 << 8) | 12;
const NFT_DELSETELEM: u16 = (10 << 8) | 14;

/// A bridge with a table beside it, and the containers on it.
pub(crate) struct Floor {
    route: Wired,
    nft: Wired,
    bridge: u32,
    home: File,
    dir: PathBuf,
    containers: Vec<Container>,
    made: u32,
    /// The peer's index inside: the first after `lo` and whatever else a new namespace has.
    peer: u32,
}

struct Container {
    namespace: File,
    path: PathBuf,
    port: u16,
}

impl Floor {
    /// Makes the bridge and the table in the calling thread's namespace.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let rules = "add table ip floor; add map ip floor ports { type inet_service : ipv4_addr . inet_service; }; \
                     add chain ip floor pre { type nat hook prerouting priority -100; }; \
                     add rule ip floor pre dnat ip to tcp dport map @ports";
        run("nft", &[rules])?;
        run("ip", &["link", "add", "floor", "type", "bridge"])?;
        run("ip", &["link", "set", "floor", "up"])?;
        run("ip", &["addr", "add", "10.9.0.1/16", "dev", "floor"])?;
        let index = fs::read_to_string("/sys/class/net/floor/ifindex")?;
        fs::create_dir_all(dir)?;
        Ok(Self {
            route: Wired::open(libc::NETLINK_ROUTE)?,
            nft: Wired::open(libc::NETLINK_NETFILTER)?,
            bridge: index.trim().parse().map_err(io::Error::other)?,
            home: File::open("/proc/thread-self/ns/net")?,
            dir: dir.to_owned(),
            containers: Vec::new(),
            made: 0,
            peer: first_free_index()?,
        })
    }

    /// Returns another hand on the same bridge and table, with numbers of its own.
    pub(crate) fn share(&self, thread: usize) -> io::Result<Self> {
        Ok(Self {
            route: Wired::open(libc::NETLINK_ROUTE)?,
            nft: Wired::open(libc::NETLINK_NETFILTER)?,
            bridge: self.bridge,
            home: self.home.try_clone()?,
            dir: self.dir.clone(),
            containers: Vec::new(),
            made: u32::try_from(thread * 5000).map_err(io::Error::other)?,
            peer: self.peer,
        })
    }

    /// Attaches one more container and returns how long it took.
    pub(crate) fn attach(&mut self) -> io::Result<Duration> {
        let number = self.made;
        self.made += 1;
        let path = self.dir.join(number.to_string());
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 9, 0, 2)) + number % 60_000);
        let port = 10_000 + u16::try_from(number % 50_000).map_err(io::Error::other)?;
        let start = Instant::now();
        unshare_network()?;
        let namespace = File::open("/proc/thread-self/ns/net")?;
        enter(&self.home)?;
        File::create(&path)?;
        let source = format!("/proc/self/fd/{}", namespace.as_raw_fd());
        rustix::mount::mount_bind(source, &path)?;
        enter(&namespace)?;
        let inside = Wired::open(libc::NETLINK_ROUTE)?;
        enter(&self.home)?;
        self.route.ask(&self.veth(&format!("kv{number}"), &namespace))?;
        inside.ask(&up(1))?;
        inside.ask(&address(ip, self.peer))?;
        inside.ask(&up(self.peer))?;
        inside.ask(&default_route(Ipv4Addr::new(10, 9, 0, 1)))?;
        self.nft.ask(&element(NFT_NEWSETELEM, port, Some(ip)))?;
        let took = start.elapsed();
        self.containers.push(Container { namespace, path, port });
        Ok(took)
    }

    /// Detaches the container attached last; returns when its element is gone and its namespace let go.
    pub(crate) fn detach(&mut self) -> io::Result<Duration> {
        let container = self.containers.pop().ok_or_else(|| io::Error::other("nothing is attached"))?;
        let start = Instant::now();
        self.nft.ask(&element(NFT_DELSETELEM, container.port, None))?;
        rustix::mount::unmount(&container.path, rustix::mount::UnmountFlags::DETACH)?;
        fs::remove_file(&container.path)?;
        drop(container.namespace);
        Ok(start.elapsed())
    }

    /// Waits until the kernel has removed the interfaces of all containers that were detached.
    pub(crate) fn settle(&self) -> io::Result<()> {
        for _ in 0..20_000 {
            let left = fs::read_dir("/sys/class/net/floor/brif")?.count();
            if left == self.containers.len() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Err(io::Error::other("interfaces of detached containers are still there"))
    }

    fn veth(&self, name: &str, namespace: &File) -> Vec<u8> {
        let mut message = Wire::new(RTM_NEWLINK, CREATE, &link_header(0, true));
        message.text(libc::IFLA_IFNAME, name).attribute(libc::IFLA_MASTER, &self.bridge.to_ne_bytes());
        message.nested(libc::IFLA_LINKINFO, |info| {
            info.text(1, "veth").nested(2, |data| {
                data.nested(1, |peer| {
                    let fd = namespace.as_fd().as_raw_fd();
                    peer.raw(&link_header(0, false)).text(libc::IFLA_IFNAME, "eth0");
                    peer.attribute(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes());
                });
            });
        });
        message.finish()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        while !self.containers.is_empty() && self.detach().is_ok() {}
    }
}

fn run(program: &str, args: &[&str]) -> io::Result<()> {
    let status = Command::new(program).args(args).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program} {args:?} failed"))) }
}

fn first_free_index() -> io::Result<u32> {
    let listed = Command::new("unshare").args(["--net", "cat", "/proc/net/dev"]).output()?;
    let lines = String::from_utf8_lossy(&listed.stdout).lines().count();
    // Two lines of headings, then one a device.
    u32::try_from(lines.saturating_sub(2) + 1).map_err(io::Error::other)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the floor is the bare system calls; its thread ends with the measurement"
)]
fn unshare_network() -> io::Result<()> {
    // SAFETY: a new network namespace leaves this thread's file descriptors as they are.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the floor is the bare system calls; its thread ends with the measurement"
)]
fn enter(namespace: &File) -> io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

/// `struct ifinfomsg`.
fn link_header(index: u32, up: bool) -> Vec<u8> {
    let flag: u32 = u32::from(up);
    [0_u32, index, flag, flag].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn up(index: u32) -> Vec<u8> {
    Wire::new(RTM_NEWLINK, 0, &link_header(index, true)).finish()
}

/// `struct ifaddrmsg`, then the address.
fn address(ip: Ipv4Addr, index: u32) -> Vec<u8> {
    let mut header = vec![2, 16, 0, 0];
    header.extend(index.to_ne_bytes());
    let mut message = Wire::new(RTM_NEWADDR, CREATE, &header);
    message.attribute(2, &ip.octets()).attribute(1, &ip.octets());
    message.finish()
}

/// `struct rtmsg`: main table, protocol static, universe, unicast.
fn default_route(gateway: Ipv4Addr) -> Vec<u8> {
    let mut message = Wire::new(RTM_NEWROUTE, 0x400, &[2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
    message.attribute(5, &gateway.octets());
    message.finish()
}

/// One transaction that adds or removes one element of the map.
fn element(kind: u16, port: u16, ip: Option<Ipv4Addr>) -> Vec<u8> {
    const NESTED: u16 = 1 << 15;
    let edge = |kind| Wire::new(kind, 0, &[0, 0, 0, 10]).finish();
    let mut batch = edge(NFNL_BATCH_BEGIN);
    // The batch's ends want no answer of their own.
    batch[6] &= !4;
    let flags = if ip.is_some() { 0x400 } else { 0 };
    let mut message = Wire::new(kind, flags, &[2, 0, 0, 0]);
    message.text(1, "floor").text(2, "ports");
    message.nested(3 | NESTED, |list| {
        list.nested(1 | NESTED, |one| {
            one.nested(1 | NESTED, |key| {
                key.attribute(1, &port.to_be_bytes());
            });
            if let Some(ip) = ip {
                one.nested(2 | NESTED, |data| {
                    let mut value = ip.octets().to_vec();
                    value.extend(80_u16.to_be_bytes());
                    value.extend([0, 0]);
                    data.attribute(1, &value);
                });
            }
        });
    });
    batch.extend(message.finish());
    let mut end = edge(NFNL_BATCH_END);
    end[6] &= !4;
    batch.extend(end);
    batch
}
