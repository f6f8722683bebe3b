//! Namespaces of sandboxes, and the files that keep them.
//!
//! ```text
//! <run dir>/netns/<first 12 of the id>       the namespace, mounted
//! <run dir>/sandboxes/<first 12 of the id>   the whole id, and whose namespace it is
//! <run dir>/files/<first 12 of the id>/      what its container sees
//! ```
//!
//! The loopback interface of every sandbox is up: its resolver is reached over it. Of one that was down in a namespace of somebody
//! else the record says so, before it is set up; it goes down again when the namespace is given back. The address that Linux gave
//! it when it first went up stays.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pontoon_core::engine::HostError;
use pontoon_core::model::{NamespaceSource, SandboxId};
use pontoon_core::objects::Namespace;
use pontoon_netlink::netns::{self, Visitor, destroy};
use pontoon_netlink::route::{LinkChange, link};
use pontoon_netlink::{Error, Protocol, Socket};
use rustix::fs::statfs;
use rustix::mount::mount_bind;

use super::error;

/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// The loopback interface of a new namespace is always its first.
const LOOPBACK: u32 = 1;
/// What a record calls a namespace of somebody else.
const ADOPTED: &str = "adopted";
/// The same with a loopback interface that was down.
const RAISED: &str = "raised";
const WHAT: &str = "making network namespaces";
const LOOPBACK_UP: &str = "setting the sandbox's loopback interface up";
const LOOPBACK_DOWN: &str = "setting the sandbox's loopback interface down again";
const CLOSING: &str = "switching IPv6 off for interfaces to come in the sandbox";

/// Where the files are.
#[derive(Debug)]
pub(super) struct Files {
    netns: PathBuf,
    sandboxes: PathBuf,
    files: PathBuf,
}

/// A namespace that is open, with a route socket inside.
pub(super) struct Open {
    pub(super) namespace: netns::Namespace,
    pub(super) socket: Socket,
}

impl Files {
    /// Looks for the files below a directory.
    pub(super) fn below(run_dir: &Path) -> Self {
        Self { netns: run_dir.join("netns"), sandboxes: run_dir.join("sandboxes"), files: run_dir.join("files") }
    }

    /// Makes the directories, unless they are there.
    pub(super) fn make_directories(&self) -> Result<(), HostError> {
        for directory in [&self.netns, &self.sandboxes, &self.files] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(directory)
                .map_err(|e| error::io(&format!("making the directory {}", directory.display()), &e))?;
        }
        Ok(())
    }

    /// A crash between record and namespace leaves a record that means nothing.
    pub(super) fn remove_stray_records(&self) -> Result<(), HostError> {
        let failed = |e: io::Error| error::io(&format!("clearing the directory {}", self.sandboxes.display()), &e);
        for entry in fs::read_dir(&self.sandboxes).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !self.netns.join(entry.file_name()).exists() {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, sandbox: SandboxId) -> PathBuf {
        self.netns.join(sandbox.short())
    }

    /// Returns whether a sandbox's namespace is kept.
    pub(super) fn is_kept(&self, sandbox: SandboxId) -> bool {
        is_live(&self.path(sandbox))
    }

    fn record(&self, sandbox: SandboxId) -> PathBuf {
        self.sandboxes.join(sandbox.short())
    }

    /// Returns where a sandbox's files are.
    pub(super) fn directory(&self, sandbox: SandboxId) -> PathBuf {
        self.files.join(sandbox.short())
    }

    /// Returns the names of the directories of sandboxes' files: short ids.
    pub(super) fn directories(&self) -> Result<Vec<String>, HostError> {
        let failed = |e: io::Error| error::io(&format!("reading the directory {}", self.files.display()), &e);
        let entries = match fs::read_dir(&self.files) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(failed)?,
        };
        entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Returns the sandboxes whose namespaces are kept. Files name them by the short id; the records beside them say more, and
    /// where one is lost, the ids that are known.
    pub(super) fn present(&self, known: &[SandboxId]) -> Result<Vec<Namespace>, HostError> {
        let failed = |e: io::Error| error::io(&format!("reading the directory {}", self.netns.display()), &e);
        let mut present = Vec::new();
        let entries = match fs::read_dir(&self.netns) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(present),
            listed => listed.map_err(failed)?,
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let recorded = fs::read_to_string(self.sandboxes.join(&name)).unwrap_or_default();
            let known = || known.iter().find(|sandbox| *sandbox.short() == *name.to_string_lossy()).copied();
            // Otherwise the short form is all there is, and enough to remove it.
            let padded = || known().or_else(|| padded(&name.to_string_lossy()));
            let namespace = read_record(&recorded)
                .or_else(|| padded().map(|sandbox| Namespace { sandbox, source: NamespaceSource::New }));
            present.extend(namespace.filter(|namespace| is_live(&self.path(namespace.sandbox))));
        }
        Ok(present)
    }
}

