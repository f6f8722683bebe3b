//! The resolver from outside: queries in, answers out.

mod answer;
mod common;
mod forward;
mod properties;
mod server;
mod sizes;
