//! The two moments of a commit at which tests interfere.

use std::sync::Arc;

use pontoon_core::engine::store::StoreError;

/// A moment of a durable commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing is applied yet: an error here is a commit that never happened.
    Before,
    /// Everything is durable: an error here is a commit whose answer got lost.
    After,
}

/// Called at each [`Point`] of every durable commit; its error becomes the result of the commit.
pub type Probe = Arc<dyn Fn(Point) -> Result<(), StoreError> + Send + Sync>;
