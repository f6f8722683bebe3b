//! Firewalls of others: whatever they drop does not arrive, whatever Pontoon says.

use std::path::Path;

use pontoon::foreign_chains;

use super::{Finding, read};

/// Looks for chains that drop forwarded packets, and for programs that manage firewalls.
pub(super) fn find() -> Vec<Finding> {
    let mut findings = chains();
    findings.extend(legacy());
    findings.extend(programs());
    if findings.is_empty() {
        findings.push(Finding::ok("firewalls: none but Pontoon's sees forwarded packets"));
    }
    findings
}

fn chains() -> Vec<Finding> {
    let chains = match foreign_chains() {
        Ok(chains) => chains,
        Err(error) => return vec![Finding::note(format!("firewalls: {error}"), "run as root to look at them")],
    };
    let finding = |chain: &pontoon::ForeignChain| match chain.drops {
        true => Finding::wrong(
            format!("firewalls: chain {} of table {} drops forwarded packets", chain.name, chain.table),
            "accept those from and to the bridges pn-* there, or set its policy to accept",
        ),
        false => Finding::note(
            format!("firewalls: chain {} of table {} sees forwarded packets", chain.name, chain.table),
            "its rules must let those from and to the bridges pn-* pass",
        ),
    };
    chains.iter().map(finding).collect()
}

/// Tables of the iptables before nf_tables; their rules cannot be read without that program.
fn legacy() -> Option<Finding> {
    let used: Vec<_> = ["/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"]
        .into_iter()
        .filter_map(read)
        .filter(|names| names.lines().any(|name| name == "filter"))
        .collect();
    (!used.is_empty()).then(|| {
        Finding::note(
            "firewalls: legacy iptables has a filter table",
            "its chain FORWARD must let packets from and to the bridges pn-* pass",
        )
    })
}

fn programs() -> Vec<Finding> {
    let ufw = read("/etc/ufw/ufw.conf").is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"));
    let running =
        [("firewalld", Path::new("/run/firewalld").exists() || Path::new("/run/firewalld.pid").exists()), ("ufw", ufw)];
    running
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| {
            Finding::note(
                format!("firewalls: {name} is at work"),
                "its zones and rules must let packets from and to the bridges pn-* pass",
            )
        })
        .collect()
}
