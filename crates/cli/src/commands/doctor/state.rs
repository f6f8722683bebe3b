//! The store, debts, and differences between what should be and what is.

use pontoon::Controller;

use super::Finding;
use crate::errors::Failure;

/// Looks at the records and at the host.
pub(super) fn find(controller: &Controller) -> Result<Vec<Finding>, Failure> {
    let mut findings = store(controller);
    findings.extend(controller.debts().into_iter().map(|(object, reason)| {
        Finding::wrong(format!("left behind: {object} could not be removed ({reason})"), "`pontoon repair` tries again")
    }));
    let differences = controller.diagnose()?;
    if differences.is_empty() {
        findings.push(Finding::ok("host: as it should be"));
    }
    // What the start put right was wrong before.
    let restored = controller.restored();
    findings.extend(
        restored
            .repaired
            .done
            .iter()
            .map(|step| Finding::note(format!("host: put right just now: {step}"), "nothing to do")),
    );
    findings.extend(differences.into_iter().map(|difference| {
        Finding::wrong(format!("host: not as it should be: {}", difference.step), "`pontoon repair` takes this step")
    }));
    Ok(findings)
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
