//! `pontoon sandbox adopt`.

use std::path::{Path, PathBuf};

use clap::Args;
use pontoon::{NamespaceSource, SandboxSpec};

use crate::context::Context;
use crate::errors::{Failure, Outcome};
use crate::output;

/// Take over a network namespace that somebody else made, and print the sandbox's id
///
/// It is left as it was found when the sandbox is removed. Connect it with `pontoon network connect`. A sandbox of that name
/// that waits for its namespace (`sandbox create --external`) gets this one, with everything it was connected to.
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
}

impl Adopt {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let path = self.path()?;
        let adopted = context.change("adopting", |controller| match controller.sandbox_of(&self.name) {
            Ok(sandbox) if sandbox.info()?.spec.namespace == NamespaceSource::Later => {
                sandbox.set_key(&path)?;
                Ok(sandbox)
            }
            _ => controller
                .create_sandbox(SandboxSpec::new(&self.name).namespace(NamespaceSource::Adopted(path.clone()))),
        })?;
        if let Some(sandbox) = adopted {
            output::created(context.settings.format, sandbox.id(), &self.name);
        }
        Ok(0)
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
