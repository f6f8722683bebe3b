//! A controller on a host, a store and an environment that tests can reach.

use std::fmt::Display;
use std::sync::Arc;

use pontoon::{Builder, SandboxSpec};
use pontoon::{Config, Controller, DefaultPools, Endpoint, EndpointSpec, Error, Kind, Network, NetworkSpec, Sandbox};
use pontoon_host::store::MemoryStore;
use pontoon_testkit::{FakeHost, TestEnvironment};

/// A controller with what it stands on.
pub(crate) struct Lab {
    pub(crate) controller: Controller,
    pub(crate) host: FakeHost,
    pub(crate) store: MemoryStore,
    pub(crate) environment: TestEnvironment,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Opens a controller that `prepare` may add to.
    pub(crate) fn with(prepare: impl FnOnce(Builder) -> Builder) -> Self {
        let (host, store, environment) = (FakeHost::new(), MemoryStore::new(), TestEnvironment::new(1));
        let controller = prepare(builder(config(), &host, &store, &environment)).open().expect("opens");
        Self { controller, host, store, environment }
    }

    /// Ends this process and starts another one.
    pub(crate) fn restarted(self) -> Self {
        let Self { controller, host, store, environment } = self;
        drop(controller);
        host.process_died();
        let controller = builder(config(), &host, &store, &environment).open().expect("opens again");
        Self { controller, host, store, environment }
    }

    pub(crate) fn network(&self, spec: NetworkSpec) -> Network {
        self.controller.create_network(spec).expect("a network")
    }

    /// Creates a dual-stack bridge network.
    pub(crate) fn dual(&self, name: &str) -> Network {
        self.network(NetworkSpec::new(name).ipv6(true))
    }

    pub(crate) fn sandbox(&self, name: &str) -> Sandbox {
        self.controller.create_sandbox(SandboxSpec::new(name)).expect("a sandbox")
    }

    /// Creates an endpoint on a network and joins it.
    pub(crate) fn joined(&self, network: &Network, spec: EndpointSpec, sandbox: &Sandbox) -> Endpoint {
        let endpoint = network.create_endpoint(spec).expect("an endpoint");
        endpoint.join(sandbox).expect("joins");
        endpoint
    }
}

/// Prepares a controller on doubles.
pub(crate) fn builder(config: Config, host: &FakeHost, store: &MemoryStore, environment: &TestEnvironment) -> Builder {
    Controller::builder(config)
        .host(Arc::new(host.clone()))
        .store(Arc::new(store.clone()))
        .environment(Arc::new(environment.clone()))
}

/// A configuration that does not depend on the machine.
pub(crate) fn config() -> Config {
    Config::new("unused").default_pools(DefaultPools::local(Some("fd00:1::/48".parse().expect("a prefix"))))
}

/// Checks that something was refused, and in which words.
pub(crate) fn refused<T>(result: Result<T, Error>, kind: Kind, text: impl Display) {
    let error = result.err().expect("refused");
    assert_eq!((error.kind(), error.to_string()), (kind, text.to_string()));
}

/// Returns the names of networks, in order.
pub(crate) fn names(networks: &[Network]) -> Vec<String> {
    let mut names: Vec<String> =
        networks.iter().map(|network| network.info().expect("a record").spec.name.clone()).collect();
    names.sort_unstable();
    names
}
