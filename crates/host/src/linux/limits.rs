//! Limits of how fast data passes a pair, on the host's side.
//!
//! ```text
//! to the container:    bridge ─▶ pv… (tbf) ─▶ eth0
//! from the container:  eth0 ─▶ pv… (ingress: everything) ─▶ pi… (tbf) ─▶ as if it came from pv… ─▶ bridge
//! ```

use pontoon_core::engine::HostError;
use pontoon_core::model::Rate;
use pontoon_core::objects::{Direction, Flaw, Key, Limit, Object, Objects, Op};
use pontoon_netlink::route::{
    AddressGeneration, Kind, Link, LinkChange, NewLink, TokenBucket, add_ingress, buckets, delete_ingress, delete_root,
    index_of, link, redirect_all, redirects,
};
use pontoon_netlink::{Refusal, Request, Socket};

use super::run::Run;
use super::{LINK_GROUP, error};

const IFB: &str = "ifb";
const TBF: &str = "tbf";

impl Run<'_> {
    pub(super) fn limit(&mut self, op: &Op) -> Result<(), HostError> {
        match op {
            // A repair that is taken back: what was damaged is not damaged again.
            Op::Change { to: Object::Limit(Limit { damaged: true, .. }), .. } => Ok(()),
            Op::Add(Object::Limit(limit)) | Op::Change { to: Object::Limit(limit), .. } => self.set_limit(limit),
            Op::Remove(Object::Limit(limit)) => self.remove_limit(limit),
            other => Err(HostError::Unsupported { what: format!("a way to take the step {other}") }),
        }
    }

    /// Sets a limit, whatever is there of one.
    fn set_limit(&mut self, limit: &Limit) -> Result<(), HostError> {
        let pair = self.ours(&limit.link)?.map(|pair| pair.index);
        let pair = pair.ok_or_else(|| HostError::Missing { what: format!("the interface {}", limit.link) })?;
        let ifb = match limit.direction {
            Direction::In => return self.requests(&[("tbf", bucket(limit.rate).replace(pair))]),
            Direction::Out => self.add_ifb(limit)?,
        };
        // What is there may lead elsewhere; mostly there is nothing.
        self.forgiven(delete_ingress(pair))?;
        let set = self.requests(&[
            ("tbf", bucket(limit.rate).replace(ifb)),
            ("sch_ingress", add_ingress(pair)),
            ("u32 and mirred", redirect_all(pair, ifb)),
        ]);
        set.inspect_err(|_| {
            // The first error is what matters; what is left is in our group, where the next start finds it.
            let _ = self.remove_limit(limit);
        })
    }

    fn remove_limit(&mut self, limit: &Limit) -> Result<(), HostError> {
        let pair = self.ours(&limit.link)?.map(|pair| pair.index);
        match (limit.direction, pair) {
            (Direction::In, Some(pair)) => self.forgiven(delete_root(pair)),
            (Direction::In, None) => Ok(()),
            (Direction::Out, pair) => {
                // While something is led to an interface that is down, it is dropped.
                if let Some(pair) = pair {
                    self.forgiven(delete_ingress(pair))?;
                }
                let present = link(&mut self.route, limit.ifb().as_str()).map_err(|e| error::failed(&e))?;
                present.filter(is_ours).map_or(Ok(()), |present| self.retire(present.index))
            }
        }
    }

    /// Makes the interface that a limit out goes through, unless it is there, and returns its index.
    fn add_ifb(&mut self, limit: &Limit) -> Result<u32, HostError> {
        let name = limit.ifb();
        let present = link(&mut self.route, name.as_str()).map_err(|e| error::failed(&e))?;
        if !present.as_ref().is_some_and(is_ours) {
            if let Some(present) = present {
                self.make_way(&present)?;
            }
            let new = NewLink { group: Some(LINK_GROUP), ..NewLink::new(name.as_str(), Kind::Ifb) };
            self.requests(&[(IFB, new.create())])?;
        }
        let index = index_of(&self.route, &name).map_err(|e| error::failed(&e))?;
        let index = index.ok_or_else(|| HostError::Missing { what: format!("the interface {name}") })?;
        // It has nothing to say by itself. A kernel without IPv6 refuses this, and need not do it.
        let silent = LinkChange { address_generation: Some(AddressGeneration::None), ..LinkChange::new(index) };
        self.forgiven(silent.set())?;
        let up = LinkChange { up: Some(true), ..LinkChange::new(index) };
        self.requests(&[(IFB, up.set())]).map(|()| index)
    }

    /// Sends requests, each with what the kernel lacks if it does not know what is asked for.
    fn requests(&mut self, requests: &[(&str, Request)]) -> Result<(), HostError> {
        let sent: Vec<Request> = requests.iter().map(|(_, request)| request.clone()).collect();
        let answers = self.route.batch(&sent).map_err(|e| error::failed(&e))?;
        let mut answers = requests.iter().zip(answers);
        answers.try_for_each(|((needed, _), answer)| answer.map_err(|refusal| refused(needed, &refusal)))
    }

    /// Sends a request whose refusal means that there is nothing to do.
    fn forgiven(&mut self, request: Request) -> Result<(), HostError> {
        for answer in self.route.batch(&[request]).map_err(|e| error::failed(&e))? {
            match answer {
                Err(refusal) if refusal.errno == libc::EPERM => return Err(error::refused(&refusal)),
                Err(refusal) => tracing::debug!(%refusal, "nothing to do"),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

fn refused(needed: &str, refusal: &Refusal) -> HostError {
    match refusal.errno {
        libc::ENOENT | libc::EOPNOTSUPP => {
            HostError::Unsupported { what: format!("{needed}, which limits of rates need") }
        }
        _ => error::refused(refusal),
    }
}

fn is_ours(link: &Link) -> bool {
    link.group == LINK_GROUP && link.kind.as_deref() == Some(IFB)
}

fn bucket(rate: Rate) -> TokenBucket {
    TokenBucket { rate: rate.bytes(), burst: rate.burst(), limit: rate.queue() }
}

/// Returns the rate that a bucket was made for, and whether something of it is otherwise.
fn judge(found: Option<&TokenBucket>) -> (Rate, bool) {
    let rate = found.and_then(|found| Some((found, Rate::new(found.rate.checked_mul(8)?).ok()?)));
    let Some((found, rate)) = rate else { return (Rate::MIN, true) };
    let wanted = bucket(rate);
    // The kernel keeps the burst as a time, and rounds that.
    let is_near = wanted.burst.abs_diff(found.burst) <= wanted.burst / 100;
    (rate, found.limit != wanted.limit || !is_near)
}

/// Adds the limits that are there to what was observed; `links` are the host's.
pub(super) fn observe(socket: &mut Socket, links: &[Link], objects: &mut Objects) -> Result<(), HostError> {
    let limited = |link: &&Link| is_ours(link) || link.group == LINK_GROUP && link.qdisc.as_deref() == Some(TBF);
    let limited: Vec<&Link> = links.iter().filter(limited).collect();
    if limited.is_empty() {
        return Ok(());
    }
    let buckets = buckets(socket).map_err(|e| error::failed(&e))?;
    for present in limited {
        let found = buckets.iter().find(|(index, _)| *index == present.index);
        let (rate, differs) = judge(found.map(|(_, bucket)| bucket));
        let name = if is_ours(present) { Limit::link_of(&present.name) } else { present.name.parse().ok() };
        let Some(link) = name else { continue };
        let lasts = matches!(objects.get(&Key::Link(link.to_string())), Some(Object::Veth(veth))
            if !matches!(veth.flaw, Some(Flaw::PeerLost | Flaw::Unfinished)));
        if is_ours(present) {
            let pair = links.iter().find(|one| one.name == link.as_str()).filter(|_| lasts);
            let led = match pair {
                Some(pair) => redirects(socket, pair.index).map_err(|e| error::failed(&e))?,
                None => Vec::new(),
            };
            let damaged = differs || !present.up || led != [present.index];
            objects.set(Limit { link, direction: Direction::Out, rate, damaged });
        } else if lasts {
            // One of a pair that is made anew goes with it.
            objects.set(Limit { link, direction: Direction::In, rate, damaged: differs });
        }
    }
    Ok(())
}
