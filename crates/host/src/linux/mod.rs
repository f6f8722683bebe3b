//! A Linux host: netlink, `/proc/sys`, namespaces and sockets.
//!
//! ```text
//! plan ─▶ run ─┬─ sysctls              /proc/sys
//!              ├─ firewall             one nftables transaction, shared by threads
//!              ├─ namespaces           a visit: unshare, keep, loopback up
//!              ├─ files                what containers see, written in place
//!              ├─ bridges, veths       host socket
//!              ├─ limits                token buckets on the host's side
//!              ├─ redirect             one nftables transaction a namespace
//!              ├─ settings             a visit: /proc/sys/net of the sandbox's interfaces
//!              ├─ layer3               one batch a namespace: addresses and routes
//!              ├─ held                 bound sockets
//!              └─ advertise            who has an address now
//! observe ◀─ links by group, addresses and routes by protocol, our table, our files
//! ```
//!
//! What is ours is marked: links by [`LINK_GROUP`], addresses and routes by [`PROTOCOL`], namespaces by their path.

mod advertise;
mod bridges;
mod conflicts;
mod error;
mod files;
mod firewall;
mod held;
mod layer3;
mod limits;
mod namespaces;
mod observe;
mod pool;
mod read;
mod reaper;
mod redirect;
mod run;
mod survey;
mod sysctls;
mod tenants;
mod veths;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use pontoon_core::engine::{ApplyError, Counters, FirewallWatch, Host, HostError, HostProfile, Observe, Query};
use pontoon_core::files::Basis;
use pontoon_core::model::NamespaceSource;
use pontoon_core::model::SandboxId;
use pontoon_core::objects::{Objects, Op, Plan};
use pontoon_netlink::conntrack::FlowFilter;
use pontoon_netlink::netns::Visitor;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

pub use advertise::{Announcement, Announcer, Ticket};
pub use files::name_servers;

use firewall::{Firewall, forget_flows};
use held::HeldPorts;
use namespaces::Files;
use pool::Pool;
use reaper::Reaper;
use tenants::Tenants;

/// The group of links that are ours.
pub const LINK_GROUP: u32 = 28_782;
/// The group of links that wait to be deleted.
pub const REAP_GROUP: u32 = 28_783;
/// The protocol number of addresses and routes that are ours.
pub const PROTOCOL: u8 = 112;

/// How long [`LinuxHost`] waits for deletions when it is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// Interface indices of our own start here, far above those that the kernel gives out.
const FIRST_INDEX: u32 = 0x1_0000;

/// How to open a [`LinuxHost`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxConfig {
    /// The directory for what must not outlive a boot, such as `/run/pontoon`.
    pub run_dir: PathBuf,
    /// How many threads visit namespaces.
    pub visitors: NonZeroUsize,
    /// Whether addresses are announced once only, when they are new, because another process makes the later announcements.
    pub announces_once: bool,
}

impl LinuxConfig {
    /// Takes the run directory; four threads visit namespaces, and this process makes all announcements.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        let visitors = const { NonZeroUsize::new(4).expect("four is not zero") };
        Self { run_dir: run_dir.into(), visitors, announces_once: false }
    }
}

/// A moment at which tests interfere with a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point<'a> {
    /// A step is about to be taken.
    Step {
        /// Its position in the plan.
        step: usize,
        /// The step.
        op: &'a Op,
    },
    /// The steps before this one have reached the kernel; this one and its fellows of the same batch have not.
    Batch {
        /// The position of the batch's first step.
        step: usize,
    },
}

