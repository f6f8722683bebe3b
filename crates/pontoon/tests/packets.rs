//! Who reaches whom, with real packets: between sandboxes, the host and the world outside.

#[path = "packets/foreign.rs"]
mod foreign;
#[path = "packets/lab.rs"]
mod lab;
#[path = "packets/nat.rs"]
mod nat;
#[path = "packets/ports.rs"]
mod ports;
#[path = "packets/probe.rs"]
mod probe;
#[path = "packets/reach.rs"]
mod reach;
