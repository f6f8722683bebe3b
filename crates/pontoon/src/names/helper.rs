//! The helper, as those see it that need one: asked through its socket, started if nobody answers.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_netlink::netns::Visitor;

use super::{LOAD, LOADED, socket};

/// How long a helper may take to read the names, a new one to start besides.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a new one answers.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a new one may be silent before another is tried: it may have met one that was about to end.
const RETRY: Duration = Duration::from_millis(500);

/// How a helper is reached and started.
pub(super) struct Helper {
    run_dir: PathBuf,
    command: Vec<OsString>,
    /// At home where the controller is: so is the helper.
    visitor: Visitor,
}

impl Helper {
    pub(super) fn new(run_dir: &Path, command: &[OsString]) -> Result<Self, pontoon_netlink::Error> {
        let visitor = Visitor::new(const { NonZeroUsize::new(1).expect("one is not zero") })?;
        Ok(Self { run_dir: run_dir.to_owned(), command: command.to_vec(), visitor })
    }

    /// Has the names loaded by the helper that runs, if one does, and returns the connection.
    pub(super) fn ask(&self) -> io::Result<UnixStream> {
        load(self.reach()?)
    }

    /// Has the names loaded, by a new helper if there is none, and returns the connection.
    pub(super) fn ask_or_start(&self) -> io::Result<UnixStream> {
        self.start_until(|| self.ask())
    }

    /// Returns a connection to the helper, or to a new one if there is none. It has loaded what was written down before.
    pub(super) fn reach_or_start(&self) -> io::Result<UnixStream> {
        self.start_until(|| self.reach())
    }

    /// Has the names loaded by the helper of a connection, or by a new one if that has ended.
    pub(super) fn load_or_start(&self, stream: UnixStream) -> io::Result<UnixStream> {
        match load(stream) {
            // It is there, and silent.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(error),
            Err(_) => self.ask_or_start(),
            loaded => loaded,
        }
    }

    fn reach(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(socket(&self.run_dir))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Tries until it works, and starts helpers meanwhile.
    fn start_until(&self, reach: impl Fn() -> io::Result<UnixStream>) -> io::Result<UnixStream> {
        let begun = Instant::now();
        let mut started: Option<Instant> = None;
        loop {
            let error = match reach() {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            if begun.elapsed() > PATIENCE {
                return Err(error);
            }
            if started.is_none_or(|at| at.elapsed() > RETRY) {
                self.start()?;
                started = Some(Instant::now());
            }
            thread::sleep(PAUSE);
        }
    }

    fn start(&self) -> io::Result<()> {
        let (program, arguments) = self.command.split_first().ok_or(ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let spawned = self.visitor.visit(self.visitor.home(), move || command.spawn());
        let mut child = spawned.map_err(io::Error::other)??;
        // Somebody has to hear of its end, if this process is still there.
        thread::Builder::new().name("names".to_owned()).spawn(move || child.wait()).map(drop)
    }
}

fn load(stream: UnixStream) -> io::Result<UnixStream> {
    (&stream).write_all(format!("{LOAD}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    match answer.trim_end() == LOADED {
        true => Ok(stream),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}
