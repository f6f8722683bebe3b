//! What it costs the host when a network switches IPv6 forwarding on.

use pontoon::{AdvertisedLink, advertised_links};

use crate::context::Context;
use crate::errors::Failure;

/// Does `work`, and says which interfaces lost their default route by it.
pub(super) fn watched<T>(context: &Context, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    if context.settings.quiet || context.settings.plan || context.json() {
        return work();
    }
    let had: Vec<AdvertisedLink> = advertised().into_iter().filter(|link| link.has_default_route).collect();
    let outcome = work()?;
    let lost = |link: &AdvertisedLink| !link.has_default_route && had.iter().any(|before| before.name == link.name);
    for link in advertised().iter().filter(|link| link.forwards && lost(link)) {
        anstream::eprintln!(
            "note: with IPv6 forwarding on, {} ignores router advertisements, and has lost the default route that it had by \
             one: set {} to get it back with the next",
            link.name,
            link.remedy()
        );
    }
    Ok(outcome)
}

/// Returns nothing where it cannot be looked: that is not worth failing for.
fn advertised() -> Vec<AdvertisedLink> {
    advertised_links().unwrap_or_default()
}
