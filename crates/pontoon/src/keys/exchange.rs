//! A request and its answer, as bytes.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use pontoon_core::engine::Engine;
use serde::{Deserialize, Serialize};

use crate::{Controller, Error, with_causes};

/// The answer of success.
const SUCCESS: &str = "success";
/// Upper bound of a request and of an answer in bytes: the longest path is 4,096.
const LONGEST: u64 = 16 * 1024;
/// How long either side may take over reading what the other one writes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Which container, and where its namespace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    /// The container: a sandbox's name.
    #[serde(rename = "ContainerID")]
    pub container: String,
    /// The path of its network namespace.
    #[serde(rename = "Key")]
    pub key: String,
}

impl KeyRequest {
    /// Reads a request, to the end of the object and not of the stream: a client may wait for the answer with its side open.
    fn read(input: impl Read) -> io::Result<Self> {
        let mut input = BufReader::new(input.take(LONGEST));
        match first(&mut input)? {
            None => Err(io::Error::new(ErrorKind::UnexpectedEof, "it is empty")),
            Some(b'{') => Ok(Self::deserialize(&mut serde_json::Deserializer::from_reader(input))?),
            Some(_) => Err(io::Error::new(ErrorKind::InvalidData, "it is no JSON object")),
        }
    }

    /// Sends the request to whoever serves keys at the other end, and waits for the answer.
    ///
    /// # Errors
    ///
    /// With the server's words if it refuses, [`ErrorKind::UnexpectedEof`] if it ends without an answer, or if the stream fails.
    pub fn exchange(&self, mut stream: impl Read + Write) -> io::Result<()> {
        stream.write_all(&serde_json::to_vec(self)?)?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer)?;
        match String::from_utf8_lossy(&answer).trim() {
            SUCCESS => Ok(()),
            "" => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed without an answer")),
            refused => Err(io::Error::other(refused.to_owned())),
        }
    }
}

/// Returns the first byte that is no space, and leaves it to be read.
fn first(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let bytes = input.fill_buf()?;
        let (spaces, all) = (bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count(), bytes.len());
        let found = bytes.get(spaces).copied();
        input.consume(spaces);
        if found.is_some() || all == 0 {
            return Ok(found);
        }
    }
}

impl Controller {
    /// Reads one request for a key, does what it says, and returns the answer: `success`, or why not. [`Controller::serve_keys`]
    /// does so for every connection.
    pub fn answer_key(&self, request: impl Read) -> String {
        answer(&self.engine, request)
    }
}

/// Reads one request, does what it says, and returns the answer.
pub(super) fn answer(engine: &Engine, request: impl Read) -> String {
    let request = match KeyRequest::read(request) {
        Ok(request) => request,
        Err(error) => return format!("invalid request: {error}"),
    };
    match set_key(engine, &request) {
        Ok(()) => SUCCESS.to_owned(),
        Err(error) => with_causes(&error),
    }
}

fn set_key(engine: &Engine, request: &KeyRequest) -> Result<(), Error> {
    let sandbox = engine.sandbox_of(&request.container)?;
    engine.set_key(sandbox.id, &request.key)
}

/// Asks whoever serves a socket to give a sandbox its namespace.
///
/// # Errors
///
/// If nobody serves it ([`ErrorKind::NotFound`], [`ErrorKind::ConnectionRefused`]), and those of [`KeyRequest::exchange`].
pub fn send_key(socket: &Path, request: &KeyRequest) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    request.exchange(stream)
}
