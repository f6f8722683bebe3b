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
mod routes;
mod sandboxes;
mod special;
mod targets;
mod way_out;
#[path = "../wire/mod.rs"]
mod wire;
