//! Files of sandboxes, and those of the host that they are made from.
//!
//! ```text
//! <run dir>/files/<first 12 of the id>/hosts                 what the container sees
//!                                      hosts.generated       what was written into it last
//!                                      hosts.next            only while it is written: what will have been
//!                                      resolv.conf ...
//! ```
//!
//! They are mounted over the container's, so they are written in place: a file that is renamed stays what it was in there.
//! Nothing waits for a disk, for the run directory does not outlive a boot.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pontoon_core::engine::{HostError, Query};
use pontoon_core::files::{Basis, Ipv6, Origin, hosts, resolv_conf};
use pontoon_core::model::{NamespaceSource, SandboxId};
use pontoon_core::objects::{File, FileName, Object, Op};

use super::error;
use super::namespaces::{Files, padded};
use super::read::{self, Found, Link};

const HOSTS: &str = "/etc/hosts";
/// The kernel has IPv6 if it lists its addresses.
const IF_INET6: &str = "/proc/net/if_inet6";
/// How many bytes of a file of the host's are read, and how many a container may add to its own: then it is left alone.
const LARGEST: usize = 256 << 10;
/// For what is written: neither a link nor a FIFO is followed.
const NEVER_WAIT: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
const READABLE: u32 = 0o644;
const SEARCHABLE: u32 = 0o755;

/// The three files of one.
struct Paths {
    file: PathBuf,
    generated: PathBuf,
    next: PathBuf,
}

impl Paths {
    fn of(files: &Files, sandbox: SandboxId, name: FileName) -> Self {
        let directory = files.directory(sandbox);
        let beside = |ending| directory.join(format!("{name}.{ending}"));
        Self { file: directory.join(name.as_str()), generated: beside("generated"), next: beside("next") }
    }

    fn all(&self) -> [&Path; 3] {
        [&self.file, &self.generated, &self.next]
    }
}

/// Takes a step on a file.
pub(super) fn step(files: &Files, op: &Op) -> Result<(), HostError> {
    match op {
        Op::Add(Object::File(file)) => write(files, file, None),
        Op::Change { from: Object::File(from), to: Object::File(to) } => write(files, to, from.content.as_deref()),
        Op::Remove(Object::File(file)) => remove(files, file),
        other => Err(HostError::Unsupported { what: format!("a way to take the step {other}") }),
    }
}

/// Makes a file what it shall be, except for what the container changed in it. If that fails, it is as it was.
fn write(files: &Files, file: &File, before: Option<&str>) -> Result<(), HostError> {
    let paths = Paths::of(files, file.sandbox, file.name);
    let Some(after) = file.content.as_deref() else {
        // Undone: as before, nobody knows what was written.
        return forget(&paths.generated);
    };
    let generated = own(&paths.generated)?;
    // What was written last is what is known here, not what somebody believes.
    let base = generated.as_deref().or(before);
    let limit = LARGEST + base.map_or(0, str::len);
    let found = read::bounded(&paths.file, Link::Refused, limit).map_err(|e| reading(&paths.file, &e))?;
    let left_alone = |reason: &dyn fmt::Display| {
        let path = paths.file.display();
        tracing::warn!("{path} stays as the container changed it, and does not follow its networks: {reason}");
        rewrite(&paths, None, after)
    };
    match found {
        Found::Nothing => begin(files, file.sandbox, &paths, after),
        Found::Refused(reason) => left_alone(&reason),
        Found::Bytes(bytes) => match String::from_utf8(bytes) {
            Ok(present) => {
                let text = edited(file.name, &present, base, own(&paths.next)?.as_deref(), after);
                rewrite(
                    &paths,
                    Some((present.as_str(), text.as_str())).filter(|(present, text)| present != text),
                    after,
                )
            }
            Err(error) => left_alone(&error.utf8_error()),
        },
    }
}

