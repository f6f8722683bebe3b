//! The helper, as those see it that need one: asked through its socket, started if nobody answers, and ended if it is silent.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pontoon_netlink::netns::Visitor;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

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
    /// One that was silent for as long as it is waited for, which is done once.
    silent: Mutex<Option<Pid>>,
}

impl Helper {
    pub(super) fn new(run_dir: &Path, command: &[OsString]) -> Result<Self, pontoon_netlink::Error> {
        let visitor = Visitor::new(const { NonZeroUsize::new(1).expect("one is not zero") })?;
        Ok(Self { run_dir: run_dir.to_owned(), command: command.to_vec(), visitor, silent: Mutex::default() })
    }

    /// Has the names loaded by the helper that runs, if one does. One that is silent is ended: it would keep namespaces.
    pub(super) fn ask_if_there(&self) {
        let Ok(stream) = connect(&self.run_dir) else { return };
        let pid = peer(&stream);
        // One that ends has let go of everything.
        if let (Ok(pid), Err(error)) = (pid, self.load(stream))
            && error.kind() == ErrorKind::TimedOut
        {
            self.end(pid);
        }
    }

    /// Has the names loaded, by a new helper if there is none, and returns the connection.
    pub(super) fn ask_or_start(&self) -> io::Result<UnixStream> {
        self.load_or_start(self.reach_or_start()?)
    }

    /// Returns a connection to the helper, or to a new one if there is none. It has loaded what was written down before.
    pub(super) fn reach_or_start(&self) -> io::Result<UnixStream> {
        self.start_until(|| connect(&self.run_dir))
    }

    /// Has the names loaded by the helper of a connection, or by a new one if that has ended or does not answer.
    pub(super) fn load_or_start(&self, stream: UnixStream) -> io::Result<UnixStream> {
        let pid = peer(&stream)?;
        match self.load(stream) {
            Err(error) if error.kind() == ErrorKind::TimedOut && !self.end(pid) => Err(error),
            Err(error) if error.kind() == ErrorKind::Other => Err(error),
            Err(_) => self.start_until(|| self.load(connect(&self.run_dir)?)),
            loaded => loaded,
        }
    }

    /// Has the names loaded. An error of the kind `Other` is the helper's own, and `TimedOut` says that it is silent.
    fn load(&self, stream: UnixStream) -> io::Result<UnixStream> {
        let pid = peer(&stream)?;
        let answer = match *self.silent.lock().unwrap_or_else(PoisonError::into_inner) == Some(pid) {
            true => Err(ErrorKind::TimedOut.into()),
            false => exchange(&stream, LOAD),
        };
        match answer {
            Ok(answer) if answer == LOADED => Ok(stream),
            Ok(answer) => Err(io::Error::other(format!("process {pid}, which answers for names, says: {answer}"))),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(pid);
                let text =
                    format!("process {pid}, which answers for names, is silent; end it (kill -9 {pid}) and try again");
                Err(io::Error::new(ErrorKind::TimedOut, text))
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a helper that is silent; returns false if that is not possible, or it does not look like one.
    fn end(&self, pid: Pid) -> bool {
        // What has this descriptor is what is looked at next, so that nobody else is ended. In another pid namespace than this
        // one it has no number, and there is no descriptor.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let last = words.strip_suffix(b"\0").and_then(|words| words.rsplit(|byte| *byte == 0).next());
        let is_helper = self.command.last().is_some_and(|word| last == Some(word.as_bytes()));
        let ended = is_helper && pidfd_send_signal(&process, Signal::KILL).is_ok();
        if ended {
            tracing::warn!(pid = pid.as_raw_pid(), "the process that answers for names was silent and has been ended");
        }
        ended
    }

    /// Tries until it works, and starts helpers meanwhile.
    fn start_until(&self, reach: impl Fn() -> io::Result<UnixStream>) -> io::Result<UnixStream> {
        let begun = Instant::now();
        let mut started: Option<Instant> = None;
        loop {
            match reach() {
                // It is there, so another would leave at once.
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Other) => return Err(error),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
                reached => return reached,
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

/// Connects to the helper that listens, if one does.
pub(super) fn connect(run_dir: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::from(socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?);
    stream.set_read_timeout(Some(PATIENCE))?;
    // It is as long as connecting takes, too, while the helper lets nobody in (Linux: net/unix/af_unix.c, unix_stream_connect).
    stream.set_write_timeout(Some(PATIENCE))?;
    rustix::net::connect(&stream, &SocketAddrUnix::new(socket(run_dir))?).map_err(|errno| timely(errno.into()))?;
    Ok(stream)
}

/// Returns the process that listens at the other end.
pub(super) fn peer(stream: &UnixStream) -> io::Result<Pid> {
    Ok(socket_peercred(stream)?.pid)
}

/// Says a word and returns the answer: one line. The kind `TimedOut` means that the helper is silent.
pub(super) fn exchange(mut stream: &UnixStream, word: &str) -> io::Result<String> {
    stream.write_all(format!("{word}\n").as_bytes()).map_err(timely)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(timely)?;
    match answer.strip_suffix('\n') {
        Some(answer) => Ok(answer.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Linux says of what took too long that it would have to wait.
fn timely(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "the process that answers for names is silent"),
        _ => error,
    }
}