/// Returns an id that begins like this one.
pub(super) fn padded(short: &str) -> Option<SandboxId> {
    format!("{short:0<64}").parse().ok()
}

fn read_record(text: &str) -> Option<Namespace> {
    let (id, source) = text.split_once('\n')?;
    let source = match source.trim_end_matches('\n').split_once(' ') {
        None if source.starts_with("new") => NamespaceSource::New,
        None if source.starts_with("host") => NamespaceSource::Host,
        Some((ADOPTED | RAISED, path)) => NamespaceSource::Adopted(path.to_owned()),
        _ => return None,
    };
    Some(Namespace { sandbox: id.parse().ok()?, source })
}

fn write_record(namespace: &Namespace) -> String {
    let source = match &namespace.source {
        NamespaceSource::New => "new".to_owned(),
        NamespaceSource::Host => "host".to_owned(),
        NamespaceSource::Later => "later".to_owned(),
        NamespaceSource::Adopted(path) => format!("{ADOPTED} {path}"),
    };
    format!("{}\n{source}\n", namespace.sandbox)
}

/// Returns whether a namespace is mounted there.
fn is_live(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.f_type as u64 == NSFS_MAGIC)
}

/// Makes or takes over a sandbox's namespace. One that is there already is kept if it is the one asked for.
pub(super) fn add(files: &Files, visitor: &Visitor, namespace: &Namespace) -> Result<Option<Open>, HostError> {
    let path = files.path(namespace.sandbox);
    let record = files.record(namespace.sandbox);
    if path.exists() {
        let present = fs::read_to_string(&record).ok().and_then(|text| read_record(&text));
        if present.as_ref() == Some(namespace) && is_live(&path) {
            let mut open = open(files, visitor, namespace.sandbox)?;
            if let NamespaceSource::Adopted(theirs) = &namespace.source {
                raise_loopback(files, namespace.sandbox, theirs, &mut open)?;
            }
            if namespace.is_made() {
                loopback_up(&mut open.socket).map_err(|e| error::because(WHAT, &e))?;
                let closed = visitor.visit(&open.namespace, close_to_ipv6).map_err(|e| error::because(WHAT, &e))?;
                closed.map_err(|e| error::io(CLOSING, &e))?;
            }
            return Ok(Some(open));
        }
        give_back(files, visitor, namespace.sandbox)?;
    }
    // Before the namespace: a crash in between leaves a record that means nothing.
    fs::write(&record, write_record(namespace)).map_err(|e| error::io(WHAT, &e))?;
    let made = match &namespace.source {
        NamespaceSource::New => make(visitor, &path).map(Some),
        NamespaceSource::Adopted(theirs) => adopt(theirs, namespace.sandbox, files, visitor).map(Some),
        NamespaceSource::Later => Err(HostError::Missing { what: namespace.to_string() }),
        NamespaceSource::Host => {
            let own = format!("/proc/self/fd/{}", visitor.home().as_raw_fd());
            keep(Path::new(&own), &path).map(|()| None)
        }
    };
    if made.is_err() {
        // The first error is what matters; a record alone means nothing.
        let _ = fs::remove_file(&record);
    }
    made
}

fn make(visitor: &Visitor, path: &Path) -> Result<Open, HostError> {
    let inside = |_: &netns::Namespace| {
        let mut socket = Socket::open(Protocol::Route)?;
        loopback_up(&mut socket)?;
        Ok::<_, Error>((socket, close_to_ipv6()))
    };
    let (namespace, socket) = visitor.create(Some(path), inside).map_err(|e| error::because(WHAT, &e))?;
    match socket {
        Ok((socket, Ok(()))) => Ok(Open { namespace, socket }),
        Ok((_, Err(e))) => Err(unmake(path, error::io(CLOSING, &e))),
        Err(e) => Err(unmake(path, error::because(WHAT, &e))),
    }
}

fn unmake(path: &Path, error: HostError) -> HostError {
    // The first error is what matters.
    let _ = destroy(path);
    error
}

