//! `cargo xtask test`: gets what the tests need, builds once, runs everything, and counts.

mod missing;
mod results;
mod tools;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::Outcome;
use crate::workspace::{Depth, Workspace, cargo, run as run_shown, shown};
use missing::{Expected, Missing};
use results::{Results, Tally};

/// Where a test appends what the kernel lacks; see CONTRIBUTING.md.
const MISSING_FILE: &str = "PONTOON_MISSING_FILE";

/// How long output may stay open after the command has ended.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Options {
    /// Whatever was not tested is a failure.
    ci: bool,
    /// Leave the machine's packages alone.
    no_install: bool,
}

impl Options {
    fn parse(args: &[String]) -> Outcome<Self> {
        let mut options = Self::default();
        for arg in args {
            match arg.as_str() {
                "--ci" => options.ci = true,
                "--no-install" => options.no_install = true,
                other => return Err(format!("test knows --ci and --no-install, found '{other}'")),
            }
        }
        Ok(options)
    }
}

/// Runs all tests. The last line printed is `N passed, N failed`.
pub(crate) fn run(args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let workspace = Workspace::load(Depth::Members)?;
    let expected = Expected::read(&workspace.root.join("tests/expected-missing.txt"))?;
    let lacking = tools::provide(!options.no_install);

    let mut complaints = Vec::new();
    if !lacking.is_empty() {
        let names: Vec<&str> = lacking.iter().map(|tool| tool.program).collect();
        println!("tools: missing: {}; tests that need them cannot run", names.join(", "));
        if options.ci {
            complaints.push(format!("tools that the tests need are missing: {}", names.join(", ")));
        }
    }

    let missing_file = workspace.target.join("missing-features.txt");
    // Created here: a test in a user namespace of its own may not be allowed to.
    std::fs::write(&missing_file, "").map_err(|err| format!("cannot write {}: {err}", missing_file.display()))?;
    let tally = build(&options).and_then(|()| run_tests(&missing_file, &mut complaints)).unwrap_or_else(|message| {
        complaints.push(message);
        Tally { failed: 1, ..Tally::default() }
    });

    let missing = Missing::read(&missing_file).unwrap_or_else(|message| {
        complaints.push(message);
        Missing::default()
    });
    print!("{}", missing.report(&expected));
    let judged = Judged { tally, unexpected: missing.unexpected(&expected) };
    complaints.extend(judged.complaints(options.ci));
    conclude(tally, &complaints)
}

/// What a run brought to light, for the decision whether it passes.
struct Judged {
    tally: Tally,
    unexpected: Vec<String>,
}

impl Judged {
    fn complaints(&self, ci: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.tally.passed + self.tally.failed == 0 {
            complaints.push("no test ran".to_owned());
        }
        if ci && self.tally.ignored > 0 {
            complaints.push(format!("{} tests are ignored: run them or remove them", self.tally.ignored));
        }
        if ci && !self.unexpected.is_empty() {
            complaints.push(format!(
                "kernel features missing that tests/expected-missing.txt does not list: {}",
                self.unexpected.join(", ")
            ));
        }
        complaints
    }
}

