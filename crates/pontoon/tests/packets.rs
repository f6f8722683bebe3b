//! Who reaches whom, with real packets: between sandboxes, the host and the world outside.

mod lab;

#[path = "packets/foreign.rs"]
mod foreign;
#[path = "packets/gateway_modes.rs"]
mod gateway_modes;
#[path = "packets/nat.rs"]
mod nat;
#[path = "packets/ports.rs"]
mod ports;
#[path = "packets/reach.rs"]
mod reach;
#[path = "packets/way_out.rs"]
mod way_out;