/// Sees to it that interfaces to come have no IPv6 unless they are told to: one without an address of ours would have a
/// link-local one, and listen to its neighbours. A kernel without IPv6 has no such settings.
fn close_to_ipv6() -> io::Result<()> {
    // Routes come from the records: a neighbour that plays the router shall not be believed.
    let _believed = fs::write("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
    match fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1") {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

fn loopback_up(socket: &mut Socket) -> Result<(), Error> {
    socket.request(&LinkChange { up: Some(true), ..LinkChange::new(LOOPBACK) }.set())
}

fn adopt(theirs: &str, sandbox: SandboxId, files: &Files, visitor: &Visitor) -> Result<Open, HostError> {
    check(theirs, files, visitor)?;
    let path = files.path(sandbox);
    keep(Path::new(theirs), &path)?;
    let adopted = open(files, visitor, sandbox).and_then(|mut open| {
        raise_loopback(files, sandbox, theirs, &mut open)?;
        Ok(open)
    });
    adopted.map_err(|error| unmake(&path, error))
}

/// Sets the loopback interface of a namespace of somebody else up, and notes in the sandbox's record if it was down.
fn raise_loopback(files: &Files, sandbox: SandboxId, theirs: &str, open: &mut Open) -> Result<(), HostError> {
    let failed = |e: Error| error::because(LOOPBACK_UP, &e);
    if link(&mut open.socket, LOOPBACK).map_err(failed)?.is_none_or(|loopback| loopback.up) {
        return Ok(());
    }
    let record = format!("{sandbox}\n{RAISED} {theirs}\n");
    fs::write(files.record(sandbox), record).map_err(|e| error::io(LOOPBACK_UP, &e))?;
    loopback_up(&mut open.socket).map_err(failed)
}

/// Sets the loopback interface of a namespace of somebody else down, if it was found so.
fn lower_loopback(files: &Files, visitor: &Visitor, sandbox: SandboxId) -> Result<(), HostError> {
    let record = fs::read_to_string(files.record(sandbox)).unwrap_or_default();
    let was_down = record.split_once('\n').is_some_and(|(_, source)| source.starts_with(RAISED));
    if !was_down || !files.is_kept(sandbox) {
        return Ok(());
    }
    let mut open = open(files, visitor, sandbox)?;
    let down = LinkChange { up: Some(false), ..LinkChange::new(LOOPBACK) };
    open.socket.request(&down.set()).map_err(|e| error::because(LOOPBACK_DOWN, &e))
}

/// Refuses what is no network namespace, and those that nobody may take over.
fn check(theirs: &str, files: &Files, visitor: &Visitor) -> Result<(), HostError> {
    let source = Path::new(theirs);
    if !source.exists() {
        return Err(HostError::Missing { what: format!("network namespace {theirs}") });
    }
    if !is_live(source) {
        return Err(error::of(libc::EINVAL, format!("{theirs} is not a network namespace")));
    }
    let namespace = netns::Namespace::open(source).map_err(|e| error::because(WHAT, &e))?;
    // Namespaces of other kinds look alike until somebody enters them.
    if visitor.visit(&namespace, || ()).is_err() {
        return Err(error::of(libc::EINVAL, format!("{theirs} is not a network namespace")));
    }
    let identity = |one: &netns::Namespace| one.identity().map_err(|e| error::because(WHAT, &e));
    if identity(&namespace)? == identity(visitor.home())? {
        return Err(error::of(
            libc::EINVAL,
            format!("{theirs} is the host's own network namespace, which no sandbox can have"),
        ));
    }
    // Two sandboxes would take each other's interfaces for strays.
    for present in files.present(&[])? {
        let other = netns::Namespace::open(files.path(present.sandbox)).map_err(|e| error::because(WHAT, &e))?;
        if identity(&namespace)? == identity(&other)? {
            let sandbox = present.sandbox.short();
            return Err(HostError::InUse { what: theirs.to_owned(), sandbox });
        }
    }
    Ok(())
}

fn keep(source: &Path, path: &Path) -> Result<(), HostError> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| error::io(WHAT, &e))?;
    mount_bind(source, path).map_err(|errno| {
        // The mount's error is what matters; a file left behind is harmless.
        let _ = fs::remove_file(path);
        error::io(WHAT, &errno.into())
    })
}

/// Opens a sandbox's namespace and a route socket inside.
pub(super) fn open(files: &Files, visitor: &Visitor, sandbox: SandboxId) -> Result<Open, HostError> {
    let path = files.path(sandbox);
    if !is_live(&path) {
        return Err(HostError::Missing { what: format!("the network namespace of sandbox {}", sandbox.short()) });
    }
    let what = "entering network namespaces";
    let namespace = netns::Namespace::open(&path).map_err(|e| error::because(what, &e))?;
    let socket = visitor.visit(&namespace, || Socket::open(Protocol::Route)).and_then(|socket| socket);
    Ok(Open { namespace, socket: socket.map_err(|e| error::because(what, &e))? })
}

/// Gives the namespace of somebody else back as it was found, and removes the files that keep it.
pub(super) fn give_back(files: &Files, visitor: &Visitor, sandbox: SandboxId) -> Result<(), HostError> {
    lower_loopback(files, visitor, sandbox)?;
    remove(files, sandbox)
}

/// Removes the files that keep a namespace; not an error if there are none.
pub(super) fn remove(files: &Files, sandbox: SandboxId) -> Result<(), HostError> {
    destroy(files.path(sandbox)).map_err(|e| error::because("removing network namespaces", &e))?;
    match fs::remove_file(files.record(sandbox)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(error::io("removing the record of a sandbox", &e)),
        _ => Ok(()),
    }
}
