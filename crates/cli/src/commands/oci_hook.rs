//! `pontoon oci-hook`.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use pontoon::{KeyRequest, Kind, OciState, send_key};

use crate::context::Context;
use crate::errors::{FAILED, Failure, Outcome};

/// Give a sandbox the namespace of an OCI container, as a hook of its runtime
///
/// Reads the container's state, as the OCI runtime specification defines it, from standard input. The sandbox was made with
/// `sandbox create --external`; what it was connected to is set up now.
#[derive(Args, Debug)]
pub(crate) struct OciHook {
    /// The sandbox [default: the container's id]
    sandbox: Option<String>,
    /// The socket of a process that serves the state, if there is one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl OciHook {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let state = read()?;
        if state.pid == 0 {
            return Err(Failure::new(format!(
                "container {} has no process: the hook belongs where the state has a pid, such as createRuntime",
                state.id
            ))
            .of_kind(Kind::Invalid));
        }
        if state.status == "stopped" {
            return Err(Failure::new(format!("container {} has stopped: its namespace may be gone", state.id))
                .of_kind(Kind::Invalid));
        }
        let container = self.sandbox.clone().unwrap_or(state.id);
        let request = KeyRequest { container, key: format!("/proc/{}/ns/net", state.pid) };
        match &self.socket {
            Some(socket) => match send_key(socket, &request) {
                Err(error) if nobody_serves(&error) => embedded(context, &request),
                sent => sent.map_err(|error| Failure::because("the namespace was refused", error)).map(|()| 0),
            },
            None => embedded(context, &request),
        }
    }
}

fn read() -> Result<OciState, Failure> {
    OciState::read(std::io::stdin().lock()).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => Failure::because("standard input is not the state of an OCI container", error)
            .hinted("name it in `hooks` of a bundle's config.json, or pipe `runc state` into it"),
        _ => Failure::because("cannot read the container's state from standard input", error),
    })
}

fn nobody_serves(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn embedded(context: &Context, request: &KeyRequest) -> Outcome {
    let changed = context.change("setting up the namespace", |controller| {
        controller.sandbox_of(&request.container)?.set_key(&request.key)
    });
    // The command line was right, whatever is wrong with the container.
    changed.map_err(|failure| failure.exiting(FAILED)).map(|_| 0)
}
