//! `pontoon sandbox create`.

use clap::Args;
use pontoon::NamespaceSource;

use crate::commands::attach::{Wiring, attach, note_ports};
use crate::context::Context;
use crate::errors::Outcome;
use crate::output;

/// Create a sandbox with a namespace of its own, and print its id
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Its name
    name: String,
    /// Make no namespace: one is named later, by `sandbox adopt` or by the OCI hook
    #[arg(long)]
    external: bool,
    #[command(flatten)]
    wiring: Wiring,
}

impl Create {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let namespace = if self.external { NamespaceSource::Later } else { NamespaceSource::New };
        let spec = self.wiring.spec(&self.name, None).namespace(namespace);
        let ports = spec.ports.clone();
        let networks = self.wiring.named()?;
        let created = context.change("creating the sandbox", |controller| attach(controller, spec, &networks))?;
        if let Some(sandbox) = created {
            note_ports(&context.settings, &ports);
            output::created(context.settings.format, sandbox.id(), &self.name);
        }
        Ok(0)
    }
}