/// Makes a file that is not there; what was made goes if the rest cannot be.
fn begin(files: &Files, sandbox: SandboxId, paths: &Paths, after: &str) -> Result<(), HostError> {
    make_directory(files, sandbox)?;
    let made = create(&paths.file, after)
        .map_err(|e| writing(&paths.file, &e))
        .and_then(|()| forget(&paths.next))
        .and_then(|()| create(&paths.generated, after).map_err(|e| writing(&paths.generated, &e)));
    made.inspect_err(|_| {
        // The first error counts; what cannot be removed either is found by whoever looks.
        let _ = forget(&paths.generated);
        let _ = forget(&paths.file);
        let _ = fs::remove_dir(files.directory(sandbox));
    })
}

/// Writes down that `after` is written, and changes a file's text from one to another if there is a difference. If that fails,
/// the file is as it was.
fn rewrite(paths: &Paths, change: Option<(&str, &str)>, after: &str) -> Result<(), HostError> {
    // Of an earlier call, which was cut short: it stays until one succeeds.
    let earlier = paths.next.exists();
    let mut written = create(&paths.next, after).map_err(|e| writing(&paths.next, &e));
    if let (Ok(()), Some((_, text))) = (&written, change) {
        written = overwrite(&paths.file, text).map_err(|e| writing(&paths.file, &e));
    }
    let written =
        written.and_then(|()| fs::rename(&paths.next, &paths.generated).map_err(|e| writing(&paths.generated, &e)));
    written.inspect_err(|_| {
        // Its old text has its room still.
        let restored = change.is_none_or(|(present, _)| overwrite(&paths.file, present).is_ok());
        if restored && !earlier {
            // The first error counts; what cannot be removed either is found by whoever looks.
            let _ = forget(&paths.next);
        }
    })
}

/// Returns the new text of a file: `after`, with the edits that turned `base` into `present`.
///
/// Writing `next` over `base` was cut short, if there is a `next`: nobody knows how far it came.
fn edited(name: FileName, present: &str, base: Option<&str>, next: Option<&str>, after: &str) -> String {
    let Some(base) = base else { return after.to_owned() };
    let as_written = present == base || next == Some(present);
    match (name, next) {
        _ if as_written => after.to_owned(),
        (FileName::ResolvConf, _) => present.to_owned(),
        (FileName::Hosts, None) => hosts::merge(present, base, after),
        (FileName::Hosts, Some(next)) => hosts::merge(&hosts::merge(present, next, base), base, after),
    }
}

fn remove(files: &Files, file: &File) -> Result<(), HostError> {
    for path in Paths::of(files, file.sandbox, file.name).all() {
        forget(path)?;
    }
    let directory = files.directory(file.sandbox);
    match fs::remove_dir(&directory) {
        // The other file is still there, or everything is gone already.
        Err(e) if ![ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty].contains(&e.kind()) => {
            Err(error::io(&format!("removing the directory {}", directory.display()), &e))
        }
        _ => Ok(()),
    }
}

/// Returns the files that are there. In sandboxes that the query does not name, nobody looks into them.
pub(super) fn present(files: &Files, query: &Query) -> Result<Vec<File>, HostError> {
    let mut present = Vec::new();
    for short in files.directories()? {
        let known = query.sandboxes.iter().copied().find(|sandbox| sandbox.short() == short);
        let Some(sandbox) = known.or_else(|| padded(&short)) else { continue };
        let path = files.directory(sandbox);
        let reading = |e: io::Error| error::io(&format!("reading the directory {}", path.display()), &e);
        let names = match fs::read_dir(&path) {
            // Removed by another thread a moment ago.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            listed => listed.map_err(reading)?.map(|entry| entry.map(|entry| entry.file_name())),
        };
        let names = names.collect::<Result<Vec<_>, _>>().map_err(reading)?;
        let has = |name: FileName| names.iter().any(|found| found.to_string_lossy().starts_with(name.as_str()));
        for name in FileName::ALL.into_iter().filter(|name| has(*name) || names.is_empty()) {
            let paths = Paths::of(files, sandbox, name);
            let content = match known {
                // Somebody took it away: it is to be made, whatever lies beside it.
                Some(_) if !paths.file.exists() => continue,
                Some(_) => content(&paths)?,
                None => None,
            };
            present.push(File { sandbox, name, content });
        }
    }
    Ok(present)
}

