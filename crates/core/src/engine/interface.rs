//! What every interface of a sandbox has, whichever driver made it: its settings, its link-local addresses, its static
//! routes, how fast data passes, and how its addresses are announced.

use crate::drivers::advertise;
use crate::error::{EndpointError, Error};
use crate::model::{Attachment, Endpoint, InterfaceSetting, NamespaceSource, Network, Sandbox, StaticRoute};
use crate::objects::{Address, Direction, Limit, Object, Objects, Place, Route, Sysctl, Veth};

/// Adds it to the objects of an endpoint, if its driver gave it an interface.
pub(super) fn furnish(
    objects: &mut Objects,
    endpoint: &Endpoint,
    attached: &Attachment,
    network: &Network,
    sandbox: Option<&Sandbox>,
) -> Result<(), Error> {
    let rates = [(Direction::In, endpoint.spec.rate_in), (Direction::Out, endpoint.spec.rate_out)];
    let limited = rates.into_iter().filter_map(|(direction, rate)| Some((direction, rate?)));
    let Some(veth) = interface(objects, attached) else {
        return match limited.count() {
            0 => Ok(()),
            _ => Err(EndpointError::NoInterface { network: network.spec.name.clone() }.into()),
        };
    };
    for (direction, rate) in limited {
        objects.set(Limit { link: veth.name.clone(), direction, rate, damaged: false });
    }
    objects.set(Veth { advertise: advertise::read(&network.spec.options)?, ..veth });
    let (place, link) = (Place::Sandbox(attached.sandbox), &attached.ifname);
    for prefix in &endpoint.spec.link_local {
        objects.set(Address { place, link: link.clone(), prefix: *prefix });
    }
    for StaticRoute { to, via } in &attached.routing.routes {
        objects.set(Route { place, to: *to, via: *via, link: link.clone() });
    }
    let is_made = sandbox.is_some_and(|sandbox| sandbox.spec.namespace == NamespaceSource::New);
    let has_ipv6 = endpoint.address(true).is_some() || endpoint.spec.link_local.iter().any(|a| a.addr().is_ipv6());
    // In a namespace that was made for the sandbox, interfaces have no IPv6 to begin with.
    if has_ipv6 || !is_made {
        objects.set(Sysctl::ipv6(place, link, has_ipv6));
    }
    let settings = InterfaceSetting::read_all(&endpoint.spec.sysctls)?;
    settings.iter().for_each(|setting| objects.set(setting.of(place, link)));
    Ok(())
}

fn interface(objects: &Objects, attached: &Attachment) -> Option<Veth> {
    objects.iter().find_map(|object| match object {
        Object::Veth(veth) if veth.peer == attached.ifname => Some(veth.clone()),
        _ => None,
    })
}
