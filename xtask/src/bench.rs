//! `cargo xtask bench <name> [args]`: one benchmark of the crate `pontoon-bench`, in release mode.

use crate::Outcome;
use crate::workspace::{cargo, run};

/// Passes the name and its arguments on to the benchmark program.
pub(crate) fn run_named(args: &[String]) -> Outcome {
    if args.is_empty() {
        return Err("bench needs the name of a benchmark, for example `cargo xtask bench attach`".into());
    }
    run(cargo().args(["run", "--release", "--package", "pontoon-bench", "--"]).args(args))
}
