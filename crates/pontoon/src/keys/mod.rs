//! Namespaces that are named from outside: a socket that takes a container and the path of its namespace.
//!
//! One connection is one request, a JSON object `{"ContainerID": .., "Key": "/proc/<pid>/ns/net"}`, and one answer: `success`, or
//! the error's text. The request ends with its closing brace, or where the client shuts its side down.

mod exchange;
mod oci;
mod server;
mod turns;

pub use exchange::{KeyRequest, send_key};
pub use oci::OciState;
pub use server::KeyServer;
