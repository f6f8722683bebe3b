//! The helper: reads the names, answers, and announces.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::files::NameServer;
use pontoon_dns::{Limits, Resolver, SandboxKey};
use pontoon_host::linux::raise_file_limit;
use pontoon_netlink::netns::Identity;
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::announce::Announcements;
use super::clients::Entrance;
use super::helper::connect;
use super::sockets::Namespaces;
use super::status::Status;
use super::zones::Zones;
use super::{Names, SOCKET, SandboxNames, read, upstream, version};

/// How often the helper looks by itself: at the document, at namespaces, and at the host's name servers.
const PERIOD: Duration = Duration::from_millis(500);
/// How long it stays without a sandbox.
const LINGER: Duration = Duration::from_secs(1);
/// How long it waits for one that is about to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers the sandboxes of a run directory until none has been there for a moment. Returns at once if another process does.
///
/// The calling thread's network namespace must be that of the controller: from there the host's name servers are asked.
///
/// # Errors
///
/// If the run directory, the socket or threads cannot be had.
pub fn serve(run_dir: &Path) -> io::Result<()> {
    // It outlives the terminal of whoever started it; it leads a session already only if it was started by hand.
    let _ = rustix::process::setsid();
    raise_file_limit();
    let Some(directory) = alone(run_dir)? else { return Ok(()) };
    let service = Arc::new(Service::start(run_dir)?);
    if let Err(error) = service.load() {
        tracing::warn!(%error, "the names cannot be read");
    }
    // Whoever reaches the socket knows that what was written down before is loaded.
    let entrance = Entrance::open(&service)?;
    attend(&service, &directory, entrance);
    // From here on nobody is answered: who finds the socket gone, or hears nothing, starts another helper. The directory is the
    // one that this helper holds, whatever is at its path now: another's socket is not removed.
    let gone = unlinkat(&directory, SOCKET, AtFlags::empty());
    service.lock().clear();
    match gone {
        Err(Errno::NOENT) => Ok(()),
        gone => Ok(gone?),
    }
}