/// Returns what was written last; nothing if that was cut short.
fn content(paths: &Paths) -> Result<Option<String>, HostError> {
    if paths.next.exists() { Ok(None) } else { own(&paths.generated) }
}

/// Returns what a sandbox's files are made from.
pub(super) fn basis(namespace: &NamespaceSource) -> Result<Basis, HostError> {
    let shared = *namespace == NamespaceSource::Host;
    Ok(Basis {
        ipv6: if Path::new(IF_INET6).exists() { Ipv6::On } else { Ipv6::Off },
        resolv_conf: name_servers()?,
        hosts: if shared { Some(of_host(Path::new(HOSTS))?.unwrap_or_default()) } else { None },
    })
}

/// Reads the file that names the servers which the host really asks: not that of a stub. A host without one has an empty file.
///
/// # Errors
///
/// If it cannot be read, is no regular file, or has more than 256 KiB.
pub fn name_servers() -> Result<Origin, HostError> {
    let etc = of_host(Path::new(resolv_conf::ETC))?;
    let source = resolv_conf::source(etc.as_deref());
    let really = if source == resolv_conf::ETC { None } else { of_host(Path::new(source))? };
    Ok(match really {
        Some(text) => Origin { path: source.to_owned(), text },
        None => Origin { text: etc.unwrap_or_default(), ..Origin::default() },
    })
}

/// Reads a file of the host's, if it exists. What is no text is kept as far as it is.
fn of_host(path: &Path) -> Result<Option<String>, HostError> {
    match read::bounded(path, Link::Followed, LARGEST).map_err(|e| reading(path, &e))? {
        Found::Nothing => Ok(None),
        Found::Bytes(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Found::Refused(reason) => Err(error::of(reason.errno(), format!("reading {}: {reason}", path.display()))),
    }
}

/// Reads a file that no container sees, if it exists.
fn own(path: &Path) -> Result<Option<String>, HostError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(reading(path, &e)),
    }
}

fn reading(path: &Path, cause: &io::Error) -> HostError {
    error::io(&format!("reading {}", path.display()), cause)
}

fn writing(path: &Path, cause: &io::Error) -> HostError {
    error::io(&format!("writing {}", path.display()), cause)
}

/// Makes a file, or begins it anew, which everybody may read whatever this process's mask is.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(READABLE)
        .custom_flags(NEVER_WAIT)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(READABLE))?;
    file.write_all(text.as_bytes())
}

/// Writes a file that somebody may be reading: it is never empty on the way.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let file = OpenOptions::new().write(true).custom_flags(NEVER_WAIT).open(path)?;
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

