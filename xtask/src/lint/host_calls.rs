//! Invariant 3: only `host` and the fake implement `Host`, and only core's engine calls it.

use super::source::{Source, line_of, words};
use super::{Finding, is_under};

const RULE: &str = "one host";
const IMPLEMENTERS: &[&str] = &["crates/host/", "crates/testkit/"];
const CALLERS: &[&str] = &["crates/core/src/engine", "crates/host/", "crates/testkit/"];

/// Checks implementations everywhere, tests included, and calls in what is not a test.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !is_under(&source.path, IMPLEMENTERS) {
        let code = source.code();
        findings.extend(words(code, "impl").filter(|&at| implements_host(&code[at..])).map(|at| {
            let message = "only host and testkit implement Host: take a double from testkit";
            Finding::new(RULE, &source.path, line_of(code, at), message)
        }));
    }
    if !is_under(&source.path, CALLERS) {
        let code = source.product();
        findings.extend(calls(code).map(|at| {
            let message = "only core's engine applies a plan to a host: go through a transaction";
            Finding::new(RULE, &source.path, line_of(code, at), message)
        }));
    }
    findings
}

/// Whether the text begins with the head of an implementation of `Host`.
fn implements_host(code: &str) -> bool {
    let head = code.split(['{', ';']).next().unwrap_or(code);
    let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
    words(&head, "Host for").next().is_some()
}

/// Finds `host.apply(`, `self.host().apply(`, `Host::apply(`, also over lines.
fn calls(code: &str) -> impl Iterator<Item = usize> + '_ {
    let by_value = code.match_indices(".apply(").filter(|(at, _)| is_host(&code[..*at]));
    let by_name = words(code, "Host::apply").map(|at| (at, ""));
    by_value.chain(by_name).map(|(at, _)| at)
}

/// Whether an expression ends in something called host.
fn is_host(expression: &str) -> bool {
    let expression = expression.trim_end();
    let expression = expression.strip_suffix("()").unwrap_or(expression);
    expression.ends_with("host")
}

#[cfg(test)]
mod tests {
    use super::super::tests::messages;
    use super::*;

    fn check(path: &str, text: &str, count: usize) {
        assert_eq!(messages(source, path, text).len(), count, "{path}: {text}");
    }

    #[test]
    fn implementations_are_found() {
        let other = "crates/core/src/engine/a.rs";
        check(other, "impl Host for Double {}", 1);
        check(other, "impl<'a, T: Observe> pontoon_core::Host\n    for Double<'a, T> {}", 1);
        check(other, "#[cfg(test)] mod tests { impl Host for Double {} }", 1);
        check(other, "impl GhostHost for Double {}\nimpl HostProfile { fn f() {} }\nimpl From<Host> for A {}", 0);
        check("crates/testkit/src/host.rs", "impl Host for Fake {}", 0);
    }

    #[test]
    fn calls_are_found() {
        let other = "crates/pontoon/src/a.rs";
        check(other, "self.host.apply(&plan)?;", 1);
        check(other, "engine.host()\n    .apply(&plan)?;", 1);
        check(other, "Host::apply(&host, &plan);", 1);
        check(other, "filter.apply(x); ledger.apply(y);", 0);
        check(other, "#[cfg(test)] mod tests { fn f() { host.apply(&plan) } }", 0);
        check("crates/core/src/engine/transact.rs", "self.host.apply(&plan)?;", 0);
        check("crates/core/src/ipam/a.rs", "self.host.apply(&plan)?;", 1);
    }
}
