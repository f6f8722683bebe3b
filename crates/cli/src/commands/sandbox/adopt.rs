//! `pontoon sandbox adopt`.

use std::path::{Path, PathBuf};

use clap::Args;
use pontoon::{Controller, Error, Kind, NamespaceSource, Sandbox};

use crate::commands::attach::{Wiring, attach, note_ports};
use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;

/// Take over a network namespace that somebody else made, and print the sandbox's id
///
/// It is left as it was found when the sandbox is removed. A sandbox of that name that waits for its namespace
/// (`sandbox create --external`) gets this one, with everything that was given when it was created.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct Adopt {
    /// Its name
    name: String,
    /// The file that keeps the namespace
    #[arg(long, value_name = "PATH", group = "source")]
    netns: Option<PathBuf>,
    /// A process in the namespace
    #[arg(long, value_name = "PID", group = "source")]
    pid: Option<u32>,
    #[command(flatten)]
    wiring: Wiring,
}

impl Adopt {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let path = self.path()?;
        let networks = self.wiring.named()?;
        if let Some(flag) = self.wiring.given() {
            context.look(|controller| self.refuse_again(controller, flag))?;
        }
        let spec = self.wiring.spec(&self.name, None).namespace(NamespaceSource::Adopted(path.clone()));
        let ports = spec.ports.clone();
        let adopted = context.change("adopting", |controller| match self.waiting(controller)? {
            Some(sandbox) if self.wiring.given().is_none() => sandbox.set_key(&path).map(|()| sandbox),
            _ => attach(controller, spec, &networks),
        })?;
        if let Some(sandbox) = adopted {
            note_ports(&context.settings, &ports);
            output::created(context.settings.format, sandbox.id(), &self.name);
        }
        Ok(0)
    }

    /// Returns the sandbox of that name, if it waits for its namespace.
    fn waiting(&self, controller: &Controller) -> Result<Option<Sandbox>, Error> {
        match controller.sandbox_of(&self.name) {
            Ok(sandbox) => Ok((sandbox.info()?.spec.namespace == NamespaceSource::Later).then_some(sandbox)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses what a sandbox that waits was given when it was created.
    fn refuse_again(&self, controller: &Controller, flag: &str) -> Result<(), Failure> {
        match self.waiting(controller)? {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!(
                "{flag} cannot be used with sandbox {}: it waits for its namespace, and has what it was created with",
                self.name
            ))
            .hinted("leave the flag out, or remove the sandbox first; `pontoon network connect` adds networks")),
        }
    }

    fn path(&self) -> Result<String, Failure> {
        let path = match (&self.netns, self.pid) {
            (Some(path), _) => path.clone(),
            (None, pid) => PathBuf::from(format!("/proc/{}/ns/net", pid.unwrap_or_default())),
        };
        let path = absolute(&path)?;
        path.into_os_string().into_string().map_err(|path| Failure::usage(format!("the path {path:?} is not UTF-8")))
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    // Only the directory is resolved: what /proc/PID/ns/net points to is no path.
    let failed = |error| Failure::because(format!("cannot open the namespace {}", path.display()), error);
    path.metadata().map_err(failed)?;
    std::path::absolute(path).map_err(failed)
}