fn make_directory(files: &Files, sandbox: SandboxId) -> Result<(), HostError> {
    let directory = files.directory(sandbox);
    let made = DirBuilder::new().mode(SEARCHABLE).create(&directory);
    let made = made.and_then(|()| fs::set_permissions(&directory, Permissions::from_mode(SEARCHABLE)));
    match made {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            Err(error::io(&format!("making the directory {}", directory.display()), &e))
        }
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
fn forget(path: &Path) -> Result<(), HostError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(error::io(&format!("removing {}", path.display()), &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const OLD: &str = "127.0.0.1\tlocalhost\n";
    const NEW: &str = "127.0.0.1\tlocalhost\n10.1.0.2\tweb\n";

    /// The files of one sandbox, below a directory that goes with the test.
    struct Lab {
        _directory: tempfile::TempDir,
        files: Files,
        sandbox: SandboxId,
    }

    impl Lab {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files = Files::below(directory.path());
            files.make_directories().unwrap();
            Self { _directory: directory, files, sandbox: ID.parse().unwrap() }
        }

        fn file(&self, name: FileName, content: Option<&str>) -> File {
            File { sandbox: self.sandbox, name, content: content.map(str::to_owned) }
        }

        fn write(&self, name: FileName, content: &str) {
            write(&self.files, &self.file(name, Some(content)), None).unwrap();
        }

        /// Returns what is found: the content of each file, or none.
        fn found(&self) -> Vec<(FileName, Option<String>)> {
            let query = Query::of([self.sandbox], []);
            present(&self.files, &query).unwrap().into_iter().map(|file| (file.name, file.content)).collect()
        }

        fn paths(&self, name: FileName) -> Paths {
            Paths::of(&self.files, self.sandbox, name)
        }

        fn text(&self, name: FileName) -> String {
            fs::read_to_string(self.paths(name).file).unwrap()
        }
    }

    /// Who died between two system calls leaves what is seen as unfinished, and written rightly whichever text is wanted then.
    #[test]
    fn a_write_that_was_cut_short_is_finished_or_undone() {
        for (written, wanted) in [(OLD, OLD), (OLD, NEW), (NEW, OLD), (NEW, NEW)] {
            for edit in ["", "10.9.9.9\tmine\n"] {
                let lab = Lab::new();
                lab.write(FileName::Hosts, OLD);
                fs::write(lab.paths(FileName::Hosts).next, NEW).unwrap();
                fs::write(lab.paths(FileName::Hosts).file, format!("{written}{edit}")).unwrap();
                assert_eq!(lab.found(), [(FileName::Hosts, None)]);
                lab.write(FileName::Hosts, wanted);
                let mut lines: Vec<String> = lab.text(FileName::Hosts).lines().map(str::to_owned).collect();
                let mut expected: Vec<String> = format!("{wanted}{edit}").lines().map(str::to_owned).collect();
                lines.sort_unstable();
                expected.sort_unstable();
                assert_eq!(lines, expected, "{written:?} {edit:?} {wanted:?}");
                assert_eq!(lab.found(), [(FileName::Hosts, Some(wanted.to_owned()))]);
            }
        }
    }

    #[test]
    fn an_interrupted_resolv_conf_is_not_taken_for_an_edited_one() {
        let lab = Lab::new();
        lab.write(FileName::ResolvConf, "nameserver 192.0.2.53\n");
        fs::write(lab.paths(FileName::ResolvConf).next, "nameserver 127.0.0.11\n").unwrap();
        fs::write(lab.paths(FileName::ResolvConf).file, "nameserver 127.0.0.11\n").unwrap();
        lab.write(FileName::ResolvConf, "nameserver 192.0.2.53\n");
        assert_eq!(lab.text(FileName::ResolvConf), "nameserver 192.0.2.53\n");
        fs::write(lab.paths(FileName::ResolvConf).file, "nameserver 10.9.9.9\n").unwrap();
        lab.write(FileName::ResolvConf, "nameserver 127.0.0.11\n");
        assert_eq!(lab.text(FileName::ResolvConf), "nameserver 10.9.9.9\n");
    }

    #[test]
    fn whatever_is_there_is_found_and_goes() {
        let lab = Lab::new();
        let directory = lab.files.directory(lab.sandbox);
        make_directory(&lab.files, lab.sandbox).unwrap();
        assert_eq!(lab.found(), [], "a directory without files");
        let stranger = present(&lab.files, &Query::default()).unwrap();
        assert_eq!(stranger.len(), FileName::ALL.len(), "an empty directory of nobody known is to go");
        create(&lab.paths(FileName::Hosts).file, OLD).unwrap();
        assert_eq!(lab.found(), [(FileName::Hosts, None)], "a file that was just begun");
        lab.write(FileName::Hosts, OLD);
        lab.write(FileName::ResolvConf, "");
        let whole = [(FileName::Hosts, Some(OLD.to_owned())), (FileName::ResolvConf, Some(String::new()))];
        assert_eq!(lab.found(), whole);
        let stranger = present(&lab.files, &Query::default()).unwrap();
        assert!(stranger.iter().all(|file| file.content.is_none() && file.sandbox.short() == lab.sandbox.short()));
        stranger.iter().for_each(|file| remove(&lab.files, file).unwrap());
        assert!(!directory.exists());
        remove(&lab.files, &lab.file(FileName::Hosts, None)).unwrap();
    }

    #[test]
    fn a_file_is_written_in_place() {
        use std::os::unix::fs::MetadataExt;

        let lab = Lab::new();
        lab.write(FileName::Hosts, NEW);
        let inode = || fs::metadata(lab.paths(FileName::Hosts).file).unwrap().ino();
        let before = inode();
        lab.write(FileName::Hosts, OLD);
        assert_eq!((inode(), lab.text(FileName::Hosts).as_str()), (before, OLD));
    }

    /// What the container made of its file: too much, no text, no file.
    #[test]
    fn a_file_that_cannot_be_merged_is_left_alone() {
        let lab = Lab::new();
        lab.write(FileName::Hosts, OLD);
        let path = lab.paths(FileName::Hosts).file;
        let too_large = [OLD.as_bytes(), &vec![b'#'; LARGEST + 1]].concat();
        let no_text = [OLD.as_bytes(), b"10.9.9.9\tcaf\xe9\n"].concat();
        for bytes in [too_large, no_text] {
            fs::write(&path, &bytes).unwrap();
            for content in [NEW, OLD] {
                lab.write(FileName::Hosts, content);
                assert!(fs::read(&path).unwrap() == bytes);
                assert_eq!(lab.found(), [(FileName::Hosts, Some(content.to_owned()))], "it is no difference");
            }
        }
        // As much as it may add.
        fs::write(&path, format!("{OLD}{}", "#".repeat(LARGEST))).unwrap();
        lab.write(FileName::Hosts, NEW);
        assert!(lab.text(FileName::Hosts).ends_with("#\n10.1.0.2\tweb\n"));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        lab.write(FileName::Hosts, OLD);
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        lab.write(FileName::Hosts, NEW);
        assert_eq!(lab.found(), [(FileName::Hosts, Some(NEW.to_owned()))]);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let lab = Lab::new();
        let paths = lab.paths(FileName::Hosts);
        // A directory is in the way of what is written second.
        let fails = |content: &str| write(&lab.files, &lab.file(FileName::Hosts, Some(content)), None).unwrap_err();
        make_directory(&lab.files, lab.sandbox).unwrap();
        lab.write(FileName::Hosts, OLD);
        fs::create_dir(&paths.next).unwrap();
        fails(NEW);
        fs::remove_dir(&paths.next).unwrap();
        assert_eq!(
            (lab.text(FileName::Hosts).as_str(), lab.found()),
            (OLD, vec![(FileName::Hosts, Some(OLD.to_owned()))])
        );
        remove(&lab.files, &lab.file(FileName::Hosts, None)).unwrap();
        make_directory(&lab.files, lab.sandbox).unwrap();
        fs::create_dir(&paths.next).unwrap();
        fails(NEW);
        assert!(!paths.file.exists() && !paths.generated.exists());
    }

    #[test]
    fn files_of_the_host_are_regular_and_of_bearable_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let check = |expected: &str| {
            let found = of_host(&path).map(Option::unwrap_or_default).unwrap_or_else(|error| error.to_string());
            assert!(found.ends_with(expected), "{found}");
        };
        check("");
        fs::write(&path, vec![b'#'; LARGEST]).unwrap();
        check("##");
        fs::write(&path, vec![b'#'; LARGEST + 1]).unwrap();
        check("resolv.conf: it has more than 262144 bytes: shorten it");
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        check("resolv.conf: it is no regular file: put one in its place");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        check("resolv.conf: it is no regular file: put one in its place");
    }
}
