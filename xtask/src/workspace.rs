//! The workspace as cargo sees it, and running cargo in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Outcome;

/// Returns a command for the cargo that started us, so that the toolchain is the same.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command with our terminal; a status other than 0 is an error that shows the command.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    println!("+ {shown}");
    let status = command.status().map_err(|err| format!("cannot start `{shown}`: {err}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}")) }
}

/// Returns a command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

/// How much `cargo metadata` is to find out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The members only: works without a network.
    Members,
    /// The whole dependency graph, for every target.
    Dependencies,
}

/// What `cargo metadata` says about the workspace around the current directory.
pub(crate) struct Workspace {
    /// The document as cargo printed it.
    pub(crate) metadata: Value,
    /// The directory of the top `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load(depth: Depth) -> Outcome<Self> {
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1"]);
        if depth == Depth::Members {
            command.arg("--no-deps");
        }
        let text = output(&mut command)?;
        let metadata: Value =
            serde_json::from_str(&text).map_err(|err| format!("cannot read what cargo metadata printed: {err}"))?;
        let directory =
            |key: &str| metadata[key].as_str().map(PathBuf::from).ok_or(format!("cargo metadata names no {key}"));
        Ok(Self { root: directory("workspace_root")?, target: directory("target_directory")?, metadata })
    }

    /// Returns the files that belong to the project, relative to its root: what git tracks, and what it would track.
    pub(crate) fn files(&self) -> Outcome<Vec<String>> {
        let mut command = Command::new("git");
        command.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut files: Vec<String> = output(&mut command)?
            .split_terminator('\0')
            .map(str::to_owned)
            .filter(|file| self.root.join(file).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

fn output(command: &mut Command) -> Outcome<String> {
    let shown = shown(command);
    let output = command.stderr(Stdio::inherit()).output().map_err(|err| format!("cannot start `{shown}`: {err}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|err| format!("`{shown}` printed no UTF-8: {err}"))
}
