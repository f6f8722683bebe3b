//! Whether sandboxes are answered when they ask for names.

use pontoon::Controller;
use pontoon::names::Fault;

use super::Finding;

/// Asks the process that answers, if any sandbox needs it.
pub(super) fn find(controller: &Controller) -> Vec<Finding> {
    let faults = controller.name_faults();
    if faults.is_empty() {
        return vec![Finding::ok("names: every sandbox that needs a resolver has one")];
    }
    faults.iter().map(|fault| Finding::wrong(format!("names: {fault}"), advice(fault))).collect()
}

fn advice(fault: &Fault) -> String {
    match fault {
        Fault::Document { .. } => "`pontoon repair` writes it anew".to_owned(),
        Fault::Nobody { .. } => "`pontoon repair` starts a process that does".to_owned(),
        Fault::Silent { .. } => "`pontoon repair` ends it and starts another".to_owned(),
        Fault::Sandbox { .. } => "when the cause is gone, it is answered within a second".to_owned(),
    }
}
