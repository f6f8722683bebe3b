//! Randomness, time, and who is who on this system.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use pontoon_core::engine::{Environment, MountNamespace, Occupants};
use pontoon_core::model::Owner;

/// The inode of the first PID namespace, in which every process has a pid (PROC_PID_INIT_INO in the kernel's
/// include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

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
        let known_here = proc_is_ours() && owner.pid_namespace.is_none_or(|theirs| pid_namespace() == Some(theirs));
        !known_here || started(owner.pid) == Some(owner.started)
    }

    fn boot(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        boot.trim().to_owned()
    }

    /// The namespace's cookie is never given twice in one boot, unlike its inode.
    fn namespace(&self) -> String {
        pontoon_netlink::netns::cookie().map_or_else(|error| error.to_string(), |cookie| cookie.to_string())
    }

    fn mounts(&self) -> Option<MountNamespace> {
        let id = inode(Path::new("/proc/thread-self/ns/mnt")).ok()?;
        Some(MountNamespace { id, pid_namespace: pid_namespace()? })
    }

    fn occupants(&self, mounts: MountNamespace) -> Occupants {
        let Ok(entries) = fs::read_dir("/proc") else { return Occupants::Unknown };
        let sees_all = |here| here == mounts.pid_namespace || here == FIRST_PID_NAMESPACE;
        let mut complete = proc_is_ours() && pid_namespace().is_some_and(sees_all);
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match inode(&entry.path().join("ns/mnt")) {
                Ok(id) if id == mounts.id => return Occupants::Process(pid),
                // Any other error is that of a process that has just ended.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => complete = false,
                _ => {}
            }
        }
        if complete { Occupants::Nobody } else { Occupants::Unknown }
    }
}

impl System {
    /// Returns this process, as an owner of sandboxes.
    pub fn myself() -> Owner {
        // Whatever PID namespace /proc shows, its `self` is this process.
        let started = start_time("self").unwrap_or_default();
        Owner { pid: std::process::id(), started, pid_namespace: pid_namespace() }
    }
}

/// Returns whether /proc shows the PID namespace of this process: another one's may be mounted there.
fn proc_is_ours() -> bool {
    fs::read_link("/proc/self").is_ok_and(|pid| pid.to_str() == Some(&std::process::id().to_string()))
}

/// Returns the PID namespace of this process.
fn pid_namespace() -> Option<u64> {
    inode(Path::new("/proc/self/ns/pid")).ok()
}

fn inode(namespace: &Path) -> io::Result<u64> {
    Ok(fs::metadata(namespace)?.ino())
}

/// Returns when a process that still runs was started, in clock ticks since boot, where the system says so: field 22 of
/// /proc/PID/stat (proc_pid_stat(5)).
pub(crate) fn started(pid: u32) -> Option<u64> {
    start_time(&pid.to_string())
}

fn start_time(process: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
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
        assert!(!System.is_alive(Owner { started: me.started + 1, pid_namespace: None, ..me }));
    }

    #[test]
    fn a_process_of_another_pid_namespace_may_live() {
        let me = System::myself();
        let elsewhere = me.pid_namespace.map(|namespace| namespace + 1);
        assert!(System.is_alive(Owner { started: me.started + 1, pid_namespace: elsewhere, ..me }));
    }

    #[test]
    fn finds_who_is_in_a_mount_namespace() {
        let here = System.mounts().expect("/proc is mounted");
        assert!(matches!(System.occupants(here), Occupants::Process(_)));
        // No namespace has such an inode.
        let elsewhere = MountNamespace { id: 1, pid_namespace: here.pid_namespace };
        assert!(!matches!(System.occupants(elsewhere), Occupants::Process(_)));
    }

    #[test]
    fn random_bytes_differ() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        System.random(&mut one);
        System.random(&mut two);
        assert_ne!(one, two);
    }
}
