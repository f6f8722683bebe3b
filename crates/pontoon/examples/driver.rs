//! A driver from outside: `quiet` networks are bridges that the host itself has no address on.
//!
//! A driver is a pure function from records to the objects that should exist. Creating, deleting, rolling back, coming back
//! after a crash and repairing are differences of what it returns, so there is nothing more to write.
//!
//! ```sh
//! cargo build -p pontoon --example driver
//! unshare --map-root-user --net --mount target/debug/examples/driver
//! ```

#![forbid(unsafe_code)]

use pontoon::objects::{Address, Bridge, Objects, Place, Veth};
use pontoon::{
    Attach, Config, Controller, Driver, EndpointSpec, EndpointView, HostProfile, IfName, MacAddr, Mtu, NetworkRecord,
    NetworkSpec, NetworkView, OptionError, OptionReader, Options, SandboxSpec,
};
use serde::{Deserialize, Serialize};

/// Renders networks that connect sandboxes to each other and to nothing else.
struct Quiet;

/// The options of one network.
#[derive(Serialize, Deserialize)]
struct QuietConfig {
    mtu: Mtu,
}

impl Driver for Quiet {
    type Config = QuietConfig;
    const NAME: &'static str = "quiet";

    fn configure(&self, options: &Options, _: &HostProfile) -> Result<QuietConfig, OptionError> {
        let mut read = OptionReader::new(Self::NAME, options);
        let mtu = match read.parsed::<i64>("mtu")? {
            None => Mtu::ETHERNET,
            Some(bytes) => Mtu::try_from(bytes).map_err(|error| OptionError::Combination(error.to_string()))?,
        };
        read.finish()?;
        Ok(QuietConfig { mtu })
    }

    fn network(&self, view: &NetworkView<'_, QuietConfig>) -> Objects {
        let mut objects = Objects::new();
        objects.set(Bridge {
            name: bridge(view.network),
            mac: mac(view.network),
            mtu: view.config.mtu,
            route_localnet: false,
            ipv6: false,
            flaw: None,
        });
        objects
    }

    fn endpoint(&self, view: &EndpointView<'_, QuietConfig>) -> Objects {
        let mut objects = Objects::new();
        let Some(attached) = &view.endpoint.attached else { return objects };
        objects.set(Veth {
            name: view.endpoint.host_ifname(),
            bridge: Some(bridge(view.network.network)),
            mtu: view.network.config.mtu,
            sandbox: attached.sandbox,
            peer: attached.ifname.clone(),
            mac: view.endpoint.mac,
            isolated: false,
            hairpin: false,
            advertise: None,
            flaw: None,
        });
        for prefix in &view.endpoint.addresses {
            let place = Place::Sandbox(attached.sandbox);
            objects.set(Address { place, link: attached.ifname.clone(), prefix: *prefix });
        }
        objects
    }
}

fn bridge(network: &NetworkRecord) -> IfName {
    IfName::new(format!("qt-{}", network.id.short())).expect("qt- and twelve digits are a valid interface name")
}

/// The id is random, so a part of it makes an address that needs no storing.
fn mac(network: &NetworkRecord) -> MacAddr {
    let digits = network.id.to_string();
    MacAddr::draw(|bytes| {
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte =
                std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or_default();
        }
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let config = Config::new(folder.path().join("state")).run_dir(folder.path().join("run"));
    let controller = Controller::builder(config).driver(Quiet).open()?;
    println!("drivers: {}", controller.drivers().join(", "));

    let quiet = NetworkSpec::new("backstage").driver("quiet").option("mtu", "9000").internal(true);
    let network = controller.create_network(quiet)?;
    let attach = |name: &str| Attach {
        sandbox: SandboxSpec::new(name),
        endpoints: vec![(network.id().into(), EndpointSpec::new(name))],
    };

    // What it would do, step by step.
    let preview = controller.preview(|copy| copy.attach(attach("one")).map(|_| ()))?;
    preview.steps.iter().for_each(|step| println!("  {}", step.0));

    let (one, two) = (controller.attach(attach("one"))?, controller.attach(attach("two"))?);
    for sandbox in [&one, &two] {
        for endpoint in sandbox.endpoints() {
            for address in endpoint.info()?.addresses {
                println!("{} has {address}", sandbox.info()?.spec.name);
            }
        }
    }

    one.delete()?;
    two.delete()?;
    network.delete()?;
    controller.settle()?;
    Ok(())
}
