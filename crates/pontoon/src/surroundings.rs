//! What is around Pontoon in a network namespace: looked at, except for the loopback interface.

use pontoon_core::engine::HostError;
use pontoon_netlink::nft::{Hook, Policy, chains, tables};
use pontoon_netlink::route::LinkChange;
use pontoon_netlink::{Protocol, Socket};

use crate::Error;

/// The loopback interface of a namespace is always its first.
const LOOPBACK: u32 = 1;
/// Begins the name of our table.
const OURS: &str = "pontoon";

/// A chain of another firewall that sees forwarded packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChain {
    /// The family and name of its table, such as `ip filter`.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether packets that no rule decides about are lost.
    pub drops: bool,
}

/// Returns the chains of others that forwarded packets pass, in the calling thread's network namespace.
///
/// # Errors
///
/// If the kernel has no nf_tables, or does not let this process look.
pub fn foreign_chains() -> Result<Vec<ForeignChain>, Error> {
    let mut socket = Socket::open(Protocol::Netfilter).map_err(|e| failed("looking at the firewall", &e))?;
    let mut found = Vec::new();
    for table in tables(&mut socket).map_err(|e| failed("looking at the firewall", &e))? {
        if table.name == OURS {
            continue;
        }
        let chains =
            chains(&mut socket, table.family, &table.name).map_err(|e| failed("looking at the firewall", &e))?;
        found.extend(chains.into_iter().filter_map(|chain| {
            let base = chain.base.filter(|base| base.hook == Hook::Forward)?;
            let table = format!("{} {}", format!("{:?}", table.family).to_lowercase(), table.name);
            Some(ForeignChain { table, name: chain.name, drops: base.policy == Policy::Drop })
        }));
    }
    Ok(found)
}

/// Sets the loopback interface of the calling thread's network namespace up.
///
/// # Errors
///
/// If privileges are missing.
pub fn loopback_up() -> Result<(), Error> {
    let mut socket = Socket::open(Protocol::Route).map_err(|e| failed("setting lo up", &e))?;
    let up = LinkChange { up: Some(true), ..LinkChange::new(LOOPBACK) };
    socket.request(&up.set()).map_err(|e| failed("setting lo up", &e))
}

fn failed(what: &str, error: &pontoon_netlink::Error) -> Error {
    let errno = error.errno().unwrap_or_default();
    HostError::Kernel { errno, text: format!("{what}: {error}") }.into()
}
