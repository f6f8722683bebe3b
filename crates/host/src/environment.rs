//! Randomness, time, and who is who on this system.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use pontoon_core::engine::Environment;
use pontoon_core::model::Owner;

/// The system this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Environment for System {
    fn random(&self, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => unreachable!("the kernel has random bytes for everybody since Linux 3.17: {error}"),
            }
        }
    }

    fn now(&self) -> u128 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
    }

    fn is_alive(&self, owner: Owner) -> bool {
        started(owner.pid) == Some(owner.started)
    }

    fn boot(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        boot.trim().to_owned()
    }

    /// The namespace's cookie is never given twice in one boot, unlike its inode.
    fn namespace(&self) -> String {
        pontoon_netlink::netns::cookie().map_or_else(|error| error.to_string(), |cookie| cookie.to_string())
    }
}

impl System {
    /// Returns this process, as an owner of sandboxes.
    pub fn myself() -> Owner {
        let pid = std::process::id();
        Owner { pid, started: started(pid).unwrap_or_default() }
    }
}

/// Returns when a process that still runs was started, in clock ticks since boot, where the system says so: field 22 of
/// /proc/PID/stat (proc_pid_stat(5)).
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may contain anything, brackets included: the fields begin after the last one.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    // A zombie does nothing any more.
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_living_from_the_dead() {
        let me = System::myself();
        assert!(System.is_alive(me));
        assert!(!System.is_alive(Owner { started: me.started + 1, ..me }));
    }

    #[test]
    fn random_bytes_differ() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        System.random(&mut one);
        System.random(&mut two);
        assert_ne!(one, two);
    }
}
