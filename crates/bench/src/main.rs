//! How fast Pontoon is, beside the bare kernel of the same run.
//!
//! `pontoon-bench attach [--rounds N] [--sizes 1,100,1000] [--pontoon PATH]` and `pontoon-bench dns --pontoon PATH [--rounds N]
//! [--sizes 1,10,100,1000] [--aardvark PATH]` print tables in Markdown. They work in network and mount namespaces of their own,
//! which they enter by running themselves again.

mod attach;
mod dns;
mod floor;
mod sample;
mod wire;

use std::error::Error;
use std::process::{Command, ExitCode};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match (args.first().map(String::as_str), std::env::var_os("PONTOON_BENCH_INSIDE")) {
        (Some("attach"), Some(_)) => attach::run(&args[1..]),
        (Some("dns"), Some(_)) => dns::run(&args[1..]),
        // A part of `dns`.
        (Some("echo"), Some(_)) => dns::echo::serve(),
        (Some("attach" | "dns"), None) => inside(&args),
        _ => Err("usage: pontoon-bench attach|dns [--rounds N] [--sizes 1,100,1000] [--pontoon PATH]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program again where it cannot disturb anybody.
fn inside(args: &[String]) -> Outcome<()> {
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec"])
        .arg("mount -t tmpfs none /run; mount -t sysfs none /sys 2>/dev/null || true; ip link set lo up; exec \"$@\"")
        .arg("sh")
        .arg(std::env::current_exe()?)
        .args(args)
        .env("PONTOON_BENCH_INSIDE", "1")
        .status()?;
    if status.success() { Ok(()) } else { Err("the measurement failed".into()) }
}
