//! `cargo xtask bench <name> [--write] [args]`: one benchmark of the crate `pontoon-bench`, in release mode.
//!
//! With `--write` its table replaces the section of that name in `docs/performance.md`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::workspace::{Depth, Workspace, cargo, run};

/// Builds the binary and the benchmark, and runs the benchmark beside the binary.
pub(crate) fn run_named(args: &[String]) -> Outcome {
    let Some((name, rest)) = args.split_first() else {
        return Err("bench needs the name of a benchmark, for example `cargo xtask bench attach`".into());
    };
    let (write, rest): (Vec<_>, Vec<_>) = rest.iter().partition(|arg| *arg == "--write");
    run(cargo().args(["build", "--release", "--package", "pontoon-cli", "--package", "pontoon-bench"]))?;
    let workspace = Workspace::load(Depth::Members)?;
    let release = workspace.target.join("release");
    let output = Command::new(release.join("pontoon-bench"))
        .arg(name)
        .arg("--pontoon")
        .arg(release.join("pontoon"))
        .args(rest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("pontoon-bench could not be started: {error}"))?;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{table}");
    if !output.status.success() {
        return Err(format!("pontoon-bench {name} failed: {}", output.status));
    }
    if write.is_empty() { Ok(()) } else { replace_section(&workspace.root.join("docs/performance.md"), name, &table) }
}

fn replace_section(path: &Path, name: &str, table: &str) -> Outcome {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let replaced = with_section(&text, name, table)?;
    fs::write(path, replaced).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns `text` with what stands between the marks of a section replaced.
fn with_section(text: &str, name: &str, table: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- bench {name}: begin -->"), format!("<!-- bench {name}: end -->"));
    let missing = || format!("the marks '{begin}' and '{end}' are missing");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", table.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let text = "a\n<!-- bench x: begin -->\nold\n<!-- bench x: end -->\nb\n";
        let expected = "a\n<!-- bench x: begin -->\nnew\n<!-- bench x: end -->\nb\n";
        assert_eq!(with_section(text, "x", "new\n").as_deref(), Ok(expected));
        assert!(with_section(text, "y", "new").is_err());
    }
}
