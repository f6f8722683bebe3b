//! What went wrong, what to do about it, and the exit status.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use pontoon::{HostError, Kind, NetworkError, StoreError};

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

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The exit status, or why there is none but a failure's.
pub(crate) type Outcome = Result<u8, Failure>;

/// A failure as a person sees it: one sentence, its causes, and a hint.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
    status: u8,
}

impl Failure {
    /// Makes a failure of a sentence.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { error: text.into().into(), hint: None, status: FAILED }
    }

    /// Makes a failure of a sentence about the command line.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { status: USAGE, ..Self::new(text) }
    }

    /// Makes a failure of a sentence and what caused it.
    pub(crate) fn because(text: impl Into<String>, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { error: Box::new(Because { text: text.into(), cause: Box::new(cause) }), hint: None, status: FAILED }
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
        let mut text = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// Returns what to do.
    pub(crate) fn advice(&self) -> &str {
        self.hint.as_deref().unwrap_or("see above")
    }

    /// Prints it to standard error.
    pub(crate) fn print(&self) {
        // Nobody is left to tell if standard error is closed.
        let _ = self.write(&mut anstream::stderr());
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
        Self { error: Box::new(error), hint, status }
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
        E::Sandbox(pontoon::SandboxError::Exists { .. }) => "choose another name, or remove the sandbox first",
        E::Port(_) if error.kind() == Kind::Conflict || error.kind() == Kind::Forbidden => {
            "stop what holds the port, or publish on another one"
        }
        E::Store(StoreError::Held { .. }) => "wait until it is done, or use another state directory with --root DIR",
        E::Store(StoreError::Damaged { .. }) => {
            "move the file away to start afresh; `pontoon repair --purge` then removes what is left on the host"
        }
        E::Store(StoreError::Io { .. }) => "check the directory's permissions and free space, or give --root DIR",
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
