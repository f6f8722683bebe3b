//! The laws that make one `render` enough for create, delete, rollback, restore and repair.

use pontoon_core::model::{IfName, MacAddr, Mtu, NamespaceSource, Rate, SandboxId};
use pontoon_core::objects::{
    Address, Advertise, Bridge, Direction, Element, Held, Limit, Namespace, Object, Objects, Op, Place, Plan, Redirect,
    Route, Sysctl, Tenure, Veth,
};
use pontoon_core::ports::PortProto;
use proptest::prelude::*;

fn sandbox(n: u8) -> SandboxId {
    SandboxId::draw(|bytes| bytes.fill(0xa0 + n))
}

fn name(prefix: &str, n: u8) -> IfName {
    IfName::new(format!("{prefix}{n}")).unwrap()
}

/// Objects from a universe so small that sets of them collide.
fn object() -> impl Strategy<Value = Object> {
    let small = || 0_u8..3;
    prop_oneof![
        small().prop_map(|n| Namespace { sandbox: sandbox(n), source: NamespaceSource::New }.into()),
        (small(), any::<bool>()).prop_map(|(n, ipv6)| {
            let mac = MacAddr::new([2, 0, 0, 0, 0, n]).unwrap();
            Bridge { name: name("br", n), mac, mtu: Mtu::ETHERNET, route_localnet: false, ipv6, flaw: None }.into()
        }),
        (small(), small(), any::<bool>()).prop_map(|(n, s, isolated)| {
            let mac = MacAddr::new([2, 0, 0, 0, 1, n]).unwrap();
            let (bridge, peer) = (Some(name("br", 0)), name("eth", n));
            Veth {
                name: name("pv", n),
                bridge,
                mtu: Mtu::ETHERNET,
                sandbox: sandbox(s),
                peer,
                mac,
                isolated,
                hairpin: true,
                advertise: Some(Advertise::DEFAULT),
                flaw: None,
            }
            .into()
        }),
        (small(), small(), any::<bool>())
            .prop_map(|(s, link, on)| { Sysctl::ipv6(Place::Sandbox(sandbox(s)), &name("eth", link), on).into() }),
        (small(), small(), small()).prop_map(|(s, link, n)| {
            let prefix = format!("10.0.{n}.1/24").parse().unwrap();
            Address { place: Place::Sandbox(sandbox(s)), link: name("eth", link), prefix }.into()
        }),
        (small(), small()).prop_map(|(s, link)| {
            let via = "10.0.0.254".parse().ok();
            Route { place: Place::Sandbox(sandbox(s)), to: "0.0.0.0/0".parse().unwrap(), via, link: name("eth", link) }
                .into()
        }),
        (small(), any::<bool>()).prop_map(|(n, inwards)| {
            let direction = if inwards { Direction::In } else { Direction::Out };
            Limit { link: name("pv", n), direction, rate: Rate::MIN, damaged: false }.into()
        }),
        small().prop_map(|n| Element::SameBridge(name("br", n)).into()),
        (small(), 1_u16..3).prop_map(|(s, port)| Redirect { sandbox: sandbox(s), port }.into()),
        (small(), 1_u16..4).prop_map(|(n, count)| {
            Held { proto: PortProto::Tcp, ip: "0.0.0.0".parse().unwrap(), port: 80 + u16::from(n), count }.into()
        }),
        any::<bool>().prop_map(|on| {
            let (name, value) = ("net.ipv4.ip_forward".to_owned(), u8::from(on).to_string());
            Sysctl { place: Place::Host, name, value, tenure: Tenure::Ensure }.into()
        }),
    ]
}

/// A set that could be on a host: nothing is in a container that is not there.
fn objects() -> impl Strategy<Value = Objects> {
    prop::collection::vec(object(), 0..20).prop_map(|all| {
        let mut set: Objects = all.into_iter().collect();
        for _ in 0..2 {
            let known: Vec<Object> = set.iter().cloned().collect();
            set.retain(|object| match object {
                Object::Veth(veth) => {
                    known.iter().any(|o| matches!(o, Object::Namespace(n) if n.sandbox == veth.sandbox))
                }
                Object::Limit(limit) => {
                    known.iter().any(|o| matches!(o, Object::Veth(veth) if veth.name == limit.link))
                }
                Object::Redirect(redirect) => {
                    known.iter().any(|o| matches!(o, Object::Namespace(n) if n.sandbox == redirect.sandbox))
                }
                Object::Sysctl(Sysctl { tenure: Tenure::Own, .. }) | Object::Address(_) | Object::Route(_) => {
                    known.iter().any(|o| matches!(o, Object::Veth(_)) && object.goes_with(o))
                }
                _ => true,
            });
        }
        set
    })
}

proptest! {
    #[test]
    fn nothing_lies_between_a_set_and_itself(a in objects()) {
        prop_assert!(Plan::between(&a, &a).is_empty());
    }

    #[test]
    fn a_plan_leads_where_it_should(a in objects(), b in objects()) {
        prop_assert_eq!(Plan::between(&a, &b).applied_to(&a), b);
    }

    #[test]
    fn the_inverse_of_the_inverse_is_the_plan(a in objects(), b in objects()) {
        let plan = Plan::between(&a, &b);
        prop_assert_eq!(plan.inverse().inverse(), plan);
    }

    /// What goes with a container is not listed by itself, so only plans without final steps are undone by their inverse;
    /// the others are undone never, and that is what "final" says.
    #[test]
    fn the_inverse_undoes(a in objects(), b in objects()) {
        let (revertible, _) = Plan::between(&a, &b).split();
        let there = revertible.applied_to(&a);
        prop_assert_eq!(revertible.inverse().applied_to(&there), a);
    }

    #[test]
    fn protection_comes_before_connection_and_openings_last(a in objects(), b in objects()) {
        let plan = Plan::between(&a, &b);
        let made: Vec<_> = plan.ops().iter().filter(|op| !matches!(op, Op::Remove(_))).map(|op| op.object().rank()).collect();
        let removed: Vec<_> = plan.ops().iter().filter(|op| matches!(op, Op::Remove(_))).map(|op| op.object().rank()).collect();
        prop_assert!(made.is_sorted());
        prop_assert!(removed.iter().rev().is_sorted());
    }

    #[test]
    fn the_final_steps_are_those_that_cannot_be_undone(a in objects(), b in objects()) {
        let (before, after) = Plan::between(&a, &b).split();
        prop_assert!(before.ops().iter().all(|op| !op.is_final()));
        prop_assert!(after.ops().iter().all(Op::is_final));
    }

    #[test]
    fn objects_survive_the_store(object in object()) {
        let text = serde_json::to_string(&object).unwrap();
        prop_assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), object);
    }
}
