//! Packets, as `tcpdump` sees them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, spawn};

use crate::run;

/// What an interface hears while this listens.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Capture {
    /// Begins to listen on an interface inside a network namespace for packets that come in and fit a filter of pcap-filter(7).
    ///
    /// # Panics
    ///
    /// If `nsenter` or `tcpdump` cannot be run, or the filter makes no sense.
    pub fn open(netns: &Path, interface: &str, filter: &str) -> Self {
        let mut child = Command::new("nsenter")
            .arg(format!("--net={}", netns.display()))
            .args(["tcpdump", "-Z", "root", "-n", "-e", "-vv", "-tt", "-l", "--immediate-mode", "-i", interface])
            .args(["-Q", "in", filter])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter can be run");
        let mut said = String::new();
        let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
        while !said.contains("listening on") {
            let length = errors.read_line(&mut said).expect("a pipe");
            assert_ne!(length, 0, "tcpdump: {said}");
        }
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (theirs, output) = (lines.clone(), BufReader::new(child.stdout.take().expect("it is piped")));
        let reader = spawn(move || {
            // What it counts at the end has to go somewhere.
            let _errors = errors;
            for line in output.lines().map_while(Result::ok) {
                theirs.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, lines, reader }
    }

    /// Returns a line for each packet that was heard so far.
    ///
    /// # Panics
    ///
    /// If `tcpdump` prints something else than packets.
    pub fn packets(&self) -> Vec<String> {
        packets(&self.lines)
    }

    /// Stops, and returns a line for each packet.
    ///
    /// # Panics
    ///
    /// See [`Capture::packets`].
    pub fn close(mut self) -> Vec<String> {
        // `nsenter` became the command that it runs.
        run("kill", &["-INT", &self.child.id().to_string()]);
        let _ended = self.child.wait();
        self.reader.join().expect("it only reads");
        packets(&self.lines)
    }
}

fn packets(lines: &Mutex<Vec<String>>) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for line in lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        match line.starts_with([' ', '\t']) {
            false => packets.push(line.clone()),
            true => packets.last_mut().expect("a packet comes before its parts").push_str(line),
        }
    }
    packets
}

/// Returns the times of the packets that have all the words.
///
/// # Panics
///
/// If a line does not begin with a time.
pub fn times(packets: &[String], words: &[&str]) -> Vec<f64> {
    let fitting = packets.iter().filter(|packet| words.iter().all(|word| packet.contains(word)));
    fitting.map(|packet| packet.split(' ').next().unwrap_or_default().parse().expect("a time")).collect()
}
