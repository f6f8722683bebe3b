//! Reading our table back.

use pontoon_core::firewall::ruleset::{SETS, ruleset as wanted};
use pontoon_core::objects::{Element, Ruleset};
use pontoon_netlink::nft::{self, Family, RuleInfo, Set, Table};
use pontoon_netlink::{Error, Socket};

use super::{elements, ruleset};

/// What the kernel has of our table.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) ruleset: Ruleset,
    pub(super) elements: Vec<Element>,
}

/// Reads the table; none if there is none.
pub(super) fn inspect(socket: &mut Socket) -> Result<Option<Inspected>, Error> {
    let mut ruleset = wanted();
    let Some(table) = present(socket, &ruleset.table)? else { return Ok(None) };
    let comment = table.comment.unwrap_or_default();
    let mut elements = Vec::new();
    let mut reason = structure(socket, &ruleset.table)?;
    if table.dormant {
        reason = Some("it is dormant: nothing is filtered".to_owned());
    }
    for set in SETS {
        let reference = ruleset::reference(set.name).expect("every set has a reference");
        let listed = match nft::elements(socket, Family::Inet, &ruleset.table, reference) {
            Err(Error::Refused(refusal)) if refusal.errno == libc::ENOENT => continue,
            other => other?,
        };
        for element in listed {
            match elements::decode(set, &element) {
                Some(element) => elements.push(element),
                None => reason = Some(format!("a foreign element in set {}", set.name)),
            }
        }
    }
    if comment != ruleset.fingerprint {
        // Of another version: what should be in it is not known.
        ruleset.fingerprint = comment;
    } else if let Some(reason) = reason {
        ruleset.fingerprint = format!("damaged: {reason}");
    }
    Ok(Some(Inspected { ruleset, elements }))
}

/// Returns the table, if there is one.
pub(super) fn present(socket: &mut Socket, table: &str) -> Result<Option<Table>, Error> {
    let tables = nft::tables(socket)?;
    Ok(tables.into_iter().find(|one| one.family == Family::Inet && one.name == table))
}

/// Returns what differs from the ruleset as it should be, apart from elements.
fn structure(socket: &mut Socket, table: &str) -> Result<Option<String>, Error> {
    let mut chains = nft::chains(socket, Family::Inet, table)?;
    let mut wanted = ruleset::chains();
    chains.sort_by(|one, other| one.name.cmp(&other.name));
    wanted.sort_by(|one, other| one.name.cmp(&other.name));
    if chains != wanted {
        return Ok(Some("other chains".to_owned()));
    }
    if by_name(nft::sets(socket, Family::Inet, table)?) != by_name(ruleset::sets()) {
        return Ok(Some("other sets".to_owned()));
    }
    let rules = nft::rules(socket, Family::Inet, table)?;
    let wanted = ruleset::rules();
    for chain in chains {
        let present: Vec<&str> = of_chain(&rules, &chain.name);
        let expected = wanted.iter().filter(|rule| rule.chain == chain.name).map(|rule| rule.comment.as_str());
        if !present.iter().copied().eq(expected) {
            return Ok(Some(format!("other rules in chain {}", chain.name)));
        }
    }
    Ok(None)
}

fn of_chain<'a>(rules: &'a [RuleInfo], chain: &str) -> Vec<&'a str> {
    rules.iter().filter(|rule| rule.chain == chain).map(|rule| rule.comment.as_str()).collect()
}

fn by_name(mut sets: Vec<Set>) -> Vec<Set> {
    sets.sort_by(|one, other| one.name.cmp(&other.name));
    sets
}
