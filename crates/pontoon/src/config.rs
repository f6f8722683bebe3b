//! How a controller is set up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pontoon_core::drivers::DriverConfigs;
use pontoon_core::ipam::DefaultPools;
use serde::Serialize;

/// Where a controller keeps its state, and how it behaves.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) root: PathBuf,
    pub(crate) run_dir: PathBuf,
    pub(crate) drivers: DriverConfigs,
    pub(crate) pools: Option<DefaultPools>,
    pub(crate) deadline: Duration,
    pub(crate) resident: bool,
    pub(crate) take_over: bool,
    pub(crate) renewed_namespace: bool,
    pub(crate) read_only: bool,
    pub(crate) names: Option<Vec<OsString>>,
}

impl Config {
    /// Keeps the state below `root`, and what does not outlive a boot below `/run/pontoon`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            run_dir: PathBuf::from("/run/pontoon"),
            drivers: DriverConfigs::default(),
            pools: None,
            deadline: Duration::from_secs(30),
            resident: true,
            take_over: false,
            renewed_namespace: false,
            read_only: false,
            names: None,
        }
    }

    /// Keeps namespaces below another directory. A state belongs to the directory that it was first used with, for the time
    /// of a boot, and is refused with another ([`crate::Error::OtherRunDir`]). A relative path is completed, and
    /// links in it are followed. There, the file `owner` names the state directory; one with another path, device and inode,
    /// such as a copy, is refused while that one exists ([`crate::Error::OtherOwner`]).
    #[must_use]
    pub fn run_dir(mut self, run_dir: impl Into<PathBuf>) -> Self {
        self.run_dir = run_dir.into();
        self
    }

    /// Configures a driver, by name; wins over labels.
    #[must_use]
    pub fn driver(mut self, name: &str, config: impl Serialize) -> Self {
        // A configuration that is no JSON object is refused when the controller is opened, with the driver's name.
        let value = serde_json::to_value(config).unwrap_or_else(|error| error.to_string().into());
        self.drivers.set(name, value);
        self
    }

    /// Adds a label `key=value`; those that begin with `com.docker.network.driver.<name>.` configure that driver.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.drivers.label(label);
        self
    }

    /// Sets where subnets come from that nobody names; otherwise 31 IPv4 networks and a /48 of this host's own.
    #[must_use]
    pub fn default_pools(mut self, pools: DefaultPools) -> Self {
        self.pools = Some(pools);
        self
    }

    /// Sets how long an operation waits for others on the same things, and for the store.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Says that this process does its work and leaves: it trusts a store that was closed in order, and does not take the
    /// host ports of sandboxes that others serve.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.resident = false;
        self
    }

    /// Opens the state to look only: nothing is written, made, deleted or put right, here or on the host, and what would do so
    /// fails with [`crate::Error::ReadOnly`]. A state that is not there is empty. While the controller is open nobody can
    /// change the state, for all that is read is of one moment. Implies [`Config::passing`].
    ///
    /// What a start would put right stays as it is: see [`crate::Controller::pending`].
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self.passing()
    }

    /// Lets a new state directory take what an older one left on the host for its own; opening then removes it. Otherwise
    /// opening is refused.
    #[must_use]
    pub fn take_over(mut self) -> Self {
        self.take_over = true;
        self
    }

    /// Says that the network namespace is made anew now and then, as a user's own is: a state that belongs to an older one
    /// has lost its kernel half. Otherwise such a state is refused, for its sandboxes are probably alive elsewhere.
    #[must_use]
    pub fn renewed_namespace(mut self) -> Self {
        self.renewed_namespace = true;
        self
    }

    /// Lets the sandboxes of a network know each other by name: after every change their names are written down for the process
    /// that answers them, which calls [`crate::names::serve`] with the same run directory. If there is none, one is started by
    /// this command line: a program and its arguments. Otherwise sandboxes have a resolver's address, and nobody answers there.
    ///
    /// That process announces addresses too, after the first time; otherwise this process does so as long as it lives.
    #[must_use]
    pub fn names(mut self, helper: impl IntoIterator<Item = OsString>) -> Self {
        self.names = Some(helper.into_iter().collect());
        self
    }

    /// Returns where the state is.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
