//! Announcing addresses to neighbours, for the processes that joined and left.
//!
//! Who joins announces once. The helper makes the other announcements of what it sees for the first time; and all of them of what
//! it finds when it starts, for nobody knows what neighbours heard while there was none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pontoon_core::engine::HostError;
use pontoon_core::model::{EndpointId, SandboxId};
use pontoon_host::linux::{Announcement, Announcer, Ticket};

use super::Announced;

/// What is announced, and was.
pub(super) struct Announcements {
    announcer: Announcer,
    /// Nothing before the first look.
    known: Option<BTreeMap<EndpointId, Known>>,
}

struct Known {
    sandbox: SandboxId,
    announced: Announced,
    ticket: Ticket,
}

impl Announcements {
    pub(super) fn below(run_dir: &Path) -> Result<Self, HostError> {
        Ok(Self { announcer: Announcer::below(run_dir)?, known: None })
    }

    /// Announces what is new, and no more what has gone or changed.
    pub(super) fn follow(&mut self, wanted: &BTreeMap<SandboxId, BTreeMap<EndpointId, Announced>>) {
        let starts = self.known.is_none();
        let known = self.known.get_or_insert_default();
        let announcer = &self.announcer;
        known.retain(|id, known| {
            let stays = wanted.get(&known.sandbox).and_then(|all| all.get(id)) == Some(&known.announced);
            if !stays {
                announcer.cancel(known.ticket);
            }
            stays
        });
        for (sandbox, endpoints) in wanted {
            for (id, announced) in endpoints {
                known.entry(*id).or_insert_with(|| {
                    let all = announcement(*sandbox, announced);
                    let ticket = match starts {
                        true => announcer.ask(all, Duration::ZERO),
                        false => {
                            let (count, interval) = (all.count.saturating_sub(1), all.interval);
                            announcer.ask(Announcement { count, ..all }, interval)
                        }
                    };
                    Known { sandbox: *sandbox, announced: announced.clone(), ticket }
                });
            }
        }
    }
}

fn announcement(sandbox: SandboxId, announced: &Announced) -> Announcement {
    let Announced { link, mac, addresses, advertise } = announced.clone();
    let interval = Duration::from_millis(advertise.interval.into());
    Announcement { sandbox, link, mac, addresses, count: advertise.count, interval }
}
