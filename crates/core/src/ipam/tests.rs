//! Behaviour of the address management, row by row of the upstream tests, and laws over random histories.

mod addresses;
mod requests;
mod subnets;

use std::net::IpAddr;

use ipnet::IpNet;

use super::Pool;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

fn nets(text: &str) -> Vec<IpNet> {
    text.split_whitespace().map(net).collect()
}

/// `10.0.0.0/8` or `10.0.0.0/8>10.1.0.0/16`.
fn pool(text: &str) -> Pool {
    match text.split_once('>') {
        None => Pool::whole(net(text)),
        Some((prefix, sub)) => Pool { prefix: net(prefix), sub: Some(net(sub)) },
    }
}
