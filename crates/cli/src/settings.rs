//! Where things are: flags, then the environment, then defaults of the system or of the user.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pontoon::Config;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use crate::args::{Format, Global};
use crate::errors::Failure;

/// How this command behaves.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) root: PathBuf,
    pub(crate) run_dir: PathBuf,
    pub(crate) wait: Duration,
    pub(crate) format: Format,
    pub(crate) plan: bool,
    pub(crate) quiet: bool,
    /// Whether the namespaces are the user's own.
    pub(crate) rootless: bool,
}

impl Settings {
    /// Puts flags, environment and defaults together.
    pub(crate) fn of(global: &Global) -> Result<Self, Failure> {
        let rootless = !is_privileged();
        let root = match &global.root {
            Some(root) => root.clone(),
            None if !rootless => PathBuf::from("/var/lib/pontoon"),
            None => user_state()?.join("pontoon"),
        };
        let run_dir = match &global.run_dir {
            Some(run_dir) => run_dir.clone(),
            None if !rootless => PathBuf::from("/run/pontoon"),
            None => user_run_dir()?,
        };
        Ok(Self {
            root: absolute(&root)?,
            run_dir: absolute(&run_dir)?,
            wait: Duration::from_secs(global.wait),
            format: global.format,
            plan: global.plan,
            quiet: global.quiet,
            rootless,
        })
    }

    /// Returns the command line of the process that answers containers' questions for names.
    pub(crate) fn resolver(&self) -> [OsString; 4] {
        resolver(&self.run_dir)
    }

    /// Returns the controller's configuration: it does its work and leaves.
    pub(crate) fn config(&self) -> Config {
        let config =
            Config::new(&self.root).run_dir(&self.run_dir).deadline(self.wait).passing().names(self.resolver());
        if self.rootless { config.renewed_namespace() } else { config }
    }
}

/// Returns the command line of the process that answers the sandboxes of a run directory.
pub(crate) fn resolver(run_dir: &Path) -> [OsString; 4] {
    ["/proc/self/exe".into(), "--run-dir".into(), run_dir.into(), "resolver".into()]
}

/// Returns whether this process may change the network of the namespaces it is in.
pub(crate) fn is_privileged() -> bool {
    let needed = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{path:?} is no path: {error}")))
}

/// `$XDG_STATE_HOME`, by default `~/.local/state` (XDG Base Directory Specification 0.8).
fn user_state() -> Result<PathBuf, Failure> {
    let named = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| home().map(|home| home.join(".local/state"))).ok_or_else(|| {
        Failure::new("there is no directory for the state").hinted("set HOME or XDG_STATE_HOME, or give --root DIR")
    })
}

/// `$XDG_RUNTIME_DIR`, else a directory of the user's own in the directory for temporary files.
fn user_run_dir() -> Result<PathBuf, Failure> {
    let named = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(directory) = named {
        return Ok(directory.join("pontoon"));
    }
    let user = geteuid().as_raw();
    let directory = env::temp_dir().join(format!("pontoon-{user}"));
    // An error shows in what follows: the directory is not there, or not the user's.
    let _ = fs::DirBuilder::new().mode(0o700).create(&directory);
    let private = fs::symlink_metadata(&directory)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == user && meta.mode() & 0o077 == 0);
    if private {
        return Ok(directory);
    }
    Err(Failure::new(format!("{} is not a directory that only you can use", directory.display()))
        .hinted("set XDG_RUNTIME_DIR, or give --run-dir DIR"))
}
