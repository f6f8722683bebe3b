//! What subscribers are told.

use expect_test::expect;
use pontoon::{EVENT_CAPACITY, EndpointSpec, Event, NetworkSpec, SandboxSpec, Subscription};

use crate::fixture::Lab;

fn told(subscription: &Subscription) -> Vec<Event> {
    std::iter::from_fn(|| subscription.try_recv().ok()).collect()
}

/// Returns an event without its ids, which are random.
fn words(event: &Event) -> String {
    match event {
        Event::NetworkCreated { name, .. } => format!("network {name} created\n"),
        Event::NetworkRemoved { name, .. } => format!("network {name} removed\n"),
        Event::EndpointCreated { name, .. } => format!("endpoint {name} created\n"),
        Event::EndpointRemoved { name, .. } => format!("endpoint {name} removed\n"),
        Event::SandboxCreated { name, .. } => format!("sandbox {name} created\n"),
        Event::SandboxRemoved { name, .. } => format!("sandbox {name} removed\n"),
        Event::Joined { .. } => "joined\n".to_owned(),
        Event::Left { .. } => "left\n".to_owned(),
        Event::PortsChanged { bindings, opened, .. } => format!("{bindings} bindings, {opened} open\n"),
        other => format!("{other:?}\n"),
    }
}

#[test]
fn what_happens_is_told_in_order() {
    let lab = Lab::new();
    let events = lab.controller.events();
    let network = lab.network(NetworkSpec::new("front").subnet("10.1.0.0/24".parse().unwrap()));
    let web = lab.controller.create_sandbox(SandboxSpec::new("web")).unwrap();
    let spec = EndpointSpec::new("web").publish("8080:80".parse().unwrap());
    let endpoint = lab.joined(&network, spec, &web);
    lab.host.delete_route(pontoon::objects::Place::Sandbox(web.id()), "0.0.0.0/0".parse().unwrap());
    lab.controller.repair().unwrap();
    endpoint.leave(&web).unwrap();
    endpoint.delete(false).unwrap();
    web.delete().unwrap();
    network.delete().unwrap();
    let told: String = told(&events).iter().map(words).collect();
    expect![[r#"
        network front created
        sandbox web created
        endpoint web created
        joined
        1 bindings, 0 open
        DriftRepaired { step: "+ route 0.0.0.0/0 via 10.1.0.1 on eth0 in sandbox web" }
        left
        0 bindings, 0 open
        endpoint web removed
        sandbox web removed
        network front removed
    "#]]
    .assert_eq(&told.replace(&web.id().short(), "web"));
}

#[test]
fn a_subscriber_that_does_not_read_stops_nobody_and_learns_what_it_missed() {
    let lab = Lab::new();
    let events = lab.controller.events();
    // Two events each.
    let rounds = EVENT_CAPACITY / 2 + 10;
    for _ in 0..rounds {
        lab.sandbox("web").delete().unwrap();
    }
    let told = told(&events);
    assert_eq!(told[0], Event::Lagged { missed: 20 });
    assert_eq!(told.len(), 1 + EVENT_CAPACITY);
    assert!(matches!(told.last(), Some(Event::SandboxRemoved { .. })));
}
