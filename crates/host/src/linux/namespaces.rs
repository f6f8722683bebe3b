//! Namespaces of sandboxes, and the files that keep them.
//!
//! ```text
//! <run dir>/netns/<first 12 of the id>       the namespace, mounted
//! <run dir>/sandboxes/<first 12 of the id>   the whole id, whose namespace it is, of one that is adopted the number, and whether
//!                                            its loopback interface was down
//! <run dir>/files/<first 12 of the id>/      what its container sees
//! ```

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
use pontoon_netlink::{Error, Protocol, Request, Socket};
use rustix::fs::statfs;
use rustix::mount::mount_bind;

use super::error;

/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// The loopback interface of a new namespace is always its first.
const LOOPBACK: u32 = 1;
const LOOPBACK_NAME: &str = "lo";
/// What a record says of a namespace whose loopback interface was down.
const LOOPBACK_WAS_DOWN: &str = "loopback was down";
const WHAT: &str = "making network namespaces";
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
    let source = match source.lines().next()?.split_once(' ') {
        None if source.starts_with("new") => NamespaceSource::New,
        None if source.starts_with("host") => NamespaceSource::Host,
        Some(("adopted", path)) => NamespaceSource::Adopted(path.to_owned()),
        _ => return None,
    };
    Some(Namespace { sandbox: id.parse().ok()?, source })
}

/// Returns the number that the namespace of a record has, if it was adopted: its path may lead elsewhere by now, as that of a
/// process does whose pid was given again.
fn read_cookie(text: &str) -> Option<u64> {
    text.lines().nth(2)?.parse().ok()
}

fn write_record(namespace: &Namespace, cookie: Option<u64>) -> String {
    let source = match &namespace.source {
        NamespaceSource::New => "new".to_owned(),
        NamespaceSource::Host => "host".to_owned(),
        NamespaceSource::Later => "later".to_owned(),
        NamespaceSource::Adopted(path) => format!("adopted {path}"),
    };
    let cookie = cookie.map(|cookie| format!("{cookie}\n")).unwrap_or_default();
    format!("{}\n{source}\n{cookie}", namespace.sandbox)
}

/// Returns whether a namespace is mounted there.
fn is_live(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.f_type as u64 == NSFS_MAGIC)
}

/// Makes or takes over a sandbox's namespace. One that is there already is kept if it is the one asked for.
pub(super) fn add(files: &Files, visitor: &Visitor, namespace: &Namespace) -> Result<Option<Open>, HostError> {
    let path = files.path(namespace.sandbox);
    let record = files.record(namespace.sandbox);
    let recorded = fs::read_to_string(&record).unwrap_or_default();
    let present = read_record(&recorded);
    let is_same = present.as_ref() == Some(namespace);
    if is_same && is_live(&path) {
        return reopen(files, visitor, namespace).map(Some);
    }
    let cookie = match &namespace.source {
        NamespaceSource::Adopted(theirs) => {
            let cookie = check(theirs, namespace.sandbox, files, visitor)?;
            if is_same && read_cookie(&recorded).is_some_and(|adopted| adopted != cookie) {
                return Err(HostError::Missing {
                    what: format!("the network namespace that was adopted from {theirs}, which is another one by now,"),
                });
            }
            Some(cookie)
        }
        _ => None,
    };
    if path.exists() {
        release(files, visitor, namespace.sandbox)?;
    }
    // Before the namespace: a crash in between leaves a record that means nothing.
    fs::write(&record, write_record(namespace, cookie)).map_err(|e| error::io(WHAT, &e))?;
    let made = match &namespace.source {
        NamespaceSource::New => make(visitor, &path).map(Some),
        NamespaceSource::Adopted(theirs) => {
            keep(Path::new(theirs), &path).and_then(|()| reopen(files, visitor, namespace)).map(Some)
        }
        NamespaceSource::Later => Err(HostError::Missing { what: namespace.to_string() }),
        NamespaceSource::Host => {
            let own = format!("/proc/self/fd/{}", visitor.home().as_raw_fd());
            keep(Path::new(&own), &path).map(|()| None)
        }
    };
    if made.is_err() {
        // The first error is what matters; a record alone means nothing.
        let _ = release(files, visitor, namespace.sandbox);
    }
    made
}

