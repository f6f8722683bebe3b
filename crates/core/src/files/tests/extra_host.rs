//! Extra hosts: read, refused, and kept.

use crate::files::{ExtraHost, HostAddress};

use super::ip;

#[test]
fn a_host_is_a_name_and_an_address() {
    let read = |text: &str| {
        let host: ExtraHost = text.parse().expect("an extra host");
        (host.name().to_owned(), host.address(), host.to_string())
    };
    let address = |text: &str| HostAddress::Ip(ip(text));
    assert_eq!(read("db:192.0.2.7"), ("db".to_owned(), address("192.0.2.7"), "db:192.0.2.7".to_owned()));
    assert_eq!(read("db=192.0.2.7"), read("db:192.0.2.7"));
    assert_eq!(read("db:2001:db8::7"), ("db".to_owned(), address("2001:db8::7"), "db:2001:db8::7".to_owned()));
    assert_eq!(read("db:[2001:db8::7]"), read("db:2001:db8::7"));
    assert_eq!(read("me:host-gateway"), ("me".to_owned(), HostAddress::Gateway, "me:host-gateway".to_owned()));
}

#[test]
fn what_is_none_is_refused() {
    let refused = |text: &str| text.parse::<ExtraHost>().expect_err("refused").to_string();
    let form = "write NAME:ADDRESS, such as db:192.0.2.7 or host.internal:host-gateway";
    for text in ["", "db", "db:", "db:192.0.2", "db:here", ":[::1"] {
        assert_eq!(refused(text), format!("invalid hosts entry {text:?}: {form}"));
    }
    let word = "a host name is one word without control characters and `#`";
    assert_eq!(refused(":192.0.2.7"), format!("invalid hosts entry \":192.0.2.7\": {word}"));
    assert_eq!(refused("a b:192.0.2.7"), format!("invalid hosts entry \"a b:192.0.2.7\": {word}"));
    assert_eq!(refused("a\n:192.0.2.7"), format!("invalid hosts entry \"a\\n:192.0.2.7\": {word}"));
    assert_eq!(refused("a#:192.0.2.7"), format!("invalid hosts entry \"a#:192.0.2.7\": {word}"));
}

#[test]
fn it_is_a_text_in_records() {
    for text in ["db:192.0.2.7", "db:2001:db8::7", "me:host-gateway"] {
        let host: ExtraHost = text.parse().expect("an extra host");
        let record = serde_json::to_string(&host).expect("plain data");
        assert_eq!(record, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<ExtraHost>(&record).expect("the same"), host);
    }
}
