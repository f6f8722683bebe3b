//! Tracked flows that a change of published ports leaves behind.

use std::fs;
use std::net::IpAddr;

use pontoon_core::objects::{Element, Object, Op};
use pontoon_core::ports::PortProto;
use pontoon_netlink::conntrack::{self, Destination, FlowFilter};
use pontoon_netlink::{Protocol, Socket};

/// Flows that must be forgotten after a change.
#[derive(Debug, Default)]
pub(in crate::linux) struct StaleFlows {
    /// Of ports published now: their next packet would go the old way.
    pub(in crate::linux) at_once: Vec<FlowFilter>,
    /// Of ports that are not published any more.
    pub(in crate::linux) later: Vec<FlowFilter>,
}

/// Returns the flows that steps make stale. A new TCP connection never takes an old flow's way; a UDP flow has no end.
pub(in crate::linux) fn stale_flows(ops: &[Op]) -> StaleFlows {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for op in ops {
        let (present, gone) = match op {
            Op::Add(object) => (Some(object), None),
            Op::Remove(object) => (None, Some(object)),
            Op::Change { from, to } => (Some(to), Some(from)),
        };
        added.extend(present.and_then(destination).filter(|(proto, ..)| *proto == PortProto::Udp));
        removed.extend(gone.and_then(destination));
    }
    StaleFlows { at_once: merged(added), later: merged(removed) }
}

type Ports = (PortProto, Option<IpAddr>, u16, u16);

fn destination(object: &Object) -> Option<Ports> {
    match object {
        Object::Element(Element::Publish { host, proto, ports, .. }) => {
            Some((*proto, *host, ports.first(), ports.last()))
        }
        _ => None,
    }
}

/// Joins ports in a row: each filter walks all flows.
fn merged(mut ports: Vec<Ports>) -> Vec<FlowFilter> {
    ports.sort();
    let mut joined: Vec<Ports> = Vec::new();
    for (proto, host, first, last) in ports {
        match joined.last_mut() {
            Some(before) if (before.0, before.1) == (proto, host) && first <= before.3.saturating_add(1) => {
                before.3 = before.3.max(last);
            }
            _ => joined.push((proto, host, first, last)),
        }
    }
    let filter = |(proto, address, first, last): Ports| {
        FlowFilter::Destination(Destination { address, protocol: proto.number(), ports: first..=last, zone: None })
    };
    joined.into_iter().map(filter).collect()
}

/// Forgets flows. A failure costs at most what the flow's own timeout costs, and is only logged.
pub(in crate::linux) fn forget_flows(flows: &[FlowFilter]) {
    if flows.is_empty() || !any_flows() {
        return;
    }
    let forget = |socket: &mut Socket| match flows {
        [one] => conntrack::delete(socket, one).map(drop),
        all => conntrack::delete_any(socket, all).map(drop),
    };
    if let Err(error) = Socket::open(Protocol::Netfilter).and_then(|mut socket| forget(&mut socket)) {
        tracing::warn!(%error, "tracked flows could not be forgotten");
    }
}

/// Asking is far cheaper than looking for flows in an empty table.
fn any_flows() -> bool {
    let count = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
    count.is_ok_and(|count| count.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_a_row_are_one_filter() {
        let tcp = |first, last| (PortProto::Tcp, None, first, last);
        let filters = merged(vec![tcp(82, 90), tcp(80, 80), tcp(81, 81), tcp(92, 92)]);
        let ports: Vec<_> = filters
            .iter()
            .map(|filter| match filter {
                FlowFilter::Destination(destination) => destination.ports.clone(),
                _ => 0..=0,
            })
            .collect();
        assert_eq!(ports, [80..=90, 92..=92]);
    }
}
