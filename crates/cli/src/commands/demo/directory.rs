//! A directory for the state, on a file system of its own that ends with the process.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::errors::Failure;

/// The directory; removed by [`Directory::remove`], at the latest when dropped.
pub(super) struct Directory {
    path: PathBuf,
    there: bool,
}

impl Directory {
    /// Makes it among the temporary files.
    pub(super) fn make() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("pontoon-demo-{}", std::process::id()));
        let failed = |error| {
            Failure::because(format!("cannot make the directory {}", path.display()), error)
                .hinted("set TMPDIR to a directory that you can write to")
        };
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        let directory = Self { path: path.clone(), there: true };
        mount("tmpfs", &path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=0700"))
            .map_err(|errno| failed(errno.into()))?;
        Ok(directory)
    }

    /// Returns a place inside.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Removes it with everything inside.
    pub(super) fn remove(mut self) -> Result<(), Failure> {
        let path = self.path.display().to_string();
        self.take_away().map_err(|error| Failure::because(format!("cannot remove the directory {path}"), error))
    }

    fn take_away(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.there) {
            unmount(&self.path, UnmountFlags::DETACH)?;
            std::fs::remove_dir(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Another error is being reported.
        let _ = self.take_away();
    }
}
