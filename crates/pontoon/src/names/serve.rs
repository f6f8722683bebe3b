//! The helper: reads the names, answers, and announces.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_core::files::NameServer;
use pontoon_dns::{Limits, Resolver, SandboxKey};
use pontoon_host::linux::raise_file_limit;
use pontoon_netlink::netns::Identity;

use super::announce::Announcements;
use super::sockets::Namespaces;
use super::zones::Zones;
use super::{LOAD, LOADED, Names, SandboxNames, document, read, socket, upstream};

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
    let Some(_only) = alone(run_dir)? else { return Ok(()) };
    let service = Arc::new(Service::start(run_dir)?);
    if let Err(error) = service.lock().load(run_dir) {
        tracing::warn!(%error, "the names cannot be read");
    }
    // Whoever reaches the socket knows that what was written down before is loaded.
    let path = socket(run_dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let theirs = service.clone();
    thread::Builder::new().name("names".to_owned()).spawn(move || accept(&listener, &theirs))?;
    service.attend();
    // From here on nobody is answered: who finds the socket gone, or hears nothing, starts another helper.
    let gone = fs::remove_file(&path);
    service.lock().clear();
    gone
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
        if UnixStream::connect(socket(run_dir)).is_ok() || begun.elapsed() > PATIENCE {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn accept(listener: &UnixListener, service: &Arc<Service>) {
    for stream in listener.incoming() {
        let (Ok(stream), service) = (stream, service.clone()) else {
            // Without descriptors there is nothing to do but to wait for some.
            thread::sleep(PERIOD);
            continue;
        };
        let spawned = thread::Builder::new().name("client".to_owned()).spawn(move || {
            // An error is the client's end.
            let _ = converse(&stream, &service);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "a client is not heard");
        }
    }
}

fn converse(stream: &UnixStream, service: &Service) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        if line? == LOAD && service.lock().load(&service.run_dir)? {
            (&*stream).write_all(format!("{LOADED}\n").as_bytes())?;
        }
    }
    Ok(())
}

struct Service {
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
            used: Some(Instant::now()),
        };
        Ok(Self { run_dir: run_dir.to_owned(), served: Mutex::new(served) })
    }

    /// Looks now and then until nobody needs an answer.
    fn attend(&self) {
        let mut version = None;
        loop {
            thread::sleep(PERIOD);
            let of_host = upstream::of_host();
            let mut served = self.lock();
            let present = fs::metadata(document(&self.run_dir)).ok().map(|meta| (meta.ino(), meta.mtime_nsec()));
            if std::mem::replace(&mut version, present) != present
                && let Err(error) = served.load(&self.run_dir)
            {
                tracing::warn!(%error, "the names cannot be read");
            }
            served.look(of_host);
            if served.is_over() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Served> {
        // What a panic leaves half done is done again with the next look.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
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
        for (id, names) in wanted {
            let key = SandboxKey::new(&id);
            let view = || self.zones.view(&names, &self.of_host);
            match self.sandboxes.get_mut(&id) {
                Some((_, present)) if *present == names => {}
                Some((_, present)) => {
                    self.resolver.publish(&key, view());
                    *present = names;
                }
                None => match self.namespaces.listen(&id) {
                    Ok((sockets, identity)) => match self.resolver.add(key, sockets, view()) {
                        Ok(()) => drop(self.sandboxes.insert(id, (identity, names))),
                        Err(error) => tracing::warn!(%error, "not answered"),
                    },
                    Err(error) => tracing::warn!(sandbox = %id, %error, "not answered, trying again"),
                },
            }
        }
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
            self.namespaces.identity(id) != Some(*identity)
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
        self.names.announced.keys().any(|id| self.namespaces.identity(&id.short()).is_some())
    }

    fn clear(&mut self) {
        let all: Vec<String> = self.sandboxes.keys().cloned().collect();
        all.iter().for_each(|id| self.let_go(id));
    }
}
