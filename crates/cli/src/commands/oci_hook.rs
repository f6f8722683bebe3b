//! `pontoon oci-hook`.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use clap::Args;
use pontoon::{KeyRequest, send_key};
use serde::Deserialize;

use crate::context::Context;
use crate::errors::{Failure, Outcome};

/// Upper bound of a state document in bytes; annotations can be long.
const LONGEST: u64 = 1024 * 1024;

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

/// The part of the state that matters here.
#[derive(Deserialize)]
struct State {
    id: String,
    #[serde(default)]
    pid: u32,
}

impl OciHook {
    pub(crate) fn run(&self, context: &Context) -> Outcome {
        let state = read()?;
        if state.pid == 0 {
            return Err(Failure::usage(format!(
                "container {} has no process: the hook belongs where the state has a pid, such as createRuntime",
                state.id
            )));
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

fn read() -> Result<State, Failure> {
    let mut text = String::new();
    let failed = |error| Failure::because("cannot read the container's state from standard input", error);
    std::io::stdin().lock().take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::because("standard input is not the state of an OCI container", error)
            .hinted("name it in `hooks` of a bundle's config.json, or pipe `runc state` into it")
    })
}

fn nobody_serves(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn embedded(context: &Context, request: &KeyRequest) -> Outcome {
    context.change("setting up the namespace", |controller| {
        controller.find_sandbox(&request.container)?.set_key(&request.key)
    })?;
    Ok(0)
}
