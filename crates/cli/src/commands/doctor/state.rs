//! The store, debts, and differences between what should be and what is.

use pontoon::objects::Op;
use pontoon::{Controller, Pending};

use super::Finding;
use crate::errors::Failure;

/// Looks at the records and at the host.
pub(super) fn find(controller: &Controller) -> Vec<Finding> {
    let mut findings = store(controller);
    findings.extend(controller.debts().into_iter().map(|(object, reason)| {
        Finding::wrong(format!("left behind: {object} could not be removed ({reason})"), "`pontoon repair` tries again")
    }));
    match host(controller) {
        Ok(found) => findings.extend(found),
        Err(failure) => findings.push(Finding::wrong(format!("host: {}", failure.sentence()), failure.advice())),
    }
    findings
}

/// Compares what exists with what should.
fn host(controller: &Controller) -> Result<Vec<Finding>, Failure> {
    let mut findings: Vec<_> = recovery(&controller.pending()?).into_iter().collect();
    let differences = controller.diagnose()?;
    if differences.is_empty() {
        findings.push(Finding::ok("host: as it should be"));
    }
    findings.extend(differences.into_iter().map(|difference| {
        Finding::wrong(format!("host: not as it should be: {}", difference.step), "`pontoon repair` takes this step")
    }));
    Ok(findings)
}

/// Says what the last process left to the next.
fn recovery(pending: &Pending) -> Option<Finding> {
    let reason = if pending.unclean {
        "state: the last process did not end in order"
    } else if pending.outdated {
        "state: the boot or network namespace that it belongs to is gone"
    } else if !pending.stale.is_empty() {
        "state: processes that owned sandboxes are gone"
    } else {
        return None;
    };
    let unrecorded = pending.stale.is_empty() && pending.steps.iter().any(|step| matches!(step, Op::Remove(_)));
    let mut what = Vec::new();
    if !pending.unfinished.is_empty() {
        what.push(format!("finishes {}", pending.unfinished.join(", ")));
    }
    if !pending.stale.is_empty() {
        what.push(format!("removes {}", list("sandbox", &pending.stale)));
    }
    if unrecorded {
        what.push("takes back what has no record".to_owned());
    }
    Some(match what.as_slice() {
        [] => Finding::note(reason, "nothing is unfinished"),
        what => Finding::wrong(reason, format!("`pontoon repair` or the next change {}", what.join(" and "))),
    })
}

fn list(kind: &str, names: &[String]) -> String {
    let named: Vec<_> = names.iter().map(|name| format!("{kind} {name}")).collect();
    named.join(", ")
}

fn store(controller: &Controller) -> Vec<Finding> {
    let quarantined = controller.quarantined();
    if quarantined.is_empty() {
        let counts = [
            (controller.networks().len(), "networks"),
            (controller.sandboxes().len(), "sandboxes"),
            (controller.endpoints().len(), "endpoints"),
        ];
        let counts: Vec<_> = counts.iter().map(|(count, what)| format!("{count} {what}")).collect();
        return vec![Finding::ok(format!("state: readable, {}", counts.join(", ")))];
    }
    let finding = |record: &pontoon::Quarantined| {
        Finding::wrong(
            format!("state: the record {} cannot be read and is left alone ({})", record.key, record.reason),
            "another version may have written it; `pontoon repair --purge` starts afresh",
        )
    };
    quarantined.iter().map(finding).collect()
}
