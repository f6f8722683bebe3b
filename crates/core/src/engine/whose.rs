//! Which half of the kernel a state belongs to: one boot, one network namespace, one run directory.
//!
//! What the records ask for is looked for there. Anywhere else every sandbox would seem to be missing, and be made a second
//! time or removed from the records while it is alive.

use super::store::{Batch, Store};
use super::{Engine, EngineConfig, Environment, Query, codec};
use crate::error::Error;

/// Refuses a state whose kernel half is alive, and somewhere else than where this process looks. To be asked before the
/// host is opened.
///
/// # Errors
///
/// [`Error::OtherRunDir`], [`Error::OtherNamespace`], and if the store cannot be read.
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
    match stored != generation(environment).as_bytes() && !config.renewed_namespace {
        true => Err(Error::OtherNamespace),
        false => Ok(()),
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
    /// about this boot, namespace and run directory.
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

    /// Returns what makes the state belong to this boot, namespace and run directory; nothing if it does.
    pub(super) fn placing(&self) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        if !self.is_placed()? {
            batch.put(codec::GENERATION, generation(&*self.environment).into_bytes());
            batch.put(codec::RUN_DIR, run_dir(&self.config).to_vec());
        }
        Ok(batch)
    }

    fn is_placed(&self) -> Result<bool, Error> {
        let same_generation =
            self.store.get(codec::GENERATION)?.as_deref() == Some(generation(&*self.environment).as_bytes());
        Ok(same_generation && self.store.get(codec::RUN_DIR)?.as_deref() == Some(run_dir(&self.config)))
    }
}

fn generation(environment: &dyn Environment) -> String {
    format!("{} {}", environment.boot(), environment.namespace())
}

fn run_dir(config: &EngineConfig) -> &[u8] {
    config.run_dir.as_os_str().as_encoded_bytes()
}
