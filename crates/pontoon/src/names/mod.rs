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
//! ends when no sandbox has been there for a moment, and may die at any time: whoever finds nobody at the socket, or somebody who
//! is silent, starts another, which begins with what is written down.

mod announce;
mod clients;
mod helper;
mod publish;
mod serve;
mod sockets;
mod status;
mod upstream;
mod watch;
mod zones;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use pontoon_core::engine::names::{Announced, EndpointNames, Names, NetworkNames, SandboxNames, Seen};
pub use pontoon_core::objects::{RESOLVER_ADDRESS, RESOLVER_PORT};
pub(crate) use publish::Publisher;
pub use serve::serve;
pub use status::Fault;
pub use watch::{Watch, watch};

/// What a client of the helper's socket says, and what it hears when the names that are written down are in force.
const LOAD: &str = "load";
const LOADED: &str = "loaded";
/// What it says to hear who is answered, and who is not.
const STATUS: &str = "status";

/// Where the helper listens, in the run directory.
const SOCKET: &str = "names.sock";

/// Where the names are written down.
fn document(run_dir: &Path) -> PathBuf {
    run_dir.join("names.json")
}

/// Where the helper is told to read them.
fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join(SOCKET)
}

/// Returns what changes when the names are written down again; nothing without a document.
fn version(run_dir: &Path) -> Option<(u64, i64, i64)> {
    std::fs::metadata(document(run_dir)).ok().map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

/// Reads the names; without a document there are none.
fn read(run_dir: &Path) -> std::io::Result<Names> {
    match std::fs::read(document(run_dir)) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Names::default()),
        Err(error) => Err(error),
    }
}
