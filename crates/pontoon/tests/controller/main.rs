//! The controller as its users know it, on a host in memory: what `docs/behaviour.md` promises, row by row.

mod addresses;
mod drivers;
mod endpoints;
mod events;
mod files;
mod fixture;
mod gateways;
mod networks;
mod parallel;
mod ports;
mod restart;
mod sandboxes;
mod special;
mod targets;
