//! A driver from outside whose networks lead where their options say, and by default nowhere.

use pontoon::objects::{Address, Objects, Place, Veth};
use pontoon::{
    Driver, EndpointRecord, EndpointView, HostProfile, Mtu, NetworkSpec, NetworkView, OptionError, OptionReader,
    Options, Routing, WayOut,
};

/// Renders an interface for each endpoint, whose other end stays loose on the host.
pub(crate) struct Wire;

/// The options of one network.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct WireConfig {
    way_out: String,
    gateway_service: bool,
}

/// Asks for a network of two families that leads out in a way: `via`, `on-link`, `forced` or `none`.
pub(crate) fn wire(name: &str, way_out: &str) -> NetworkSpec {
    NetworkSpec::new(name).driver(Wire::NAME).ipv6(true).option("way_out", way_out)
}

impl Driver for Wire {
    type Config = WireConfig;
    const NAME: &'static str = "wire";

    fn configure(&self, options: &Options, _: &HostProfile) -> Result<WireConfig, OptionError> {
        let mut read = OptionReader::new(Self::NAME, options);
        let way_out = read.text("way_out").unwrap_or("none").to_owned();
        let config = WireConfig { way_out, gateway_service: read.flag("gateway_service", true)? };
        read.finish()?;
        Ok(config)
    }

    fn network(&self, _: &NetworkView<'_, WireConfig>) -> Objects {
        Objects::new()
    }

    fn endpoint(&self, view: &EndpointView<'_, WireConfig>) -> Objects {
        let mut objects = Objects::new();
        let Some(attached) = &view.endpoint.attached else { return objects };
        objects.set(Veth {
            name: view.endpoint.host_ifname(),
            bridge: None,
            mtu: Mtu::ETHERNET,
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

    fn routing(&self, view: &NetworkView<'_, WireConfig>, endpoint: &EndpointRecord) -> Routing {
        let usual = Routing::of(view.network, endpoint);
        let ways = match view.config.way_out.as_str() {
            "via" => (usual.ipv4, usual.ipv6),
            "on-link" => (WayOut::OnLink, WayOut::OnLink),
            "forced" => (WayOut::Forced, WayOut::Forced),
            _ => (WayOut::None, WayOut::None),
        };
        Routing { ipv4: ways.0, ipv6: ways.1, gateway_service: view.config.gateway_service, ..usual }
    }
}
