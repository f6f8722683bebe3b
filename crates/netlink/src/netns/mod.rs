//! Network namespaces: making, keeping, entering and removing them.
//!
//! A namespace belongs to a thread, so nobody enters one on their own thread: a [`Visitor`] does
//! it on threads that do nothing else, and brings them home again. A socket opened during a
//! visit stays in the namespace and can be used from anywhere; note that it keeps the namespace
//! alive, as a [`Namespace`] does.

mod namespace;
mod visitor;

pub use namespace::{Identity, Namespace, cookie, destroy};
pub use visitor::{Visit, Visitor};
