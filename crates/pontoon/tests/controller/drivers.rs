//! Drivers: their registry, their configuration, and one from outside.

use pontoon::objects::{Object, Objects, Place, Sysctl, Tenure};
use pontoon::{
    BridgeDriverConfig, Controller, Driver, EndpointSpec, EndpointView, HostProfile, Kind, NetworkSpec, NetworkView,
    OptionError, OptionReader, Options,
};
use pontoon_host::store::MemoryStore;
use pontoon_testkit::{FakeHost, TestEnvironment};

use crate::fixture::{Lab, builder, config, refused};

/// A driver from outside: it sets one kernel setting for each network, and refuses what it is told to refuse.
struct Tuner;

#[derive(serde::Serialize, serde::Deserialize)]
struct TunerConfig {
    refuse: bool,
}

impl Driver for Tuner {
    type Config = TunerConfig;
    const NAME: &'static str = "tuner";

    fn configure(&self, options: &Options, _: &HostProfile) -> Result<TunerConfig, OptionError> {
        let mut read = OptionReader::new(Self::NAME, options);
        let config = TunerConfig { refuse: read.flag("refuse", false)? };
        read.finish()?;
        Ok(config)
    }

    fn network(&self, _: &NetworkView<'_, TunerConfig>) -> Objects {
        let (name, value) = ("net.ipv4.ip_forward".to_owned(), "1".to_owned());
        [Object::from(Sysctl { place: Place::Host, name, value, tenure: Tenure::Borrow })].into_iter().collect()
    }

    fn endpoint(&self, _: &EndpointView<'_, TunerConfig>) -> Objects {
        Objects::new()
    }

    fn check(
        &self,
        view: &NetworkView<'_, TunerConfig>,
        _: &[NetworkView<'_, TunerConfig>],
        _: &HostProfile,
    ) -> Result<(), OptionError> {
        match view.config.refuse {
            true => Err(OptionError::Combination("told to refuse".to_owned())),
            false => Ok(()),
        }
    }
}

fn open(prepare: impl FnOnce(pontoon::Builder) -> pontoon::Builder) -> Result<Controller, pontoon::Error> {
    let (host, store, environment) = (FakeHost::new(), MemoryStore::new(), TestEnvironment::new(1));
    prepare(builder(config(), &host, &store, &environment)).open()
}

#[test]
fn a_driver_from_outside_serves_networks() {
    let lab = Lab::with(|builder| builder.driver(Tuner));
    assert_eq!(lab.controller.drivers(), ["bridge", "host", "null", "tuner"]);
    assert_eq!(lab.controller.builtin_drivers(), ["bridge", "host", "null"]);
    assert_eq!(lab.controller.builtin_ipam_drivers(), ["default", "null"]);
    assert!(lab.controller.driver("tuner").is_some() && lab.controller.driver("ppp").is_none());
    let before = lab.host.snapshot();
    let network = lab.network(NetworkSpec::new("tuned").driver("tuner"));
    assert_eq!(lab.host.sysctl(Place::Host, "net.ipv4.ip_forward").as_deref(), Some("1"));
    network.create_endpoint(EndpointSpec::new("web")).unwrap().delete(false).unwrap();
    network.delete().unwrap();
    // It was borrowed.
    assert_eq!(before.difference(&lab.host.snapshot()), "");
}

#[test]
fn a_driver_that_refuses_leaves_nothing() {
    let lab = Lab::with(|builder| builder.driver(Tuner));
    let spec = NetworkSpec::new("tuned").driver("tuner");
    refused(lab.controller.create_network(spec.clone().option("refuse", "true")), Kind::Invalid, "told to refuse");
    let network = lab.network(spec);
    assert_eq!(network.info().unwrap().pools[0].prefix.to_string(), "172.17.0.0/16");
}

#[test]
fn a_name_is_registered_once() {
    let twice = open(|builder| builder.driver(Tuner).driver(Tuner));
    refused(twice.map(|_| ()), Kind::Forbidden, "Driver already registered for type \"tuner\"");
}

#[test]
fn configuration_of_drivers_is_checked() {
    let configured = |name: &str, value: serde_json::Value| {
        let (host, store, environment) = (FakeHost::new(), MemoryStore::new(), TestEnvironment::new(1));
        builder(config().driver(name, value), &host, &store, &environment).open().map(|_| ())
    };
    configured("bridge", serde_json::json!({"ip_forward": false})).unwrap();
    for (name, value) in [
        ("bridge", serde_json::json!({"ip_forward": "perhaps"})),
        ("bridge", serde_json::json!({"no_such_field": true})),
        ("bridge", serde_json::json!("text")),
        ("ppp", serde_json::json!({})),
    ] {
        let error = configured(name, value).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().starts_with(&format!("invalid configuration of driver {name}: ")), "{error}");
    }
}

#[test]
fn explicit_configuration_wins_over_labels() {
    let forwards = |config: pontoon::Config| {
        let (host, store, environment) = (FakeHost::new(), MemoryStore::new(), TestEnvironment::new(1));
        let controller = builder(config, &host, &store, &environment).open().unwrap();
        controller.create_network(NetworkSpec::new("front")).unwrap();
        host.sysctl(Place::Host, "net.ipv4.ip_forward").as_deref() == Some("1")
    };
    let label = "com.docker.network.driver.bridge.ip_forward=false";
    assert!(forwards(config()));
    assert!(!forwards(config().label(label)));
    assert!(forwards(config().label(label).driver("bridge", BridgeDriverConfig { ip_forward: true })));
}
