//! Invariant 2: only netlink's netns module enters a namespace.

use super::source::{Source, line_of, words};
use super::{Finding, is_under};

/// Where a thread or process may change its namespace.
const ALLOWED: &[&str] = &[
    "crates/netlink/src/netns",
    // The unsafe half of that module; its function is on the list below.
    "crates/netlink/src/sys.rs",
    // Unshares a user namespace before anything else of the program runs.
    "crates/cli/src/rootless",
    // Starts the command of `run` and `exec` in its sandbox, from a thread that ends.
    "crates/cli/src/enter.rs",
    // The kernel floor is the bare system calls, by its nature.
    "crates/bench/src/floor.rs",
    // Test programs run themselves again in namespaces of their own.
    "crates/testkit/src/",
];

/// The functions that change it, by the names that libc, rustix and netlink's `sys` give them.
const CALLS: &[&str] = &[
    "setns",
    "unshare",
    "unshare_unsafe",
    "unshare_network",
    "move_into_link_name_space",
    "move_into_thread_name_spaces",
    "SYS_setns",
    "SYS_unshare",
    "CLONE_NEWNET",
    "CLONE_NEWUSER",
];

/// Checks every file, tests included: a test that moves its thread takes later tests along.
pub(super) fn source(source: &Source) -> Vec<Finding> {
    if is_under(&source.path, ALLOWED) {
        return Vec::new();
    }
    let code = source.code();
    let calls = CALLS.iter().flat_map(|call| words(code, call).map(move |at| (at, call)));
    calls
        .map(|(at, call)| {
            let message =
                format!("only netlink's netns module enters a namespace, found {call}: visit it through netns");
            Finding::new("namespaces", &source.path, line_of(code, at), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::messages;
    use super::*;

    #[test]
    fn entering_is_found_outside_netns() {
        let text = "fn f() {\n    rustix::thread::move_into_link_name_space(fd, None);\n    libc::setns(fd, 0);\n}";
        assert_eq!(messages(source, "crates/host/src/a.rs", text).len(), 2);
        for allowed in
            ["crates/netlink/src/netns.rs", "crates/netlink/src/netns/visit.rs", "crates/cli/src/rootless.rs"]
        {
            assert!(messages(source, allowed, text).is_empty(), "{allowed}");
        }
        assert_eq!(messages(source, "crates/netlink/src/nft.rs", text).len(), 2);
    }

    #[test]
    fn words_in_comments_and_texts_are_free() {
        assert!(
            messages(source, "crates/host/src/a.rs", "// setns\nlet a = \"unshare\"; fn setns_like() {}").is_empty()
        );
    }
}
