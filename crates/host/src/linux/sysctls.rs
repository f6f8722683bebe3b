//! Kernel settings below `/proc/sys`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pontoon_core::engine::{HostError, NoIpv6};
use pontoon_core::model::{IfName, SandboxId};
use pontoon_core::objects::{Object, Op, Place, Sysctl};
use pontoon_netlink::netns::{Namespace, Visitor};

use super::error;
use super::namespaces::Files;
use super::run::{Mode, Run, Steps, Taken};

/// Returns the value, or `None` if the kernel has no such setting.
pub(super) fn read(files: &Files, visitor: &Visitor, place: Place, name: &str) -> Result<Option<String>, HostError> {
    let owned = name.to_owned();
    inside(files, visitor, place, move || read_here(&owned))?
        .map_err(|e| error::io(&format!("reading the kernel setting {name}"), &e))
}

fn read_here(name: &str) -> io::Result<Option<String>> {
    let path = path(name);
    match fs::read_to_string(&path) {
        Ok(value) => Ok(Some(value.trim().to_owned())),
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        // An interface without this setting has no IPv6: the kernel has none, or the MTU is too small for it.
        Err(_) if path.ends_with("disable_ipv6") && has_ipv4(&path) => Ok(Some("1".to_owned())),
        Err(_) => Ok(None),
    }
}

/// Whether the interface of a setting of IPv6 is there at all.
fn has_ipv4(path: &Path) -> bool {
    let interface = path.parent().and_then(|conf| conf.strip_prefix("/proc/sys/net/ipv6").ok());
    interface.is_some_and(|interface| Path::new("/proc/sys/net/ipv4").join(interface).exists())
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

/// A setting of an interface of ours that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) setting: Sysctl,
    /// What it must be before; another value is somebody else's and stays.
    pub(super) from: Option<String>,
}

impl Run<'_> {
    /// Writes settings of a sandbox's interfaces in one visit. One that is removed has gone with its interface.
    pub(super) fn settings(&mut self, sandbox: SandboxId, steps: &Steps<'_>, mode: Mode, taken: &mut Taken) {
        let is_removal = |op: &Op| matches!(op, Op::Remove(_));
        let (removals, others): (Vec<_>, Vec<_>) = steps.iter().copied().partition(|(_, op)| is_removal(op));
        removals.into_iter().for_each(|(step, op)| taken.note(step, op, Ok(())));
        let mut rest = others.as_slice();
        while !rest.is_empty() && !taken.stops(mode) {
            let wishes: Vec<Wish> = rest.iter().filter_map(|(_, op)| wish(op)).collect();
            let visitor = self.host.visitor.clone();
            let visited = self.inside(sandbox).and_then(|inside| {
                let visit = visitor.visit(&inside.open.namespace, move || fulfil(&wishes));
                visit.map_err(|e| error::because("entering network namespaces", &e))
            });
            let results = visited.unwrap_or_else(|error| vec![Err(error)]);
            for ((step, op), result) in rest.iter().zip(&results) {
                if let (Op::Add(_), Ok(original)) = (op, result) {
                    self.originals.insert(*step, original.clone());
                }
                taken.note(*step, op, result.clone().map(drop));
            }
            rest = &rest[results.len().max(1)..];
        }
    }
}

fn wish(op: &Op) -> Option<Wish> {
    match op {
        Op::Change { from: Object::Sysctl(from), to: Object::Sysctl(to) } => {
            Some(Wish { setting: to.clone(), from: Some(from.value.clone()) })
        }
        Op::Add(Object::Sysctl(setting)) => Some(Wish { setting: setting.clone(), from: None }),
        _ => None,
    }
}

/// Writes settings of interfaces in the calling thread's namespace until one is refused, and returns what they were.
pub(super) fn fulfil(wishes: &[Wish]) -> Vec<Result<String, HostError>> {
    let mut results = Vec::with_capacity(wishes.len());
    for wish in wishes {
        results.push(fulfil_one(wish));
        if results.last().is_some_and(Result::is_err) {
            break;
        }
    }
    results
}

/// The refusals are in upstream's words.
fn fulfil_one(wish: &Wish) -> Result<String, HostError> {
    let Sysctl { name, value, .. } = &wish.setting;
    let path = path(name);
    let number = |e: &io::Error| e.raw_os_error().unwrap_or(libc::EIO);
    let unreadable = |e: &io::Error| error::of(number(e), format!("unable to read '{}': {e}", path.display()));
    let present = read_here(name).map_err(|e| unreadable(&e))?;
    let none = || error::of(libc::ENOENT, format!("{} is not a sysctl file", path.display()));
    let present = present.ok_or_else(none)?;
    if present == *value || wish.from.as_ref().is_some_and(|from| *from != present) {
        return Ok(present);
    }
    fs::write(&path, value).map_err(|e| {
        let reason = format!("unable to write to '{}': {e}", path.display());
        let interface = wish.setting.link().filter(|_| wish.setting.is_ipv6_switch());
        match (wish.setting.place, interface.and_then(|link| link.parse().ok())) {
            (Place::Sandbox(sandbox), Some(interface)) if value == "0" => {
                HostError::NoIpv6(Box::new(NoIpv6 { sandbox, interface, reason }))
            }
            (_, Some::<IfName>(link)) => {
                error::of(number(&e), format!("failed to disable IPv6 on container's interface {link}: {e}"))
            }
            _ => error::of(number(&e), reason),
        }
    })?;
    // Some settings take a value without using it.
    match read_here(name).map_err(|e| unreadable(&e))?.unwrap_or_default() {
        after if after == *value => Ok(present),
        after => {
            let text = format!("unable to write to '{}': it is {after} after {value} was written", path.display());
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
