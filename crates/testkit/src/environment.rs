//! An environment that repeats itself: random values from a seed, a clock that stands still, processes by decree.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pontoon_core::engine::{Environment, MountNamespace, Occupants};
use pontoon_core::model::Owner;

/// An [`Environment`] that tests set; clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct TestEnvironment(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    random: u64,
    now: u128,
    dead: Vec<Owner>,
    boot: u32,
    namespace: u32,
    mounts: u64,
    occupants: Occupants,
}

impl TestEnvironment {
    /// Begins with a seed, at one second past 1970, with every process alive.
    pub fn new(seed: u64) -> Self {
        // Xorshift stays at zero for ever, and small seeds begin with alike values.
        let random = (seed ^ 0x9e37_79b9_7f4a_7c15).max(1);
        Self(Arc::new(Mutex::new(Inner {
            random,
            now: 1_000_000_000,
            dead: Vec::new(),
            boot: 1,
            namespace: 1,
            mounts: 1,
            occupants: Occupants::Unknown,
        })))
    }

    /// Sets the nanoseconds since 1970.
    pub fn set_now(&self, now: u128) {
        self.lock().now = now;
    }

    /// Moves the clock on by so many nanoseconds.
    pub fn advance(&self, by: u128) {
        self.lock().now += by;
    }

    /// Ends a process.
    pub fn kill(&self, owner: Owner) {
        self.lock().dead.push(owner);
    }

    /// Changes the generation, as a boot or another network namespace does. The host is rebooted by itself.
    pub fn reboot(&self) {
        self.lock().boot += 1;
    }

    /// Moves the process to another network namespace of the same boot.
    pub fn move_elsewhere(&self) {
        self.lock().namespace += 1;
    }

    /// Moves the process to another mount namespace, and says who is in all others.
    pub fn mount_elsewhere(&self, occupants: Occupants) {
        let mut inner = self.lock();
        inner.mounts += 1;
        inner.occupants = occupants;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestEnvironment {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Environment for TestEnvironment {
    fn random(&self, bytes: &mut [u8]) {
        let mut inner = self.lock();
        for byte in bytes {
            // Marsaglia's xorshift64*, whose high bits are the good ones.
            inner.random ^= inner.random >> 12;
            inner.random ^= inner.random << 25;
            inner.random ^= inner.random >> 27;
            *byte = (inner.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8;
        }
    }

    fn now(&self) -> u128 {
        self.lock().now
    }

    fn is_alive(&self, owner: Owner) -> bool {
        !self.lock().dead.contains(&owner)
    }

    fn boot(&self) -> String {
        format!("boot-{}", self.lock().boot)
    }

    fn namespace(&self) -> String {
        format!("namespace-{}", self.lock().namespace)
    }

    fn mounts(&self) -> Option<MountNamespace> {
        Some(MountNamespace { id: self.lock().mounts, pid_namespace: 1 })
    }

    fn occupants(&self, _mounts: MountNamespace) -> Occupants {
        self.lock().occupants
    }
}
