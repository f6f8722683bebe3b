//! One step of a plan. A step happens or does not; removing what is gone already succeeds.

use pontoon_core::engine::HostError;
use pontoon_core::objects::{Object, Op};

use super::world::World;

impl World {
    pub(super) fn step(&mut self, op: &Op) -> Result<(), HostError> {
        match op {
            Op::Add(object) => self.add(object),
            Op::Remove(object) => self.remove(object),
            Op::Change { from, to } => self.change(from, to),
        }
    }

    fn add(&mut self, object: &Object) -> Result<(), HostError> {
        match object {
            Object::Sysctl(o) => self.add_sysctl(o),
            Object::Ruleset(o) => self.add_ruleset(o),
            Object::Namespace(o) => self.add_namespace(o),
            Object::File(o) => {
                self.write_file(o);
                Ok(())
            }
            Object::Bridge(o) => self.add_bridge(o),
            Object::Element(o) => self.add_element(o),
            Object::Address(o) => self.add_address(o),
            Object::Veth(o) => self.add_veth(o),
            Object::Limit(o) => self.set_limit(o),
            Object::Route(o) => self.add_route(o),
            Object::Redirect(o) => self.add_redirect(o),
            Object::Held(o) => self.add_held(o),
            Object::FirewallBridge(_) | Object::Published(_) | Object::Opened(_) => Err(neutral(object)),
        }
    }

    fn remove(&mut self, object: &Object) -> Result<(), HostError> {
        match object {
            // The original is in the ledger; who wants it back says so by a change.
            Object::Sysctl(_) => {}
            Object::Ruleset(_) => self.table = None,
            Object::Namespace(o) => self.remove_namespace(o.sandbox),
            Object::File(o) => self.remove_file(o),
            Object::Bridge(o) => self.remove_own_link(&o.name),
            Object::Element(o) => self.remove_element(o),
            Object::Address(o) => self.remove_address(o),
            Object::Veth(o) => self.remove_own_link(&o.name),
            Object::Limit(o) => self.remove_limit(o),
            Object::Route(o) => self.remove_route(o),
            Object::Redirect(o) => self.remove_redirect(o),
            Object::Held(o) => self.remove_held(o),
            Object::FirewallBridge(_) | Object::Published(_) | Object::Opened(_) => return Err(neutral(object)),
        }
        Ok(())
    }

    fn change(&mut self, from: &Object, to: &Object) -> Result<(), HostError> {
        match (from, to) {
            (Object::Sysctl(from), Object::Sysctl(to)) => self.change_sysctl(from, to),
            (Object::Ruleset(_), Object::Ruleset(to)) => {
                self.change_ruleset(to);
                Ok(())
            }
            (Object::File(_), Object::File(to)) => {
                self.write_file(to);
                Ok(())
            }
            (Object::Bridge(_), Object::Bridge(to)) => self.change_bridge(to),
            (Object::Element(from), Object::Element(to)) => self.change_element(from, to),
            (Object::Veth(_), Object::Veth(to)) => self.change_veth(to),
            (Object::Route(_), Object::Route(to)) => self.change_route(to),
            (Object::Limit(_), Object::Limit(to)) => self.set_limit(to),
            (Object::Redirect(_), Object::Redirect(to)) => self.add_redirect(to),
            (Object::Held(_), Object::Held(to)) => self.change_held(to),
            _ => Err(HostError::Unsupported { what: format!("changing {from} to {to}") }),
        }
    }
}

fn neutral(object: &Object) -> HostError {
    HostError::Unsupported { what: format!("a way to hold {object}: lower it first") }
}
