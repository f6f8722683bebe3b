//! What went wrong, what to do about it, and the exit status.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use pontoon::{HostError, Kind, NetworkError, StoreError, with_causes};
use serde::Serialize;

use crate::args::Format;

/// It failed.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// `run` or `exec`: Pontoon itself failed.
pub(crate) const OURS: u8 = 125;
/// `run` or `exec`: the command is no program, or may not be run.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run` or `exec`: there is no such command.
pub(crate) const NO_COMMAND: u8 = 127;

/// What to do about a command line that cannot be read.
const HELP: &str = "try '--help'";

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The exit status, or why there is none but a failure's.
pub(crate) type Outcome = Result<u8, Failure>;

/// A failure: one sentence, its causes, and a hint.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
    status: u8,
    kind: Kind,
}

/// A failure as a program sees it.
#[derive(Serialize)]
struct Document<'a> {
    error: ErrorDocument<'a>,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    kind: &'static str,
    message: String,
    hint: Option<&'a str>,
}

impl Failure {
    /// Makes a failure of a sentence.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { error: text.into().into(), hint: None, status: FAILED, kind: Kind::Internal }
    }

    /// Makes a failure of a sentence about the command line.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { status: USAGE, kind: Kind::Invalid, ..Self::new(text) }
    }

    /// Makes a failure of a sentence and what caused it.
    pub(crate) fn because(text: impl Into<String>, cause: impl Error + Send + Sync + 'static) -> Self {
        let kind = (&cause as &dyn Error).downcast_ref().map_or(Kind::Internal, kind_of_io);
        let error = Box::new(Because { text: text.into(), cause: Box::new(cause) });
        Self { error, hint: None, status: FAILED, kind }
    }

    /// Makes a failure of a command line that cannot be read.
    pub(crate) fn unreadable(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let Some(text) = text.strip_prefix("error: ") else {
            return Self::usage("the command line is not complete").hinted(HELP);
        };
        let mut paragraphs = text.split("\n\n");
        let sentence = paragraphs.next().unwrap_or_default().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let tip = paragraphs.find_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
        Self::usage(sentence).hinted(tip.unwrap_or(HELP))
    }

    /// Sets the kind.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the exit status.
    #[must_use]
    pub(crate) fn exiting(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    /// Returns the exit status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// Returns the sentence with its causes.
    pub(crate) fn sentence(&self) -> String {
        with_causes(&*self.error)
    }

    /// Returns what to do.
    pub(crate) fn advice(&self) -> &str {
        self.hint.as_deref().unwrap_or("see above")
    }

    /// Prints it to standard error: as sentences, or as a JSON document on one line.
    pub(crate) fn print(&self, format: Format) {
        let mut out = anstream::stderr();
        // Nobody is left to tell if standard error is closed.
        let _ = match format {
            Format::Table => self.write(&mut out),
            Format::Json => writeln!(out, "{}", self.document()),
        };
    }

    fn document(&self) -> String {
        let error = ErrorDocument { kind: name(self.kind), message: self.sentence(), hint: self.hint.as_deref() };
        serde_json::to_string(&Document { error }).expect("documents have text keys and no failing parts")
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{ERROR}error:{ERROR:#} {}", self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            writeln!(out, "  because {error}")?;
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            writeln!(out, "{HINT}hint:{HINT:#} {hint}")?;
        }
        Ok(())
    }
}

impl From<pontoon::Error> for Failure {
    fn from(error: pontoon::Error) -> Self {
        let status = if error.kind() == Kind::Invalid { USAGE } else { FAILED };
        let hint = hint(&error).map(str::to_owned);
        Self { hint, status, kind: error.kind(), error: Box::new(error) }
    }
}

/// The kind's name, as programs see it.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "invalid",
        Kind::NotFound => "not_found",
        Kind::Conflict => "conflict",
        Kind::Forbidden => "forbidden",
        Kind::Exhausted => "exhausted",
        Kind::Unsupported => "unsupported",
        Kind::Unavailable => "unavailable",
        Kind::Internal => "internal",
    }
}

fn kind_of_io(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::Forbidden,
        _ => Kind::Internal,
    }
}

/// What to do about errors whose own words do not say so.
fn hint(error: &pontoon::Error) -> Option<&'static str> {
    use pontoon::Error as E;
    Some(match error {
        E::Network(NetworkError::NotFound { .. }) => "`pontoon network ls` shows the networks",
        E::Network(NetworkError::ActiveEndpoints { .. }) => {
            "disconnect them with `pontoon network disconnect`, or remove their sandboxes"
        }
        E::Network(NetworkError::Exists { .. }) => "choose another name, or remove the network first",
        E::Network(NetworkError::NoDriver { .. }) => "the drivers are bridge, host and null",
        E::Sandbox(pontoon::SandboxError::NotFound { .. } | pontoon::SandboxError::ContainerNotFound { .. }) => {
            "`pontoon sandbox ls` shows the sandboxes"
        }
        E::Sandbox(pontoon::SandboxError::Waits { .. }) => "`pontoon sandbox adopt` names it",
        E::Sandbox(pontoon::SandboxError::Exists { .. }) => "choose another name, or remove the sandbox first",
        E::Port(_) if error.kind() == Kind::Conflict || error.kind() == Kind::Forbidden => {
            "stop what holds the port, or publish on another one"
        }
        E::Store(StoreError::Held { .. }) => "wait until it is done, or use another state directory with --root DIR",
        E::Store(StoreError::Damaged { .. }) => {
            "move the file away to start afresh; `pontoon repair --purge` then removes what is left on the host"
        }
        E::Store(StoreError::Io { .. }) => "check the directory's permissions and free space, or give --root DIR",
        E::Restless { .. } => "stop what holds the ports, or name a host port or a range elsewhere: -p HOST:CONTAINER",
        E::LeftBehind { .. } => "`pontoon repair` tries again",
        E::Apply { source, .. } => return host_hint(&source.cause),
        E::Host(error) => return host_hint(error),
        _ => return None,
    })
}

fn host_hint(error: &HostError) -> Option<&'static str> {
    Some(match error {
        HostError::PortBusy { .. } => "stop the program that holds the port, or publish on another one",
        HostError::Foreign { .. } => "rename or remove it, or choose another name",
        // What somebody named is not ours to put back.
        HostError::Missing { what } if what.starts_with("network namespace ") => return None,
        HostError::Missing { .. } => "`pontoon doctor` says what is missing, `pontoon repair` puts it back",
        HostError::Unsupported { .. } => "`pontoon doctor` says what this kernel lacks",
        _ => return None,
    })
}

/// A sentence with a cause.
#[derive(Debug)]
struct Because {
    text: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Because {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
