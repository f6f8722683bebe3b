//! Random steps.

use pontoon_core::engine::Environment;
use pontoon_core::objects::{Bridge, Object, Op, Place, Veth};
use pontoon_testkit::{FakeHost, TestEnvironment};

use crate::things::{PAIRS, SANDBOXES, address, bridge, change, inside, namespace, observe, route, veth};

/// Draws steps from a world of few names, so that they collide.
pub(crate) struct Dice(pub(crate) TestEnvironment);

impl Dice {
    fn below(&self, n: usize) -> usize {
        let mut byte = [0; 2];
        self.0.random(&mut byte);
        usize::from(u16::from_be_bytes(byte)) % n
    }

    fn pick<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn is(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn bridge(&self) -> Bridge {
        let mtu = self.pick(&[1500, 1500, 1400, 1000]).try_into().unwrap();
        let of = self.pick(&["br0", "br1"]);
        // A bridge with a small MTU has no IPv6 setting to compare.
        let ipv6 = mtu == 1000.try_into().unwrap() || self.is(70);
        Bridge { mtu, route_localnet: self.is(50), ipv6, ..bridge(of) }
    }

    fn veth(&self) -> Veth {
        let (of, digit) = self.pick(&PAIRS);
        let mtu = self.pick(&[1500, 1500, 1400, 1000]).try_into().unwrap();
        let peer = self.pick(&["eth0", "eth1"]);
        Veth { mtu, isolated: self.is(50), hairpin: self.is(50), ..veth(of, self.pick(&["br0", "br1"]), digit, peer) }
    }

    fn place(&self) -> (Place, &'static str) {
        self.pick(&[
            (Place::Host, "br0"),
            (Place::Host, "br1"),
            (inside('a'), "eth0"),
            (inside('a'), "eth1"),
            (inside('b'), "eth0"),
        ])
    }

    fn object(&self) -> Object {
        match self.below(11) {
            0 => namespace(self.pick(&SANDBOXES)),
            1 => self.bridge().into(),
            2 | 3 => self.veth().into(),
            4..=6 => {
                let (place, link) = self.place();
                let prefixes =
                    ["10.1.0.1/24", "10.1.0.2/24", "10.1.0.1/16", "10.2.0.1/24", "10.3.0.1/32", "fd01::1/64"];
                address(place, link, self.pick(&[&prefixes[..], &["fd01::2/64", "fd01::1/96", "fd02::1/64"]].concat()))
            }
            _ => {
                let (place, link) = self.place();
                let (to, via) = self.pick(&[
                    ("0.0.0.0/0", "10.1.0.1"),
                    ("0.0.0.0/0", "10.2.0.254"),
                    ("10.1.0.0/24", ""),
                    ("10.7.0.0/16", ""),
                    ("10.8.0.0/16", "10.7.0.1"),
                    ("10.8.0.0/16", "10.1.0.255"),
                    ("10.9.0.0/16", "10.8.0.1"),
                    ("10.9.0.1/16", "10.1.0.9"),
                    ("::/0", "fd01::1"),
                    ("::/0", "fd02::9"),
                    ("::/0", "fe80::1"),
                    ("fd01::/64", ""),
                    ("fd07::/64", ""),
                    ("fd08::/64", "fd07::1"),
                    ("fd09::/64", "fd08::1"),
                    ("fd01::/80", "fd02::7"),
                ]);
                route(place, to, via, link)
            }
        }
    }

    /// Mostly adds; changes of what is there; removals of what is there and of what is not.
    pub(crate) fn op(&self, host: &FakeHost) -> Op {
        let present: Vec<Object> = observe(host, &SANDBOXES).iter().cloned().collect();
        match self.below(10) {
            0..=6 => Op::Add(self.object()),
            7 if !present.is_empty() => match self.pick(&present) {
                Object::Bridge(from) => change(from.clone(), Bridge { name: from.name, ..self.bridge() }),
                Object::Veth(from) => {
                    change(from.clone(), Veth { name: from.name, sandbox: from.sandbox, ..self.veth() })
                }
                other => Op::Remove(other),
            },
            8 if !present.is_empty() => Op::Remove(self.pick(&present)),
            _ => Op::Remove(self.object()),
        }
    }
}
