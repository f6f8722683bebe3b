//! How fast Pontoon is, beside the bare kernel of the same run.
//!
//! `pontoon-bench attach [--rounds N] [--sizes 1,100,1000] [--pontoon PATH]` prints a table in Markdown. It works in network
//! and mount namespaces of its own, which it enters by running itself again.

mod attach;
mod floor;
mod sample;
mod wire;

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match (args.first().map(String::as_str), std::env::var_os("PONTOON_BENCH_INSIDE")) {
        (Some("attach"), Some(_)) => attach::run(&args[1..]),
        (Some("attach"), None) => inside(&args),
        _ => Err("usage: pontoon-bench attach [--rounds N] [--sizes 1,100,1000] [--pontoon PATH]".into()),
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
fn inside(args: &[String]) -> Result<(), Box<dyn std::error::Error>> {
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