fn conclude(tally: Tally, complaints: &[String]) -> Outcome {
    for complaint in complaints {
        println!("error: {complaint}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if complaints.is_empty() && tally.failed == 0 {
        Ok(())
    } else {
        // Everything is said; an error text would come after the closing line.
        Err(String::new())
    }
}

fn build(options: &Options) -> Outcome {
    let mut command = cargo();
    command.args(["build", "--workspace", "--all-targets"]);
    if options.ci {
        command.arg("--locked");
    }
    run_shown(&mut command)
}

/// Runs `cargo test`, passes its output through, and counts.
fn run_tests(missing_file: &Path, complaints: &mut Vec<String>) -> Outcome<Tally> {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .env(MISSING_FILE, missing_file)
        .env("PATH", path_with_sbin(std::env::var_os("PATH")));
    println!("+ {}", shown(&command));

    let finished =
        pass_through(command, &mut std::io::stdout()).map_err(|err| format!("cannot run cargo test: {err}"))?;
    let (mut tally, silent) = finished.results.finish();
    for program in silent {
        complaints.push(format!("{program} ended without a result: it crashed or was killed"));
    }
    if finished.left_behind {
        complaints.push("a process that a test started is still running".to_owned());
    }
    let status = finished.status;
    if !status.success() && tally.failed == 0 {
        complaints.push(format!("cargo test failed ({status}) although no test did"));
        tally.failed = 1;
    }
    Ok(tally)
}

/// How a command that printed results ended.
struct Finished {
    results: Results,
    status: ExitStatus,
    /// Somebody that it started lives on, and holds its output open.
    left_behind: bool,
}

/// Both streams share one pipe: only in their true order do they tell which program a result line belongs to.
fn pass_through(mut command: Command, out: &mut impl Write) -> std::io::Result<Finished> {
    let (reader, writer) = std::io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // The command holds our ends of the pipe: while they are open the reader sees no end.
    drop(command);
    let lines = lines_of(reader);
    let mut results = Results::default();
    let left_behind = loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                let line = line?;
                out.write_all(&line)?;
                out.flush()?;
                results.line(&String::from_utf8_lossy(&line));
            }
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) if child.try_wait()?.is_some() => break true,
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    Ok(Finished { results, status: child.wait()?, left_behind })
}

/// Reads on a thread of its own, so that a pipe which never ends cannot hold us up.
fn lines_of(reader: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, lines) = mpsc::channel();
    let mut reader = BufReader::new(reader);
    let mut next = move || {
        let mut line = Vec::new();
        let length = reader.read_until(b'\n', &mut line);
        length.map(|length| (length > 0).then_some(line)).transpose()
    };
    std::thread::spawn(move || {
        while let Some(line) = next() {
            // An error does not pass by reading on; and nobody listens once the command has ended.
            if line.is_err() | sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Debian keeps nft and ip out of an ordinary user's PATH.
fn path_with_sbin(path: Option<OsString>) -> OsString {
    let mut path = path.unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(passed: u64, ignored: u64, unexpected: &[&str], ci: bool) -> String {
        let judged = Judged {
            tally: Tally { passed, failed: 0, ignored },
            unexpected: unexpected.iter().map(|&feature| feature.to_owned()).collect(),
        };
        judged.complaints(ci).join("; ")
    }

    #[test]
    fn only_ci_insists_on_complete_runs() {
        assert_eq!(judge(3, 0, &[], true), "");
        assert_eq!(judge(3, 1, &["vlan"], false), "");
        assert_eq!(judge(3, 1, &[], true), "1 tests are ignored: run them or remove them");
        assert!(judge(3, 0, &["vlan"], true).ends_with("does not list: vlan"));
    }

    #[test]
    fn no_tests_at_all_is_a_failure() {
        assert_eq!(judge(0, 0, &[], false), "no test ran");
    }

    #[test]
    fn options_are_the_two() {
        assert!(Options::parse(&["--ci".into()]).is_ok_and(|options| options.ci));
        assert!(Options::parse(&["--CI".into()]).is_err());
    }

    #[test]
    fn output_of_both_streams_is_counted_in_order() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo '     Running unittests src/a.rs (a)' >&2; echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s'; exit 3"]);
        let mut shown = Vec::new();
        let finished = pass_through(command, &mut shown).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert!(!finished.left_behind);
        assert_eq!(shown.iter().filter(|&&byte| byte == b'\n').count(), 2);
        let (tally, _) = finished.results.finish();
        assert_eq!((tally.passed, tally.failed, tally.ignored), (2, 0, 1));
    }

    #[test]
    fn who_outlives_the_tests_is_noticed() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 20 & echo $!"]);
        let mut shown = Vec::new();
        let finished = pass_through(command, &mut shown).unwrap();
        assert!(finished.left_behind);
        let pid = String::from_utf8(shown).unwrap();
        assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
    }
}
