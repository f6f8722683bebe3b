//! `pontoon run`.

use std::ffi::OsString;

use clap::Args;
use pontoon::{
    Controller, FirewallGuard, Holds, Kind, NamespaceSource, Sandbox, SandboxId, SandboxSpec, myself, names,
};

use super::attach::{DEFAULT_NETWORK, Wiring, attach, note_ports};
use super::exec::{self, Place};
use crate::context::Context;
use crate::enter::Namespace;
use crate::errors::{Failure, OURS, Outcome};
use crate::signals::{Watch, status_of};
use crate::time;
use crate::values::Joining;

/// Run a command in a new sandbox, which is removed when it ends
///
/// Without --network it joins the network `default`, which is made when it is first used. `--network host` and `--network none`
/// join no network: in the host's namespace, and in an empty one. `--network sandbox:N` shares the namespace of another sandbox.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The sandbox's name [default: one that is free]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    wiring: Wiring,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Which namespace the command gets.
enum Mode {
    Own { networks: Vec<Joining> },
    Host,
    SharedWith(String),
}

impl Run {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let signals = Watch::start().map_err(|error| Failure::because("cannot take signals", error).exiting(OURS))?;
        let (spec, networks) = match self.mode()? {
            Mode::SharedWith(name) => return self.share(context, &name, &signals),
            Mode::Host => (self.spec(NamespaceSource::Host), Vec::new()),
            Mode::Own { networks } => (self.spec(NamespaceSource::New), self.wiring.joining(&networks)),
        };
        let controller = context.open()?;
        let attached =
            context.change_with(&controller, "attaching", |controller| attach(controller, spec.clone(), &networks))?;
        let Some(sandbox) = attached else {
            controller.stop()?;
            return Ok(0);
        };
        note_ports(&context.settings, &spec.ports);
        // Others use the state while the command runs; what is held here are its host ports.
        let holds = controller.stop()?;
        let status = match signals.ending() {
            Some(signal) => Ok(status_of(signal)),
            None => {
                let _watch = watch_names(context, sandbox.id());
                let _guard = guard_firewall(context, &holds);
                self.inside(context, &sandbox, &spec, &signals)
            }
        };
        let removed = remove(context, &holds, sandbox.id());
        match (status, removed) {
            (Ok(_), Err(failure)) => Err(failure.exiting(OURS)),
            (Err(failure), Err(left)) => {
                left.print(context.settings.format);
                Err(failure)
            }
            (status, Ok(())) => status,
        }
    }

    fn inside(&self, context: &Context, sandbox: &Sandbox, spec: &SandboxSpec, signals: &Watch) -> Outcome {
        let namespace = open(sandbox, spec)?;
        let place = Place {
            namespace: namespace.as_ref(),
            hostname: spec.hostname.as_deref(),
            files: sandbox.files(),
            settings: &context.settings,
        };
        exec::run(&place, &self.command, signals)
    }

    fn mode(&self) -> Result<Mode, Failure> {
        let networks = &self.wiring.networks;
        let named = |name: &str| networks.iter().any(|joining| joining.network == name);
        let shared = networks.iter().find_map(|joining| joining.network.strip_prefix("sandbox:"));
        if let Some(name) = shared {
            self.wiring.no_files(name)?;
        }
        for special in ["host", "none"].into_iter().filter(|name| named(name)).chain(shared) {
            self.wiring.no_ports(special)?;
            self.wiring.no_settings(special)?;
            if networks.len() > 1 {
                return Err(Failure::usage(format!("--network {special} excludes other networks")));
            }
        }
        Ok(match shared {
            Some(name) => Mode::SharedWith(name.to_owned()),
            None if named("host") => Mode::Host,
            None if named("none") => Mode::Own { networks: Vec::new() },
            None if networks.is_empty() => Mode::Own {
                networks: vec![Joining { network: DEFAULT_NETWORK.to_owned(), endpoint: Default::default() }],
            },
            None => Mode::Own { networks: networks.clone() },
        })
    }

    fn spec(&self, namespace: NamespaceSource) -> SandboxSpec {
        let name = self.name.clone().unwrap_or_else(free_name);
        SandboxSpec { namespace, ..self.wiring.spec(&name, Some(myself())) }
    }

    /// Runs in a sandbox that is there already, and stays.
    fn share(&self, context: &Context, name: &str, signals: &Watch) -> Outcome {
        let sandbox = context.look(|controller| Ok(controller.find_sandbox(name)?))?;
        if context.settings.plan {
            context.print_plan(&[], &[]);
            return Ok(0);
        }
        let spec = &sandbox.info()?.spec;
        let hostname = self.wiring.hostname.as_deref().or(spec.hostname.as_deref());
        let spec = SandboxSpec { hostname: hostname.map(str::to_owned), ..spec.clone() };
        self.inside(context, &sandbox, &spec, signals)
    }
}

/// Has names answered while the command runs, whatever becomes of the process that does so.
fn watch_names(context: &Context, sandbox: SandboxId) -> Option<names::Watch> {
    let watch = names::watch(&context.settings.run_dir, &context.settings.resolver(), sandbox);
    watch.inspect_err(|error| tracing::warn!(%error, "who answers for names is not watched")).ok()
}

/// Puts the firewall back while the command runs, when another program removes it.
fn guard_firewall(context: &Context, holds: &Holds) -> Option<FirewallGuard> {
    let guard = holds.guard_firewall(context.settings.config());
    guard.inspect_err(|error| tracing::warn!(%error, "the firewall is not watched")).ok()
}

/// Returns a name that nobody has: the pid differs from others' here, the time from others' elsewhere.
fn free_name() -> String {
    format!("run-{}-{:04x}", std::process::id(), (time::now() / 1000) & 0xffff)
}

/// Opens the namespace in which a sandbox's commands run; none if that is the present one.
pub(crate) fn open(sandbox: &Sandbox, spec: &SandboxSpec) -> Result<Option<Namespace>, Failure> {
    match spec.namespace {
        NamespaceSource::Host => return Ok(None),
        NamespaceSource::Later => {
            let waits = format!("sandbox {} waits for its namespace", spec.name);
            return Err(Failure::new(waits).hinted("`pontoon sandbox adopt` names it").exiting(OURS));
        }
        NamespaceSource::New | NamespaceSource::Adopted(_) => {}
    }
    let key = sandbox.key();
    Namespace::open(key).map(Some).map_err(|error| {
        Failure::because(format!("cannot open the namespace {}", key.display()), error)
            .hinted("`pontoon repair` makes what is missing")
            .exiting(OURS)
    })
}

/// Removes the sandbox, and waits until nothing is left of it.
fn remove(context: &Context, holds: &Holds, sandbox: SandboxId) -> Result<(), Failure> {
    let controller = Controller::builder(context.settings.config()).holds(holds).open()?;
    let removed = controller.sandbox_by_id(&sandbox.to_string()).and_then(|sandbox| sandbox.delete());
    let settled = controller.settle();
    drop(controller.stop()?);
    match removed {
        // Somebody else was faster.
        Err(error) if error.kind() == Kind::NotFound => {}
        removed => removed?,
    }
    Ok(settled?)
}
