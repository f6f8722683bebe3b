//! Many at once.

use std::thread;

use pontoon::{EndpointSpec, Kind, NamespaceSource, NetworkSpec, SandboxSpec};

use crate::fixture::Lab;

/// Threads join and leave, on the host and on a bridge, and fight over one shared endpoint.
#[test]
fn joins_and_leaves_in_parallel_are_refused_at_worst() {
    let lab = Lab::new();
    let host = lab.network(NetworkSpec::new("host").driver("host"));
    let bridge = lab.dual("front");
    let shared = bridge.create_endpoint(EndpointSpec::new("shared")).unwrap();
    let before = lab.host.snapshot();
    thread::scope(|scope| {
        for number in 0..8 {
            let (lab, host, bridge, shared) = (&lab, &host, &bridge, &shared);
            scope.spawn(move || {
                let on_host = number % 2 == 0;
                let namespace = if on_host { NamespaceSource::Host } else { NamespaceSource::New };
                let spec = SandboxSpec::new(format!("c{number}")).namespace(namespace);
                let sandbox = lab.controller.create_sandbox(spec).unwrap();
                let network = if on_host { host } else { bridge };
                let endpoint = network.create_endpoint(EndpointSpec::new(format!("e{number}"))).unwrap();
                for _ in 0..10 {
                    endpoint.join(&sandbox).unwrap();
                    if !on_host {
                        match shared.join(&sandbox) {
                            Ok(()) => shared.leave(&sandbox).unwrap(),
                            Err(error) => assert_eq!(error.kind(), Kind::Forbidden, "{error}"),
                        }
                    }
                    endpoint.leave(&sandbox).unwrap();
                }
                sandbox.delete().unwrap();
                endpoint.delete(false).unwrap();
            });
        }
    });
    assert_eq!(before.difference(&lab.host.snapshot()), "");
    assert_eq!(bridge.endpoints().len(), 1);
}
