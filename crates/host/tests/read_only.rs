//! A host that is opened to look at it is left as it is.

use std::path::Path;

use pontoon_core::engine::{Host, Observe, Query};
use pontoon_core::model::SandboxId;
use pontoon_core::objects::Objects;
use pontoon_host::linux::{LinuxConfig, LinuxHost, REAP_GROUP};
use pontoon_testkit::{Feature, isolated, require, run};

const RUN: &str = "/run/pontoon";

fn links() -> String {
    run("ip", &["-o", "link", "show", "type", "bridge"])
}

#[test]
fn nothing_is_made_and_nothing_is_deleted() {
    isolated(|| {
        if ![Feature::Bridge, Feature::NfTables].into_iter().all(require) {
            return;
        }
        // What a process left that was killed before it deleted it.
        run("ip", &["link", "add", "left", "type", "bridge"]);
        run("ip", &["link", "set", "left", "group", &REAP_GROUP.to_string()]);
        let before = links();
        let host = LinuxHost::open_read_only(LinuxConfig::new(RUN)).unwrap();
        let sandbox = SandboxId::draw(|bytes| bytes.fill(0xab));
        assert_eq!(host.observe(&Query::of([sandbox], [])).unwrap(), Objects::new());
        host.survey().unwrap();
        host.settle().unwrap();
        drop(host);
        assert_eq!(links(), before);
        assert!(!Path::new(RUN).exists());

        let host = LinuxHost::open(LinuxConfig::new(RUN)).unwrap();
        host.settle().unwrap();
        assert_eq!(links(), "");
        assert!(Path::new(RUN).join("netns").exists());
    });
}
