//! Addresses and routes: one batch for each namespace.

use std::collections::HashMap;

use pontoon_core::engine::HostError;
use pontoon_core::model::IfName;
use pontoon_core::objects::{Address, Object, Op, Place, Route};
use pontoon_netlink::route::{self, Family, RouteFilter, RouteScope, TABLE_MAIN, addresses, index_of, routes};
use pontoon_netlink::{Refusal, Request, Socket};

use super::conflicts::Foreign;
use super::run::{Mode, Run, Steps, Taken, lost, set_up};
use super::{PROTOCOL, error};

/// A namespace's addresses and routes, through a socket inside.
pub(super) struct Stack<'a> {
    socket: &'a mut Socket,
    indices: &'a mut HashMap<String, u32>,
    place: Place,
    /// Routes that addresses could compete with, where there can be some.
    foreign: Option<Foreign>,
}

impl Run<'_> {
    pub(super) fn host_stack(&mut self) -> Stack<'_> {
        Stack { socket: &mut self.route, indices: &mut self.indices, place: Place::Host, foreign: None }
    }

    pub(super) fn layer3(&mut self, place: Place, steps: &Steps<'_>, mode: Mode, taken: &mut Taken) {
        if let Place::Sandbox(sandbox) = place {
            let given = steps.iter().filter_map(|(_, op)| match op {
                Op::Add(Object::Address(address)) => Some((address.link.to_string(), address.prefix.addr())),
                _ => None,
            });
            self.host.tenants.give(sandbox, given, &self.host.reaper);
        }
        let undoing = self.undoing;
        let (mut stack, pending) = match place {
            Place::Host => (self.host_stack(), Vec::new()),
            Place::Sandbox(id) => match self.inside(id) {
                Ok(inside) => {
                    let pending = std::mem::take(&mut inside.pending);
                    let socket = &mut inside.open.socket;
                    let foreign = (!inside.is_new && !undoing).then(Foreign::default);
                    (Stack { socket, indices: &mut inside.indices, place, foreign }, pending)
                }
                Err(error) => return nowhere(&error, steps, mode, taken),
            },
        };
        stack.take(pending, steps, mode, taken);
    }
}

/// What becomes of steps in a namespace that cannot be entered: what is not there is removed already.
fn nowhere(error: &HostError, steps: &Steps<'_>, mode: Mode, taken: &mut Taken) {
    let gone = matches!(error, HostError::Missing { .. });
    for (step, op) in steps {
        let result = if gone && matches!(op, Op::Remove(_)) { Ok(()) } else { Err(error.clone()) };
        taken.note(*step, op, result);
        if taken.stops(mode) {
            return;
        }
    }
}

