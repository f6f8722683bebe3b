//! Completion, manual pages, version: what needs no network.

mod common;

use common::{ok, pontoon};
use pontoon_testkit::isolated;

#[test]
fn every_shell_has_a_completion() {
    isolated(|| {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            assert!(ok(&["completion", shell]).contains("sandbox"), "{shell}");
        }
    });
}

#[test]
fn every_command_has_a_page() {
    isolated(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("man");
        ok(&["man", path.to_str().unwrap()]);
        let mut pages: Vec<_> =
            path.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        pages.sort();
        assert!(pages.contains(&"pontoon-network-create.1".to_owned()), "{pages:?}");
        assert!(!pages.iter().any(|page| page.contains("hold")), "{pages:?}");
    });
}

#[test]
fn a_plan_writes_no_pages() {
    isolated(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("man");
        let path = path.to_str().unwrap();
        assert_eq!(ok(&["--plan", "man", path]), format!("+ manual pages in {path}\n"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    });
}

#[test]
fn the_version_is_told() {
    isolated(|| {
        let version = concat!("pontoon ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(ok(&["version"]), version);
        assert_eq!(ok(&["--version"]), version);
        assert_eq!(pontoon(&["nonsense"]).status, 2);
    });
}
