//! The other process: this program run again with only [`child`] selected, told what to do by variables.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pontoon_core::engine::store::{Batch, Store};
use pontoon_host::store::{DiskStore, Point};

use crate::{WRITERS, open, pair, whole_pairs};

/// A child and the end of the pipe that it writes to.
pub(crate) struct Running {
    pub(crate) process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.process.kill()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that ended already is not an error.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn child_command(program: &Path, role: &str, root: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "child::child", "--nocapture"])
        .env("PONTOON_STORE_ROLE", role)
        .env("PONTOON_STORE_ROOT", root)
        .stdin(Stdio::null());
    command
}

pub(crate) fn start(role: &str, root: &Path, settings: &[(&str, &str)]) -> Running {
    let program = std::env::current_exe().expect("this program");
    let settings = settings.iter().map(|(key, value)| (format!("PONTOON_STORE_{key}"), value));
    let mut process = child_command(&program, role, root)
        .envs(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = BufReader::new(process.stdout.take().expect("piped"));
    Running { process, output }
}

/// Reads what the child reports until `enough` or its end, leaving out what the test runner says.
pub(crate) fn read_until(child: &mut Running, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut reports = Vec::new();
    let mut line = String::new();
    while !enough(&reports) && child.output.read_line(&mut line).expect("text") > 0 {
        if let Some(report) = line.trim_end().strip_prefix("report ") {
            reports.push(report.to_owned());
        }
        line.clear();
    }
    reports
}

/// What other tests start as another process; by itself it does nothing.
#[test]
fn child() {
    let setting = |name: &str| std::env::var(format!("PONTOON_STORE_{name}")).ok();
    let (Some(role), Some(root)) = (setting("ROLE"), setting("ROOT")) else {
        return;
    };
    let root = Path::new(&root);
    let number = |name| setting(name).map_or(0, |text| text.parse().expect("a number"));
    match role.as_str() {
        "write" => write_forever(root, setting("POINT").as_deref(), number("NTH")),
        "hold" => {
            let _store = open(root);
            println!("\nreport held");
            // Until the parent closes its end, or ends.
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("a pipe");
        }
        "open" => match DiskStore::open(root, Duration::ZERO) {
            Ok(_) => println!("opened"),
            Err(error) => println!("{error}: {}", error.source().expect("a cause")),
        },
        "fill" => fill(root),
        other => panic!("no role {other}"),
    }
}

/// Commits from several threads, reporting each commit once it returned, until killed.
fn write_forever(root: &Path, point: Option<&str>, nth: u64) {
    let passed = AtomicU64::new(0);
    let at = point.map(|point| if point == "before" { Point::Before } else { Point::After });
    let probe = move |point| {
        if Some(point) == at && passed.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::KILL).expect("ours");
        }
        Ok(())
    };
    println!();
    let store = open(root).with_probe(Arc::new(probe));
    let last = whole_pairs(&store);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, first) = (&store, last.get(&writer).map_or(0, |n| n + 1));
            scope.spawn(move || {
                for n in first.. {
                    store.commit(&pair(writer, n)).expect("committed");
                    println!("report {writer} {n}");
                }
            });
        }
    });
}

/// Commits until the disk has no room, then opens the store again.
fn fill(root: &Path) {
    let store = open(root);
    let mut batch = Batch::default();
    let error = (0..1000).find_map(|n| {
        batch.put(format!("{n}"), vec![1; 100_000]);
        store.commit(&batch).err()
    });
    let error = error.expect("the disk is small");
    println!("refused: {}", error.source().expect("a cause"));
    drop(store);
    let opened = DiskStore::open(root, Duration::ZERO).and_then(|store| store.get("0"));
    println!("opened again: {}", matches!(opened, Ok(Some(_))));
}
