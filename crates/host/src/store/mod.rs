//! Where records are kept: a file on disk, or memory.
//!
//! [`DiskStore`] is one redb file in a directory of our own, held by one process at a time and shared by its threads, whose
//! commits it groups; [`ReadOnlyStore`] only reads it. [`MemoryStore`] behaves the same and keeps nothing. [`export`] and
//! [`import`] turn either into one JSON document and back.

mod disk;
mod document;
mod file;
mod group;
mod lock;
mod memory;
mod point;
mod read_only;

pub use disk::DiskStore;
pub use document::{ImportError, export, import};
pub use memory::MemoryStore;
pub use point::{Point, Probe};
pub use read_only::ReadOnlyStore;