/// Takes the place of the one helper; none if another has it and answers.
fn alone(run_dir: &Path) -> io::Result<Option<File>> {
    let directory = File::open(run_dir)?;
    let begun = Instant::now();
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if connect(run_dir).is_ok() || begun.elapsed() > PATIENCE {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The helper, for its clients.
pub(super) struct Service {
    run_dir: PathBuf,
    served: Mutex<Served>,
}

/// What is answered, and to whom.
struct Served {
    namespaces: Arc<Namespaces>,
    resolver: Resolver,
    zones: Zones,
    names: Names,
    announcements: Announcements,
    of_host: Vec<NameServer>,
    /// Those that have sockets, with the namespace that these are in and what they see.
    sandboxes: BTreeMap<String, (Identity, SandboxNames)>,
    /// Those that should have some, and why they have none.
    refused: BTreeMap<String, String>,
    /// When there was a sandbox last; nothing when the helper has ended.
    used: Option<Instant>,
}

impl Service {
    fn start(run_dir: &Path) -> io::Result<Self> {
        let namespaces = Arc::new(Namespaces::below(run_dir)?);
        let served = Served {
            resolver: Resolver::start(namespaces.clone(), Limits::default())?,
            namespaces,
            zones: Zones::default(),
            names: Names::default(),
            announcements: Announcements::below(run_dir).map_err(io::Error::other)?,
            of_host: upstream::of_host().unwrap_or_default(),
            sandboxes: BTreeMap::new(),
            refused: BTreeMap::new(),
            used: Some(Instant::now()),
        };
        Ok(Self { run_dir: run_dir.to_owned(), served: Mutex::new(served) })
    }

    pub(super) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Puts what is written down in force; returns false if it is too late for that.
    pub(super) fn load(&self) -> io::Result<bool> {
        self.lock().load(&self.run_dir)
    }

    /// Returns who is answered, and who is not.
    pub(super) fn status(&self) -> Status {
        let served = self.lock();
        Status { answered: served.sandboxes.keys().cloned().collect(), refused: served.refused.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Served> {
        // What a panic leaves half done is done again with the next look.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks now and then until nobody needs an answer, or the run directory is another one.
fn attend(service: &Arc<Service>, directory: &File, mut entrance: Entrance) {
    let run_dir = service.run_dir();
    let mut seen = None;
    loop {
        thread::sleep(PERIOD);
        if !is_at(directory, run_dir) {
            return;
        }
        if !entrance.is_there() {
            match Entrance::open(service) {
                Ok(new) => entrance = new,
                Err(error) => tracing::warn!(%error, "nobody can reach this process any more"),
            }
        }
        let of_host = upstream::of_host();
        let mut served = service.lock();
        let present = version(run_dir);
        if std::mem::replace(&mut seen, present) != present
            && let Err(error) = served.load(run_dir)
        {
            tracing::warn!(%error, "the names cannot be read");
            // It may be for a moment only.
            seen = None;
        }
        served.look(of_host);
        if served.is_over() {
            return;
        }
    }
}

/// Returns whether an open directory is still what is found at its path.
fn is_at(directory: &File, path: &Path) -> bool {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (directory.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(found)) => identity(held) == identity(found),
        (_, Err(error)) => error.kind() != ErrorKind::NotFound,
        (Err(_), Ok(_)) => true,
    }
}

impl Served {
    /// Puts what is written down in force; returns false if it is too late for that.
    fn load(&mut self, run_dir: &Path) -> io::Result<bool> {
        if self.used.is_none() {
            return Ok(false);
        }
        self.names = read(run_dir)?;
        self.zones.follow(&self.names.networks);
        self.follow();
        self.announcements.follow(&self.names.announced);
        Ok(true)
    }

    /// Makes the sandboxes that are answered those that have names; one whose sockets cannot be opened is tried again later.
    fn follow(&mut self) {
        let wanted: BTreeMap<String, SandboxNames> =
            self.names.sandboxes.iter().map(|(id, names)| (id.short(), names.clone())).collect();
        let gone: Vec<String> = self.sandboxes.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
        gone.iter().for_each(|id| self.let_go(id));
        self.refused.clear();
        for (id, names) in wanted {
            match self.sandboxes.get_mut(&id) {
                Some((_, present)) if *present == names => {}
                Some((_, present)) => {
                    self.resolver.publish(&SandboxKey::new(&id), self.zones.view(&names, &self.of_host));
                    *present = names;
                }
                None => {
                    if let Err(error) = self.take_on(&id, names) {
                        tracing::warn!(sandbox = %id, %error, "not answered, trying again");
                        self.refused.insert(id, error.to_string());
                    }
                }
            }
        }
    }

    fn take_on(&mut self, id: &str, names: SandboxNames) -> io::Result<()> {
        let (sockets, identity) = self.namespaces.listen(id)?;
        let view = self.zones.view(&names, &self.of_host);
        self.resolver.add(SandboxKey::new(id), sockets, view).map_err(io::Error::other)?;
        self.sandboxes.insert(id.to_owned(), (identity, names));
        Ok(())
    }

    /// Closes the sockets of a sandbox, which would keep its namespace.
    fn let_go(&mut self, id: &str) {
        self.resolver.remove(&SandboxKey::new(id));
        self.sandboxes.remove(id);
    }

    /// Follows what changes without being told: namespaces that vanished, the host's name servers as
    /// far as they are known.
    fn look(&mut self, of_host: Option<Vec<NameServer>>) {
        let moved = |(id, (identity, _)): &(&String, &(Identity, SandboxNames))| {
            // What cannot be looked at, for want of memory, is kept.
            self.namespaces.identity(id).is_ok_and(|present| present != Some(*identity))
        };
        let moved: Vec<String> = self.sandboxes.iter().filter(moved).map(|(id, _)| id.clone()).collect();
        moved.iter().for_each(|id| self.let_go(id));
        if let Some(of_host) = of_host.filter(|of_host| *of_host != self.of_host) {
            self.of_host = of_host;
            for (id, (_, names)) in &self.sandboxes {
                self.resolver.publish(&SandboxKey::new(id), self.zones.view(names, &self.of_host));
            }
        }
        self.follow();
    }

    /// Returns whether there has been no sandbox for a while; then nothing is loaded any more.
    fn is_over(&mut self) -> bool {
        if !self.sandboxes.is_empty() || self.announces() {
            self.used = Some(Instant::now());
        }
        if self.used.is_some_and(|used| used.elapsed() > LINGER) {
            self.used = None;
        }
        self.used.is_none()
    }

    /// Returns whether a sandbox is there whose addresses are announced.
    fn announces(&self) -> bool {
        self.names.announced.keys().any(|id| !matches!(self.namespaces.identity(&id.short()), Ok(None)))
    }

    /// Lets go of everybody, for good.
    fn clear(&mut self) {
        self.used = None;
        let all: Vec<String> = self.sandboxes.keys().cloned().collect();
        all.iter().for_each(|id| self.let_go(id));
    }
}
