//! The ways to resolvers: each namespace has one at most, whoever wants it.

use pontoon_core::engine::HostError;
use pontoon_core::objects::{Place, Redirect};

use super::world::World;

impl World {
    /// Whatever was there is replaced.
    pub(super) fn add_redirect(&mut self, redirect: &Redirect) -> Result<(), HostError> {
        self.enter(Place::Sandbox(redirect.sandbox))?.redirect = Some(redirect.port);
        Ok(())
    }

    pub(super) fn remove_redirect(&mut self, redirect: &Redirect) {
        if let Ok(netns) = self.enter(Place::Sandbox(redirect.sandbox)) {
            netns.redirect = None;
        }
    }
}
