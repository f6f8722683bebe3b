//! Which half of the kernel a state belongs to: one boot, one network namespace, one run directory, one mount namespace.
//!
//! What the records ask for is looked for there. Anywhere else every sandbox would seem to be missing, and be made a second
//! time or removed from the records while it is alive.

use serde::{Deserialize, Serialize};

use super::store::{Batch, Store};
use super::{Engine, EngineConfig, Environment, Query, codec};
use crate::error::Error;

/// A mount namespace: what one mounts below the run directory is not seen in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountNamespace {
    /// The inode of /proc/PID/ns/mnt, which no other mount namespace has while this one exists.
    pub id: u64,
    /// The inode of /proc/PID/ns/pid of the process that says so: from there it can be seen who else is inside.
    pub pid_namespace: u64,
}

/// Who is in a mount namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupants {
    /// At least the process of this pid.
    Process(u32),
    /// Nobody any more: what was mounted there is gone.
    Nobody,
    /// It cannot be told, for not all processes can be seen.
    Unknown,
}

/// Refuses a state whose kernel half is alive, and somewhere else than where this process looks. To be asked before the
/// host is opened.
///
/// # Errors
///
/// [`Error::OtherRunDir`], [`Error::OtherNamespace`], [`Error::OtherMounts`], and if the store cannot be read.
pub fn check_place(store: &dyn Store, environment: &dyn Environment, config: &EngineConfig) -> Result<(), Error> {
    let Some(stored) = store.get(codec::GENERATION)? else { return Ok(()) };
    if !stored.starts_with(format!("{} ", environment.boot()).as_bytes()) {
        // Whatever there was ended with its boot: the state may begin anew anywhere.
        return Ok(());
    }
    let given = run_dir(config);
    if let Some(kept) = store.get(codec::RUN_DIR)?
        && kept != given
    {
        let [kept, given] = [&kept[..], given].map(|path| String::from_utf8_lossy(path).into_owned());
        return Err(Error::OtherRunDir { kept, given });
    }
    match stored == generation(environment).as_bytes() {
        true => check_mounts(store, environment),
        false if config.renewed_namespace => Ok(()),
        false => Err(Error::OtherNamespace),
    }
}

/// Refuses a state with sandboxes that are mounted in another mount namespace, unless that one is gone.
fn check_mounts(store: &dyn Store, environment: &dyn Environment) -> Result<(), Error> {
    let (Some(kept), Some(here)) = (kept_mounts(store)?, environment.mounts()) else { return Ok(()) };
    if kept.id == here.id || store.scan("sandbox/")?.is_empty() {
        return Ok(());
    }
    match environment.occupants(kept) {
        Occupants::Nobody => Ok(()),
        Occupants::Process(pid) => Err(Error::OtherMounts { pid: Some(pid) }),
        Occupants::Unknown => Err(Error::OtherMounts { pid: None }),
    }
}

impl Engine {
    /// Refuses a state that was never used on a host that has things of another one: they are not to be touched. To be asked
    /// before [`Engine::restore`].
    ///
    /// # Errors
    ///
    /// [`Error::OtherState`], and if store or host cannot be read.
    pub fn check_host(&self) -> Result<(), Error> {
        if self.config.take_over || self.store.get(codec::GENERATION)?.is_some() {
            return Ok(());
        }
        let mut found = self.host.observe(&Query::default())?;
        found.retain(|object| !object.is_volatile());
        let example = found.iter().next().map(ToString::to_string);
        match example {
            Some(example) => Err(Error::OtherState { count: found.len(), example }),
            None => Ok(()),
        }
    }

    /// Returns whether a start has something to see to: sandboxes that cannot exist any more, or a state that says nothing
    /// about this boot, these namespaces and this run directory.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn is_stale(&self) -> Result<bool, Error> {
        let state = self.snapshot();
        let orphaned = |owner: Option<_>| owner.is_some_and(|owner| !self.environment.is_alive(owner));
        Ok(!self.is_placed()? || state.sandboxes().any(|sandbox| orphaned(sandbox.spec.owner)))
    }

    /// Returns whether the boot or the network namespace that the state belongs to is gone, and what was made there with it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn is_outdated(&self) -> Result<bool, Error> {
        let stored = self.store.get(codec::GENERATION)?;
        Ok(stored.is_some_and(|stored| stored != generation(&*self.environment).as_bytes()))
    }

    /// Returns what makes the state belong to this boot, these namespaces and this run directory; nothing if it does.
    pub(super) fn placing(&self) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        if !self.is_placed()? {
            batch.put(codec::GENERATION, generation(&*self.environment).into_bytes());
            batch.put(codec::RUN_DIR, run_dir(&self.config).to_vec());
            if let Some(mounts) = self.environment.mounts() {
                batch.put(codec::MOUNTS, serde_json::to_vec(&mounts).expect("two numbers are JSON"));
            }
        }
        Ok(batch)
    }

    fn is_placed(&self) -> Result<bool, Error> {
        let same_generation =
            self.store.get(codec::GENERATION)?.as_deref() == Some(generation(&*self.environment).as_bytes());
        let same_run_dir = self.store.get(codec::RUN_DIR)?.as_deref() == Some(run_dir(&self.config));
        let kept = kept_mounts(&*self.store)?;
        let same_mounts = self.environment.mounts().is_none_or(|here| kept.is_some_and(|kept| kept.id == here.id));
        Ok(same_generation && same_run_dir && same_mounts)
    }
}

/// Returns the mount namespace that the store remembers. One that cannot be read is as good as none.
fn kept_mounts(store: &dyn Store) -> Result<Option<MountNamespace>, Error> {
    Ok(store.get(codec::MOUNTS)?.and_then(|value| serde_json::from_slice(&value).ok()))
}

fn generation(environment: &dyn Environment) -> String {
    format!("{} {}", environment.boot(), environment.namespace())
}

fn run_dir(config: &EngineConfig) -> &[u8] {
    config.run_dir.as_os_str().as_encoded_bytes()
}