/// Called at each [`Point`] of a plan, not of its undoing; an error makes exactly that step fail.
pub type Probe = Arc<dyn Fn(Point<'_>) -> Result<(), HostError> + Send + Sync>;

/// The Linux host that this process runs on, in the network namespace it was opened in.
pub struct LinuxHost {
    files: Arc<Files>,
    visitor: Arc<Visitor>,
    routes: Pool,
    firewall: Firewall,
    held: HeldPorts,
    reaper: Reaper,
    tenants: Tenants,
    /// Makes the announcements after the first, unless somebody else does.
    announcer: Option<Announcer>,
    indices: AtomicU32,
    probe: Option<Probe>,
}

impl LinuxHost {
    /// Opens the host: makes the run directory, raises the limit of open files, and resumes interrupted deletions.
    ///
    /// # Errors
    ///
    /// [`HostError::Privileges`] without `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`; [`HostError::Kernel`] if the run directory
    /// cannot be made or netlink does not answer.
    pub fn open(config: LinuxConfig) -> Result<Self, HostError> {
        let host = Self::open_read_only(config)?;
        raise_file_limit();
        host.files.make_directories()?;
        host.files.remove_stray_records()?;
        host.reaper.reap();
        Ok(host)
    }

    /// Opens a host that is only looked at: nothing is made, and nothing that an earlier process left is deleted.
    ///
    /// # Errors
    ///
    /// Those of [`LinuxHost::open`], except for the run directory: where there is none, there are no namespaces.
    pub fn open_read_only(config: LinuxConfig) -> Result<Self, HostError> {
        check_capabilities()?;
        let visitor = Arc::new(Visitor::new(config.visitors).map_err(|e| error::failed(&e))?);
        let files = Arc::new(Files::below(&config.run_dir));
        Ok(Self {
            reaper: Reaper::start(&files)?,
            announcer: (!config.announces_once).then(|| Announcer::new(&files, &visitor)),
            files,
            visitor,
            routes: Pool::default(),
            firewall: Firewall::default(),
            held: HeldPorts::default(),
            tenants: Tenants::default(),
            indices: AtomicU32::new(random()),
            probe: None,
        })
    }

    /// Calls `probe` at every point of every plan.
    #[must_use]
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Returns two interface indices that nobody uses, in all likelihood: the kernel refuses others with `EBUSY`.
    fn draw_indices(&self) -> (u32, u32) {
        let draw = self.indices.fetch_add(1, Ordering::Relaxed) & 0x0fff_ffff;
        let index = FIRST_INDEX + 2 * draw;
        (index, index + 1)
    }
}

impl Observe for LinuxHost {
    fn observe(&self, query: &Query) -> Result<Objects, HostError> {
        observe::observe(self, query)
    }

    fn counters(&self, sandbox: SandboxId) -> Result<BTreeMap<String, Counters>, HostError> {
        observe::counters(self, sandbox)
    }

    fn survey(&self) -> Result<HostProfile, HostError> {
        survey::survey(self)
    }

    fn files_basis(&self, namespace: &NamespaceSource) -> Result<Basis, HostError> {
        files::basis(namespace)
    }

    fn check_namespace(&self, sandbox: SandboxId, path: &str) -> Result<(), HostError> {
        namespaces::check(path, sandbox, &self.files, &self.visitor).map(drop)
    }
}

impl Host for LinuxHost {
    fn apply(&self, plan: &Plan) -> Result<(), ApplyError> {
        run::apply(self, plan)
    }

    fn settle(&self) -> Result<(), HostError> {
        self.reaper.settle(None)
    }

    fn watch_firewall(&self) -> Result<Box<dyn FirewallWatch>, HostError> {
        Ok(Box::new(self.firewall.watch()?))
    }

    fn forget_strays(&self, subnets: &[IpNet], taken: &BTreeSet<IpAddr>) {
        forget_flows(&[FlowFilter::Strays { subnets: subnets.to_vec(), taken: taken.clone() }]);
    }
}

impl Drop for LinuxHost {
    fn drop(&mut self) {
        if let Err(error) = self.reaper.settle(Some(PATIENCE)) {
            tracing::warn!(%error, "deletions were not finished; the next start does it");
        }
    }
}

impl fmt::Debug for LinuxHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxHost").field("files", &self.files).finish_non_exhaustive()
    }
}

fn check_capabilities() -> Result<(), HostError> {
    let needed = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    let present = capabilities(None).map_err(|e| error::io("reading this process's capabilities", &e.into()))?;
    match present.effective.contains(needed) {
        true => Ok(()),
        false => Err(HostError::Privileges { what: "changing networks (CAP_NET_ADMIN and CAP_SYS_ADMIN)".to_owned() }),
    }
}

/// Raises the limit of open files of this process as far as it may: every held port, every namespace in use and every query
/// that waits for an answer takes a descriptor.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => u32::from_ne_bytes(bytes),
        // Any number will do: a collision is noticed.
        Err(_) => std::process::id().wrapping_mul(0x9e37_79b9),
    }
}
