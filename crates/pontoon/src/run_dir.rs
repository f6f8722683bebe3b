//! The run directory: its one path, and the state directory that it belongs to.
//!
//! ```text
//! <run dir>/owner    <device>:<inode> <path> of the state directory that keeps its sandboxes here
//! ```
//!
//! A copy of a state directory would take what the original makes for its own, and remove it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use pontoon_core::engine::StoreError;

use crate::Error;
use crate::builder::io as failed;

/// Returns the path of a directory from the root of the file system, without links, `.` and `..`: two such paths can be
/// compared. What does not exist yet is taken as it is written.
pub(crate) fn complete(path: &Path) -> PathBuf {
    // It fails without a current directory; opening what is there fails then, too, and says more.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = path.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    let Some((above, mut complete)) = existing else { return path };
    for part in path.strip_prefix(above).unwrap_or(Path::new("")).components() {
        match part {
            Component::ParentDir => drop(complete.pop()),
            part => complete.push(part),
        }
    }
    complete
}

/// A state directory as the run directory remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    /// Device and inode, which a directory keeps when it is renamed and a copy does not have.
    identity: String,
    path: PathBuf,
}

/// Makes a run directory the one of a state directory, which exists.
///
/// # Errors
///
/// [`Error::OtherOwner`] if it belongs to another one that still exists, unless that is to be taken over; what the system
/// refuses.
pub(crate) fn claim(run_dir: &Path, root: &Path, take_over: bool) -> Result<(), Error> {
    let mine = Claim::of(root).map_err(|error| failed(root, "read", error))?;
    let kept = Claim::read(run_dir)?;
    if kept.as_ref() == Some(&mine) {
        return Ok(());
    }
    // One that is not where it was any more was renamed, and then is this one, or was removed.
    let other = kept.filter(|kept| kept.identity != mine.identity && Claim::of(&kept.path).is_ok_and(|is| is == *kept));
    match other.filter(|_| !take_over) {
        Some(other) => Err(Error::OtherOwner {
            run_dir: run_dir.display().to_string(),
            kept: other.path.display().to_string(),
            given: mine.path.display().to_string(),
        }),
        None => Ok(mine.write(run_dir)?),
    }
}

/// Makes a run directory nobody's.
pub(crate) fn release(run_dir: &Path) -> Result<(), StoreError> {
    let file = owner_file(run_dir);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&file, "remove", error)),
        _ => Ok(()),
    }
}

impl Claim {
    fn of(root: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(root)?;
        let found = fs::metadata(&path)?;
        Ok(Self { identity: format!("{}:{}", found.dev(), found.ino()), path })
    }

    /// Reads what stands in the run directory. What a crash left half written says nothing.
    fn read(run_dir: &Path) -> Result<Option<Self>, StoreError> {
        let file = owner_file(run_dir);
        let text = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| failed(&file, "read", error))?,
        };
        let line = text.strip_suffix(b"\n");
        Ok(line.and_then(|line| {
            let at = line.iter().position(|byte| *byte == b' ')?;
            let identity = String::from_utf8(line[..at].to_vec()).ok()?;
            Some(Self { identity, path: PathBuf::from(OsStr::from_bytes(&line[at + 1..])) })
        }))
    }

    fn write(&self, run_dir: &Path) -> Result<(), StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(run_dir);
        made.map_err(|error| failed(run_dir, "create", error))?;
        let mut line = OsString::from(format!("{} ", self.identity));
        line.push(&self.path);
        line.push("\n");
        let file = owner_file(run_dir);
        write_private(&file, line.as_bytes()).map_err(|error| failed(&file, "write", error))
    }
}

/// Writes a file that its owner alone may read, whatever the file mode creation mask.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // The mask takes away, and an older file has its own.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text)
}

fn owner_file(run_dir: &Path) -> PathBuf {
    run_dir.join("owner")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_has_one_path() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |path: &str| dir.path().join(path);
        let real = fs::canonicalize(dir.path()).expect("it exists");
        fs::create_dir(at("run")).expect("it is writable");
        symlink(at("run"), at("link")).expect("it is writable");
        for (given, expected) in [
            ("run", "run"),
            ("./run//", "run"),
            ("link", "run"),
            ("link/../run", "run"),
            ("link/new/deep", "run/new/deep"),
            ("run/new/../other", "run/other"),
            ("new", "new"),
        ] {
            assert_eq!(complete(&at(given)), real.join(expected), "{given}");
        }
        assert_eq!(complete(Path::new("")), PathBuf::new());
    }

    #[test]
    fn a_path_may_hold_anything() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join(OsStr::from_bytes(b"a b\n\xff"));
        fs::create_dir(&root).expect("it is writable");
        let run_dir = dir.path().join("run");
        claim(&run_dir, &root, false).expect("it is nobody's");
        let kept = Claim::read(&run_dir).expect("it can be read");
        assert_eq!(kept, Claim::of(&root).ok());
        fs::write(owner_file(&run_dir), "12").expect("it is writable");
        assert_eq!(Claim::read(&run_dir).expect("it can be read"), None);
    }
}
