//! The log, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::args::{Global, LogFormat};

/// Names the filter directives, which win over `-q` and `-v`.
const FILTER: &str = "PONTOON_LOG";

/// Starts logging as the command line and `PONTOON_LOG` say.
pub(crate) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(level));
    let builder = Subscriber::builder().with_env_filter(filter).with_writer(io::stderr);
    // Starting twice is the only way to fail, and this is called once.
    let _ = match global.log_format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_target(false).without_time().with_ansi(colours).try_init()
        }
    };
}
