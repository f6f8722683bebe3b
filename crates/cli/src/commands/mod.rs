//! What can be done, one file each.

pub(crate) mod attach;
pub(crate) mod completion;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod endpoint;
pub(crate) mod exec;
pub(crate) mod man;
pub(crate) mod network;
pub(crate) mod oci_hook;
pub(crate) mod port;
pub(crate) mod publish;
pub(crate) mod repair;
pub(crate) mod resolver;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod stats;
pub(crate) mod unpublish;

use serde_json::json;

use crate::args::{Cli, Command, Format};
use crate::context::Context;
use crate::errors::{OURS, Outcome, USAGE};
use crate::settings::Settings;
use crate::{output, rootless};

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Outcome {
    match cli.command {
        Command::Completion(command) => command.run(),
        Command::Man(command) => command.run(&cli.global),
        Command::Version => {
            version(cli.global.format);
            Ok(0)
        }
        Command::Demo(command) => command.run(&cli.global),
        command => with_settings(command, &Settings::of(&cli.global)?),
    }
}

fn version(format: Format) {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Table => output::line(format_args!("pontoon {version}")),
        Format::Json => output::json(&json!({ "Version": version })),
    }
}

fn with_settings(command: Command, settings: &Settings) -> Outcome {
    if matches!(command, Command::Hold) {
        return rootless::hold(settings);
    }
    // A command that runs another keeps its own failures apart from that one's.
    let runs = matches!(&command, Command::Run(_)) || matches!(&command, Command::Sandbox(sandbox::Sandbox::Exec(_)));
    let outcome = in_place(command, settings);
    outcome.map_err(|failure| match failure.status() {
        status if runs && status < OURS && status != USAGE => failure.exiting(OURS),
        _ => failure,
    })
}

/// Does it where the network is: here, or in the user's own namespaces.
fn in_place(command: Command, settings: &Settings) -> Outcome {
    let membership = if settings.rootless { Some(rootless::join(settings)?) } else { None };
    let context = Context::new(settings.clone());
    let outcome = match command {
        Command::Run(command) => command.run(&context),
        Command::Network(command) => command.run(&context),
        Command::Sandbox(command) => command.run(&context),
        Command::Endpoint(command) => command.run(&context),
        Command::Publish(command) => command.run(&context),
        Command::Unpublish(command) => command.run(&context),
        Command::Port(command) => command.run(&context),
        Command::Stats(command) => command.run(&context),
        Command::OciHook(command) => command.run(&context),
        Command::Resolver(command) => command.run(&context),
        Command::Doctor(command) => command.run(&context),
        Command::Repair(command) => command.run(&context, membership.as_ref()),
        Command::Demo(_) | Command::Completion(_) | Command::Man(_) | Command::Version | Command::Hold => Ok(0),
    };
    outcome.map(|status| context.conclude(status))
}
