//! The command line.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    completion, demo, doctor, endpoint, man, network, oci_hook, port, publish, repair, resolver, run, sandbox, stats,
    unpublish,
};

/// Gives containers their network.
#[derive(Debug, Parser)]
#[command(name = "pontoon", version, propagate_version = false, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory of the persistent state [default: /var/lib/pontoon, or $XDG_STATE_HOME/pontoon]
    #[arg(long, global = true, value_name = "DIR", env = "PONTOON_ROOT", hide_env_values = true)]
    pub(crate) root: Option<PathBuf>,
    /// Directory of what does not outlive a boot [default: /run/pontoon, or $XDG_RUNTIME_DIR/pontoon]
    #[arg(long, global = true, value_name = "DIR", env = "PONTOON_RUN_DIR", hide_env_values = true)]
    pub(crate) run_dir: Option<PathBuf>,
    /// Output as a table for people, or as one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Print what would change, and change nothing
    #[arg(long, global = true)]
    pub(crate) plan: bool,
    /// Print less: ids only in lists, errors only in the log
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How log lines look, on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Seconds to wait for others that use the same state
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, hide = true)]
    pub(crate) wait: u64,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Format {
    /// Returns the format that the words of a command line ask for that cannot be read as a whole.
    pub(crate) fn guess<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Self {
        let mut words = words.into_iter().take_while(|word| word.as_ref() != "--").peekable();
        while let Some(word) = words.next() {
            let next = words.peek().map(AsRef::as_ref);
            if word.as_ref() == "--format=json" || word.as_ref() == "--format" && next == Some(OsStr::new("json")) {
                return Self::Json;
            }
        }
        Self::Table
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    #[command(subcommand)]
    Network(network::Network),
    #[command(subcommand)]
    Sandbox(sandbox::Sandbox),
    #[command(subcommand)]
    Endpoint(endpoint::Endpoint),
    Publish(publish::Publish),
    Unpublish(unpublish::Unpublish),
    Port(port::Port),
    Stats(stats::Stats),
    OciHook(oci_hook::OciHook),
    Doctor(doctor::Doctor),
    Repair(repair::Repair),
    Completion(completion::Completion),
    Man(man::Man),
    /// Print the version
    Version,
    /// Keep the namespaces that an ordinary user's commands share
    #[command(hide = true)]
    Hold,
    Resolver(resolver::Resolver),
}
