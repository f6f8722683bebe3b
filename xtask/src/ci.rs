//! `cargo xtask ci`: every check that is not a test.

use crate::Outcome;
use crate::lint;
use crate::workspace::{cargo, run};

/// A check and its name.
type Check = (&'static str, fn() -> Outcome);

/// Runs all checks, also after one has failed, and names those that failed.
pub(crate) fn run_all() -> Outcome {
    let checks: [Check; 5] =
        [("fmt", fmt), ("clippy", clippy), ("rustdoc", rustdoc), ("lint", lint::run), ("deny", deny)];
    let mut failed = Vec::new();
    for (name, check) in checks {
        println!("== {name}");
        if let Err(message) = check() {
            println!("{message}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("checks: all {} hold", checks.len());
        Ok(())
    } else {
        Err(format!("checks that failed: {}", failed.join(", ")))
    }
}

fn fmt() -> Outcome {
    run(cargo().args(["fmt", "--all", "--", "--check"]))
}

fn clippy() -> Outcome {
    run(cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn rustdoc() -> Outcome {
    run(cargo().args(["doc", "--locked", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The advisories need a database from the network, which a sealed build machine cannot fetch; the rest is offline.
fn deny() -> Outcome {
    run(cargo().args(["deny", "--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}
