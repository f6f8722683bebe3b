//! Kernel settings below `/proc/sys`.

use std::fs;
use std::io;
use std::path::PathBuf;

use pontoon_core::engine::HostError;
use pontoon_core::objects::{Place, Sysctl};
use pontoon_netlink::netns::{Namespace, Visitor};

use super::error;
use super::namespaces::Files;

/// Returns the value, or `None` if the kernel has no such setting.
pub(super) fn read(files: &Files, visitor: &Visitor, place: Place, name: &str) -> Result<Option<String>, HostError> {
    let path = path(name);
    let read = inside(files, visitor, place, move || fs::read_to_string(path))?;
    match read {
        Ok(value) => Ok(Some(value.trim().to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(error::io(&format!("reading the kernel setting {name}"), &e)),
    }
}

/// Sets a value if it is another one. Returns what it was.
pub(super) fn set(files: &Files, visitor: &Visitor, sysctl: &Sysctl) -> Result<String, HostError> {
    let Some(present) = read(files, visitor, sysctl.place, &sysctl.name)? else {
        return Err(HostError::Missing { what: format!("kernel setting {}", sysctl.name) });
    };
    if present != sysctl.value {
        write(files, visitor, sysctl)?;
    }
    Ok(present)
}

/// Turns one value into another; a value that is neither is somebody else's and stays.
pub(super) fn change(files: &Files, visitor: &Visitor, from: &Sysctl, to: &Sysctl) -> Result<(), HostError> {
    match read(files, visitor, to.place, &to.name)? {
        Some(present) if present == from.value && present != to.value => write(files, visitor, to),
        _ => Ok(()),
    }
}

fn write(files: &Files, visitor: &Visitor, sysctl: &Sysctl) -> Result<(), HostError> {
    let (path, value) = (path(&sysctl.name), sysctl.value.clone());
    let written = inside(files, visitor, sysctl.place, move || fs::write(path, value))?;
    written.map_err(|e| error::io(&format!("setting {} to {}", sysctl.name, sysctl.value), &e))?;
    // Some settings take a value without using it.
    let present = read(files, visitor, sysctl.place, &sysctl.name)?.unwrap_or_default();
    match present == sysctl.value {
        true => Ok(()),
        false => {
            let text = format!("{} is {present} after it was set to {}", sysctl.name, sysctl.value);
            Err(error::of(libc::EINVAL, text))
        }
    }
}

/// As sysctl(8): dots separate, and a slash stands for a dot in a name.
fn path(name: &str) -> PathBuf {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    PathBuf::from(format!("/proc/sys/{}", name.chars().map(swap).collect::<String>()))
}

/// `/proc/sys/net` is that of the thread that reads it.
fn inside<T: Send + 'static>(
    files: &Files,
    visitor: &Visitor,
    place: Place,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    match place {
        Place::Host => Ok(work()),
        Place::Sandbox(id) => {
            let what = "entering network namespaces";
            let namespace = Namespace::open(files.path(id)).map_err(|e| error::because(what, &e))?;
            visitor.visit(&namespace, work).map_err(|e| error::because(what, &e))
        }
    }
}
