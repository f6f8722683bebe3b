//! Behaviour of the container's files, row by row of the upstream tests, and laws over random texts.

mod extra_host;
mod hosts;
mod resolv_conf;

use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
