//! `cargo xtask`: what the project does to itself. One file per command.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod lint;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--ci] [--no-install]   install what the tests need, build, run every test
  lint                         check the architecture's invariants
  ci                           fmt, clippy, rustdoc, lint and deny; all that is not a test
  bench <name> [args]          run one benchmark of the crate pontoon-bench, attach or dns
";

/// What a command ends with: nothing, or one sentence saying what went wrong.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match command {
        "test" => test::run(rest),
        "lint" => no_arguments(command, rest).and_then(|()| lint::run()),
        "ci" => no_arguments(command, rest).and_then(|()| ci::run_all()),
        "bench" => bench::run_named(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprint!("error: unknown command '{other}'\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // `test` has said everything in its closing line, which must stay the last one.
            if !message.is_empty() {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

fn no_arguments(command: &str, rest: &[String]) -> Outcome {
    match rest.first() {
        None => Ok(()),
        Some(arg) => Err(format!("{command} takes no arguments, found '{arg}'")),
    }
}
