//! Names: what the containers of a network call each other, and the process that answers them. It announces their addresses too,
//! for it lives longer than those that join.
//!
//! ```text
//! controller                        <run-dir>/names.json            helper: `serve`
//!   after every change: Publisher ──▶ what holds now ──────────────▶ zones, views ─▶ resolver ─▶ a socket in
//!                          └────────▶ <run-dir>/names.sock: "load" ─▶ "loaded"                    every sandbox
//!                                                                     └▶ announcements
//! ```
//!
//! One helper answers all sandboxes of a run directory, and announces for all of them, those without a resolver included. It
//! ends when no sandbox has been there for a moment, and may die at any time: whoever finds nobody at the socket starts another,
//! which begins with what is written down.

mod announce;
mod helper;
mod publish;
mod serve;
mod sockets;
mod upstream;
mod watch;
mod zones;

use std::path::{Path, PathBuf};

pub use pontoon_core::engine::names::{Announced, EndpointNames, Names, NetworkNames, SandboxNames, Seen};
pub use pontoon_core::objects::{RESOLVER_ADDRESS, RESOLVER_PORT};
pub(crate) use publish::Publisher;
pub use serve::serve;
pub use watch::{Watch, watch};

/// What a client of the helper's socket says, and what it hears when the names that are written down are in force.
const LOAD: &str = "load";
const LOADED: &str = "loaded";

/// Where the names are written down.
fn document(run_dir: &Path) -> PathBuf {
    run_dir.join("names.json")
}

/// Where the helper is told to read them.
fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join("names.sock")
}

/// Reads the names; without a document there are none.
fn read(run_dir: &Path) -> std::io::Result<Names> {
    match std::fs::read(document(run_dir)) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Names::default()),
        Err(error) => Err(error),
    }
}
