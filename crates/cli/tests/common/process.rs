//! Programs in the background.

use std::process::{Child, Command, ExitStatus, Stdio};

/// A program that ends with the test, whatever becomes of it.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program with nothing on standard input.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().expect("the program starts"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("it is waited for once")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; that is all that is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
