//! Limits of how fast data passes pairs of interfaces.

use pontoon_core::engine::HostError;
use pontoon_core::model::{IfName, Mtu, Rate};
use pontoon_core::objects::{Direction, Limit, Object};

use super::world::{Kind, Link, NetnsKey, World, foreign, missing};

impl World {
    /// Whatever was there is replaced.
    pub(super) fn set_limit(&mut self, limit: &Limit) -> Result<(), HostError> {
        if limit.damaged {
            // A repair that is taken back: what was damaged is not damaged again.
            return Ok(());
        }
        let pair = self.link(&NetnsKey::Host, &limit.link).filter(|link| link.ours);
        pair.ok_or_else(|| missing(format!("interface {}", limit.link)))?;
        if limit.direction == Direction::In {
            self.on_host(&limit.link, |pair| pair.rate = Some(limit.rate));
            return Ok(());
        }
        let ifb = ifb_of(limit);
        match self.link(&NetnsKey::Host, &ifb) {
            Some(present) if !present.ours => return Err(foreign(format!("interface {ifb}"))),
            Some(_) => {}
            None => self.host().insert(ifb.clone(), Link { ours: true, ..Link::new(Kind::Ifb, Mtu::ETHERNET) }),
        }
        self.on_host(&ifb, |ifb| ifb.rate = Some(limit.rate));
        self.on_host(&limit.link, |pair| pair.leads_to = Some(ifb));
        Ok(())
    }

    pub(super) fn remove_limit(&mut self, limit: &Limit) {
        match limit.direction {
            Direction::In => self.on_host(&limit.link, |pair| pair.rate = None),
            Direction::Out => {
                self.on_host(&limit.link, |pair| pair.leads_to = None);
                self.remove_own_link(&ifb_of(limit));
            }
        }
    }

    /// Limits of pairs of ours, and what is left of them.
    pub(super) fn own_limits(&self) -> impl Iterator<Item = Object> {
        let host = &self.netns[&NetnsKey::Host];
        host.links.iter().filter(|(_, link)| link.ours).filter_map(|(name, link)| {
            let (link, direction, damaged) = match link.kind {
                Kind::Ifb => {
                    let pair = Limit::link_of(name.as_str())?;
                    let leads = host.links.get(&pair).is_some_and(|pair| pair.leads_to.as_ref() == Some(name));
                    (pair, Direction::Out, link.rate.is_none() || !leads)
                }
                _ => link.rate.map(|_| (name.clone(), Direction::In, false))?,
            };
            let sends = if direction == Direction::In { &link } else { name };
            let rate = host.links[sends].rate.unwrap_or(Rate::MIN);
            Some(Object::Limit(Limit { link, direction, rate, damaged }))
        })
    }

    fn on_host(&mut self, name: &IfName, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.link_mut(&NetnsKey::Host, name) {
            change(link);
        }
    }
}

fn ifb_of(limit: &Limit) -> IfName {
    limit.ifb().parse().expect("as long as the name of the pair")
}