/// Opens a namespace that is kept: its loopback interface is up, and one that was made for the sandbox is as it was at first.
/// The host's is not touched.
fn reopen(files: &Files, visitor: &Visitor, namespace: &Namespace) -> Result<Open, HostError> {
    let mut open = open(files, visitor, namespace.sandbox)?;
    if namespace.source == NamespaceSource::Host {
        return Ok(open);
    }
    if !namespace.is_made() {
        let loopback = link(&mut open.socket, LOOPBACK_NAME).map_err(|e| error::because(WHAT, &e))?;
        if loopback.is_none_or(|loopback| loopback.up) {
            return Ok(open);
        }
        // Before it is up: whoever undoes this knows of it.
        let record = files.record(namespace.sandbox);
        let recorded = fs::read_to_string(&record).map_err(|e| error::io(WHAT, &e))?;
        fs::write(&record, format!("{recorded}{LOOPBACK_WAS_DOWN}\n")).map_err(|e| error::io(WHAT, &e))?;
    }
    loopback_up(&mut open.socket).map_err(|e| error::because(WHAT, &e))?;
    if namespace.is_made() {
        let closed = visitor.visit(&open.namespace, close_to_ipv6).map_err(|e| error::because(WHAT, &e))?;
        closed.map_err(|e| not_closed(&e))?;
    }
    Ok(open)
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
        Ok((_, Err(e))) => Err(unmake(path, not_closed(&e))),
        Err(e) => Err(unmake(path, error::because(WHAT, &e))),
    }
}

fn unmake(path: &Path, error: HostError) -> HostError {
    // The first error is what matters.
    let _ = destroy(path);
    error
}

/// Sees to it that interfaces to come have no IPv6 unless they are told to: one without an address of ours would have a
/// link-local one, and listen to its neighbours. A kernel without IPv6 has no such settings, and what is right already is not
/// written: `/proc/sys` may be read-only.
fn close_to_ipv6() -> io::Result<()> {
    // Routes come from the records: a neighbour that plays the router shall not be believed.
    let _believed = set("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
    match set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1") {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

fn set(path: &str, value: &str) -> io::Result<()> {
    if fs::read_to_string(path)?.trim() == value { Ok(()) } else { fs::write(path, value) }
}

/// A read-only `/proc/sys` is no matter of privileges.
fn not_closed(e: &io::Error) -> HostError {
    match e.raw_os_error() {
        Some(errno @ libc::EROFS) => error::of(errno, format!("{CLOSING}: /proc/sys is read-only, mount it writable")),
        _ => error::io(CLOSING, e),
    }
}

fn loopback(up: bool) -> Request {
    LinkChange { up: Some(up), ..LinkChange::new(LOOPBACK) }.set()
}

fn loopback_up(socket: &mut Socket) -> Result<(), Error> {
    socket.request(&loopback(true))
}

/// Refuses a namespace that no sandbox can have, and returns its number.
pub(super) fn check(theirs: &str, sandbox: SandboxId, files: &Files, visitor: &Visitor) -> Result<u64, HostError> {
    let source = Path::new(theirs);
    if !source.exists() {
        return Err(HostError::Missing { what: format!("network namespace {theirs}") });
    }
    if !is_live(source) {
        return Err(error::of(libc::EINVAL, format!("{theirs} is not a network namespace")));
    }
    let namespace = netns::Namespace::open(source).map_err(|e| error::because(WHAT, &e))?;
    // Namespaces of other kinds look alike until somebody enters them.
    let Ok(cookie) = visitor.visit(&namespace, netns::cookie) else {
        return Err(error::of(libc::EINVAL, format!("{theirs} is not a network namespace")));
    };
    let identity = |one: &netns::Namespace| one.identity().map_err(|e| error::because(WHAT, &e));
    if identity(&namespace)? == identity(visitor.home())? {
        return Err(error::of(
            libc::EINVAL,
            format!("{theirs} is the host's own network namespace, which no sandbox can have"),
        ));
    }
    // Two sandboxes would take each other's interfaces for strays.
    for present in files.present(&[])?.into_iter().filter(|present| present.sandbox != sandbox) {
        let other = netns::Namespace::open(files.path(present.sandbox)).map_err(|e| error::because(WHAT, &e))?;
        if identity(&namespace)? == identity(&other)? {
            let sandbox = present.sandbox.short();
            return Err(HostError::InUse { what: theirs.to_owned(), sandbox });
        }
    }
    cookie.map_err(|e| error::because(WHAT, &e))
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

/// Leaves a namespace of somebody else as it was found, and removes the files that keep it; not an error if there are none.
pub(super) fn release(files: &Files, visitor: &Visitor, sandbox: SandboxId) -> Result<(), HostError> {
    let recorded = fs::read_to_string(files.record(sandbox)).unwrap_or_default();
    if recorded.lines().any(|line| line == LOOPBACK_WAS_DOWN) && files.is_kept(sandbox) {
        let mut open = open(files, visitor, sandbox)?;
        let given_back = open.socket.request(&loopback(false));
        given_back.map_err(|e| error::because("giving a network namespace back", &e))?;
    }
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
