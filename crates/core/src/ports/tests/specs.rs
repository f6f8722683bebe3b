//! Port specifications as users write them.

use ipnet::IpNet;
use proptest::prelude::*;

use crate::error::Kind;
use crate::ports::*;

#[test]
fn reads_and_writes() {
    let check = |text: &str, host: &str, written: &str| {
        let spec: PortSpec = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let host_text = match spec.host() {
            HostPort::Ephemeral => "any".to_owned(),
            HostPort::Exactly(range) => format!("{range}"),
            HostPort::FirstOf(range) => format!("first of {range}"),
        };
        assert_eq!((host_text.as_str(), spec.to_string().as_str()), (host, written), "{text}");
        assert_eq!(written.parse::<PortSpec>().as_ref(), Ok(&spec), "{written}");
        let json = serde_json::to_string(&spec).expect("JSON");
        assert_eq!(json, format!("\"{written}\""));
        assert_eq!(serde_json::from_str::<PortSpec>(&json).expect("read back"), spec);
    };
    check("80", "any", "80/tcp");
    check("80/udp", "any", "80/udp");
    check("80/TCP", "any", "80/tcp");
    check("0:80", "any", "80/tcp");
    check(":80", "any", "80/tcp");
    check("8080:80", "8080", "8080:80/tcp");
    check("8080:80/sctp", "8080", "8080:80/sctp");
    check("80-89", "any", "80-89/tcp");
    check("8080-8089:80-89", "8080-8089", "8080-8089:80-89/tcp");
    check("8080-8089:80", "first of 8080-8089", "8080-8089:80/tcp");
    check("1-65535:1-65535", "1-65535", "1-65535:1-65535/tcp");
    check("127.0.0.1:8080:80", "8080", "127.0.0.1:8080:80/tcp");
    check("127.0.0.1::80", "any", "127.0.0.1::80/tcp");
    check("127.0.0.1:80", "any", "127.0.0.1::80/tcp");
    check("0.0.0.0:0:80", "any", "0.0.0.0::80/tcp");
    check("[::1]:8080:80/udp", "8080", "[::1]:8080:80/udp");
    check("[::]:80", "any", "[::]::80/tcp");
    check("[::ffff:127.0.0.1]:8080:80", "8080", "127.0.0.1:8080:80/tcp");
    check("8080:80;from=10.0.0.0/8", "8080", "8080:80/tcp;from=10.0.0.0/8");
    check("80;from=192.0.2.1", "any", "80/tcp;from=192.0.2.1/32");
    check("[::1]:1:1;from=fd00::/8;from=fe80::/10", "1", "[::1]:1:1/tcp;from=fd00::/8;from=fe80::/10");
    check("8080:80/tcp;proxy-protocol;from=10.0.0.0/8", "8080", "8080:80/tcp;from=10.0.0.0/8;proxy-protocol");
}

/// Upstream `TestUnknowProtocol` and the refused ranges.
#[test]
fn refuses_and_names_the_value() {
    let check = |text: &str, expected: &str| {
        let error = PortSpec::parse_list(text).expect_err(text);
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert_eq!(error.kind(), Kind::Invalid);
    };
    check("", "invalid port ``");
    check("80,", "invalid port ``");
    check("http", "`http`");
    check("70000", "`70000`");
    check("+80", "`+80`");
    check("80-", "`80-`");
    check("-80", "`-80`");
    check("1-2-3", "`1-2-3`");
    check("0", "invalid port 0: ports start at 1");
    check("0-5:0-5", "invalid port 0-5");
    check("90-80", "invalid port range 90-80: it ends before it starts, did you mean 80-90");
    check("8090-8080:80", "8090-8080");
    check(
        "8080-8082:80-81",
        "host port range 8080-8082 and container port range 80-81 differ in length: 3 and 2 ports",
    );
    check("8080:80-81", "8080 and container port range 80-81");
    check("80/icmp", "unknown protocol `icmp`");
    check("80/", "unknown protocol ``");
    check("1.2.3:80:80", "invalid host address `1.2.3`");
    check("host:80:80", "invalid host address `host`");
    check("[::1:80", "invalid host address `[::1:80`");
    check("[1.2.3.4]:80", "invalid host address `1.2.3.4`");
    check("::1:80:80", "invalid port specification `::1:80:80`");
    check("1.2.3.4:5:6:7", "invalid port specification `1.2.3.4:5:6:7`");
    check("80;nat", "unknown port option `nat`");
    check("80;proxy-protocol=1", "unknown port option `proxy-protocol=1`");
    check("80;", "unknown port option ``");
    check("80;from=here", "invalid source `here`");
    check("80;from=10.1.0.0/8", "it should be 10.0.0.0/8");
    check("[::1]:80:80;from=10.0.0.0/8", "it can never reach the IPv6 address ::1");
    check("53/udp;proxy-protocol", "proxy-protocol needs tcp, not udp");
}

#[test]
fn reads_a_list() {
    let list = PortSpec::parse_list("80, 443:443/udp,[::1]:1:1").expect("valid");
    assert_eq!(list.iter().map(PortSpec::to_string).collect::<Vec<_>>(), ["80/tcp", "443:443/udp", "[::1]:1:1/tcp"]);
}

#[test]
fn protocols() {
    let numbers = PortProto::ALL.map(PortProto::number);
    assert_eq!(numbers, [6, 17, 132]);
    assert_eq!(serde_json::to_string(&PortProto::ALL).expect("JSON"), r#"["tcp","udp","sctp"]"#);
    assert!(serde_json::from_str::<PortRange>("[9,3]").is_err());
}

fn range() -> impl Strategy<Value = PortRange> {
    (1u16..=65535, 0u16..50)
        .prop_map(|(first, more)| PortRange::new(first, first.saturating_add(more)).expect("in order"))
}

fn spec() -> impl Strategy<Value = PortSpec> {
    let host = (0u8..3, 1u16..=65535, 1u16..50);
    let from = prop::collection::vec(any::<(bool, u128, u8)>(), 0..3);
    (range(), host, prop::sample::select(&PortProto::ALL[..]), any::<Option<std::net::IpAddr>>(), from, any::<bool>())
        .prop_map(|(container, (kind, first, more), proto, ip, from, proxy)| {
            let mut spec = PortSpec::new(container, proto);
            let length = if kind == 1 { container.count() } else { more };
            let last = first.saturating_add(length - 1);
            if kind > 0
                && let Ok(with) = spec.clone().with_host_ports(PortRange::new(first, last).expect("in order"))
            {
                spec = with;
            }
            if let Some(ip) = ip {
                spec = spec.with_host_ip(ip).expect("no source yet");
            }
            for (v4, bits, length) in from {
                let net = if v4 {
                    IpNet::new_assert(std::net::Ipv4Addr::from_bits(bits as u32).into(), length % 33)
                } else {
                    IpNet::new_assert(std::net::Ipv6Addr::from_bits(bits).into(), length % 129)
                };
                spec = spec.clone().with_source(net.trunc()).unwrap_or(spec);
            }
            if proxy { spec.clone().with_proxy_protocol().unwrap_or(spec) } else { spec }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(spec in spec()) {
        prop_assert_eq!(spec.to_string().parse::<PortSpec>(), Ok(spec));
    }

    #[test]
    fn no_text_panics(text in "[-0-9.:/;,a-z\\[\\]=]{0,24}") {
        if let Ok(list) = PortSpec::parse_list(&text) {
            for spec in list {
                prop_assert_eq!(spec.to_string().parse::<PortSpec>(), Ok(spec));
            }
        }
    }
}
