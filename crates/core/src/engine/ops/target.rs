//! Which network an endpoint is to be on: one that is there, or one that is created when it is first used.

use super::networks::{NewNetwork, Survey};
use super::spans;
use crate::engine::{Draft, Engine, HostError};
use crate::error::Error;
use crate::model::{NetworkId, NetworkSpec};

/// Which network an endpoint is to be on.
#[derive(Clone, Debug)]
pub enum NetworkTarget {
    /// A network that is there.
    Existing(NetworkId),
    /// The network of the specification's name; if there is none, the same transaction creates it as specified.
    CreateIfMissing(Box<NetworkSpec>),
}

impl NetworkTarget {
    /// Names a network that is created when it is first used.
    pub fn create_if_missing(spec: NetworkSpec) -> Self {
        Self::CreateIfMissing(Box::new(spec))
    }
}

impl From<NetworkId> for NetworkTarget {
    fn from(id: NetworkId) -> Self {
        Self::Existing(id)
    }
}

/// A target with what its edit needs.
pub(super) enum DrawnTarget {
    Existing(NetworkId),
    CreateIfMissing(Box<NewNetwork>),
}

impl Engine {
    /// Draws what the edit of a target needs.
    pub(super) fn draw_target(&self, target: NetworkTarget) -> DrawnTarget {
        match target {
            NetworkTarget::Existing(id) => DrawnTarget::Existing(id),
            NetworkTarget::CreateIfMissing(spec) => DrawnTarget::CreateIfMissing(Box::new(self.new_network(*spec))),
        }
    }

    /// Returns the survey for an edit of some targets. The host is looked at already if one of them is missing: an edit that
    /// does it keeps everybody waiting.
    pub(super) fn survey_for<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a DrawnTarget>,
    ) -> Result<Survey<'_>, HostError> {
        let (survey, state) = (self.survey(), self.snapshot());
        let missing = |target: &DrawnTarget| match target {
            DrawnTarget::Existing(_) => false,
            DrawnTarget::CreateIfMissing(new) => state.network_named(&new.spec.name).is_none(),
        };
        if targets.into_iter().any(missing) {
            survey.profile()?;
        }
        Ok(survey)
    }

    /// Returns the network that a target means, created in the draft if it is missing.
    pub(super) fn draft_target(
        &self,
        draft: &mut Draft<'_>,
        target: &DrawnTarget,
        survey: &Survey<'_>,
    ) -> Result<NetworkId, Error> {
        let new = match target {
            DrawnTarget::Existing(id) => return Ok(*id),
            DrawnTarget::CreateIfMissing(new) => new,
        };
        if let Some(found) = draft.network_named(&new.spec.name) {
            return Ok(found.id);
        }
        let _span = spans::create_network(&new.spec, new.id).entered();
        self.draft_network(draft, new, survey)?;
        Ok(new.id)
    }
}
