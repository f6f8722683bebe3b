//! Router advertisements: the kernel ignores them where it forwards, unless told otherwise.

use pontoon::{AdvertisedLink, advertised_links};

use super::Finding;

/// Looks for interfaces that lose their default route when IPv6 forwarding is switched on, or may have lost it.
pub(super) fn find() -> Vec<Finding> {
    match advertised_links() {
        Ok(links) => links.iter().filter_map(finding).collect(),
        Err(error) => vec![Finding::note(format!("IPv6: {error}"), "nothing is known of router advertisements")],
    }
}

fn finding(link: &AdvertisedLink) -> Option<Finding> {
    let (name, setting) = (&link.name, link.remedy());
    let text = match (link.forwards, link.has_default_route) {
        (true, false) => {
            format!("IPv6: {name} forwards and so ignores router advertisements, and has no default route by one")
        }
        (true, true) => format!(
            "IPv6: {name} forwards and so ignores router advertisements; its default route by one is there until it expires"
        ),
        (false, true) => {
            format!(
                "IPv6: {name} has its default route by router advertisement, and loses it when it begins to forward"
            )
        }
        (false, false) => return None,
    };
    let advice = match link.forwards {
        true => format!("if its addresses or routes are to come by them, set {setting}"),
        false => format!("set {setting} before the first network with IPv6 is created"),
    };
    Some(Finding::note(text, advice))
}
