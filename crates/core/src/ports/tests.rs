//! Behaviour of host ports, row by row of the upstream tests, and laws over random histories.

mod choosing;
mod specs;