impl Stack<'_> {
    /// Returns the index of an interface.
    pub(super) fn index(&mut self, name: &IfName) -> Result<Option<u32>, HostError> {
        if let Some(index) = self.indices.get(name.as_str()) {
            return Ok(Some(*index));
        }
        let index = index_of(self.socket, name.as_str()).map_err(|e| error::failed(&e))?;
        if let Some(index) = index {
            self.indices.insert(name.to_string(), index);
        }
        Ok(index)
    }

    fn take(&mut self, pending: Vec<(usize, u32)>, steps: &Steps<'_>, mode: Mode, taken: &mut Taken) {
        let (mut origins, mut requests): (Vec<(usize, Option<&Op>)>, Vec<Request>) =
            pending.into_iter().map(|(step, index)| ((step, None), set_up(index))).unzip();
        for &(step, op) in steps {
            match self.request(op) {
                Ok(Some(request)) => {
                    origins.push((step, Some(op)));
                    requests.push(request);
                }
                Ok(None) => taken.note(step, op, Ok(())),
                Err(error) => taken.note(step, op, Err(error)),
            }
            if taken.stops(mode) {
                break;
            }
        }
        let answers = self.socket.batch(&requests).unwrap_or_else(|e| vec![Err(lost(&e)); requests.len()]);
        for ((step, op), answer) in origins.into_iter().zip(answers) {
            match (op, answer) {
                (Some(op), answer) => {
                    let result = answer.or_else(|refusal| self.forgive(op, &refusal));
                    taken.note(step, op, result);
                }
                (None, Ok(())) => {}
                (None, Err(refusal)) => {
                    taken.failed.insert(step, error::refused(&refusal));
                }
            }
        }
    }

    /// Returns the request for a step; none if nothing is to be done.
    fn request(&mut self, op: &Op) -> Result<Option<Request>, HostError> {
        Ok(match op {
            Op::Add(Object::Address(address)) => {
                let present = self.address(address)?;
                if let Some(foreign) = &mut self.foreign {
                    foreign.check(self.socket, address, present.link)?;
                }
                Some(present.add())
            }
            Op::Remove(Object::Address(address)) => {
                let ours = self.present(address)?.filter(|present| present.protocol == PROTOCOL);
                ours.map(|address| address.delete())
            }
            Op::Add(Object::Route(route)) => Some(self.route(route)?.add()),
            Op::Change { to: Object::Route(route), .. } => Some(self.route(route)?.replace()),
            Op::Remove(Object::Route(route)) => match self.index(&route.link)? {
                Some(_) => Some(self.route(route)?.delete()),
                None => None,
            },
            // An address is its own key: there is nothing to change.
            _ => None,
        })
    }

    /// Decides whether a refused step is done all the same, or does it another way.
    fn forgive(&mut self, op: &Op, refusal: &Refusal) -> Result<(), HostError> {
        let absent = [libc::EADDRNOTAVAIL, libc::ESRCH, libc::ENODEV].contains(&refusal.errno);
        match op {
            Op::Remove(_) if absent => Ok(()),
            Op::Add(Object::Address(address)) if refusal.errno == libc::EEXIST => match self.present(address)? {
                Some(present) if present.protocol == PROTOCOL => Ok(()),
                Some(_) => Err(HostError::Foreign { what: format!("the {address}") }),
                // IPv6 has one address but once, whatever the length of its prefix.
                None => Err(error::refused(refusal)),
            },
            Op::Add(Object::Route(route)) if refusal.errno == libc::EEXIST => self.replace_ours(route),
            _ => Err(error::refused(refusal)),
        }
    }

    fn known_index(&mut self, name: &IfName) -> Result<u32, HostError> {
        let index = self.index(name)?;
        index.ok_or_else(|| HostError::Missing { what: format!("the interface {name} in {}", self.place) })
    }

    fn address(&mut self, address: &Address) -> Result<route::Address, HostError> {
        let flags = if address.prefix.addr().is_ipv6() { route::Address::NO_DUPLICATE_DETECTION } else { 0 };
        let index = self.known_index(&address.link)?;
        Ok(route::Address { protocol: PROTOCOL, flags, ..route::Address::new(index, address.prefix) })
    }

    /// Returns an address as the kernel has it, whoever added it.
    fn present(&mut self, address: &Address) -> Result<Option<route::Address>, HostError> {
        let Some(index) = self.index(&address.link)? else { return Ok(None) };
        let present = match addresses(self.socket, Some(index)) {
            Err(pontoon_netlink::Error::Refused(refusal)) if refusal.errno == libc::ENODEV => return Ok(None),
            other => other.map_err(|e| error::failed(&e))?,
        };
        Ok(present.into_iter().find(|a| a.prefix == address.prefix))
    }

    fn route(&mut self, wanted: &Route) -> Result<route::Route, HostError> {
        let on_link = wanted.via.is_none() && wanted.to.addr().is_ipv4();
        Ok(route::Route {
            gateway: wanted.via,
            link: Some(self.known_index(&wanted.link)?),
            scope: if on_link { RouteScope::Link } else { RouteScope::Universe },
            protocol: PROTOCOL,
            ..route::Route::new(wanted.to)
        })
    }

    /// Puts a route in the place of one of ours to the same destination.
    fn replace_ours(&mut self, wanted: &Route) -> Result<(), HostError> {
        let family = if wanted.to.addr().is_ipv6() { Family::V6 } else { Family::V4 };
        let filter = RouteFilter { family, table: Some(TABLE_MAIN), link: None, protocol: Some(PROTOCOL) };
        let present = routes(self.socket, &filter).map_err(|e| error::failed(&e))?;
        if !present.iter().any(|route| route.protocol == PROTOCOL && route.destination == wanted.to.trunc()) {
            return Err(HostError::Foreign { what: format!("a {wanted}") });
        }
        let route = self.route(wanted)?;
        self.socket.request(&route.replace()).map_err(|e| error::failed(&e))
    }
}
