//! Subnets as users ask for them.

use super::pool;
use crate::error::Kind;
use crate::ipam::*;

fn parse(subnet: &str, range: &str, gateway: &str) -> Result<PoolRequest, IpamError> {
    let text = PoolText { subnet: subnet.to_owned(), range: range.to_owned(), gateway: gateway.to_owned() };
    parse_pool(Family::V4, &text)
}

fn shown(result: Result<PoolRequest, IpamError>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(request) => {
            let gateway = request.gateway.map_or(String::new(), |ip| format!(" via {ip}"));
            match request.subnet {
                Subnet::Static(pool) => format!("{pool}{gateway}"),
                Subnet::Dynamic { family, size } => format!("any {family} {size:?}{gateway}"),
            }
        }
    }
}

/// Upstream `TestPredefinedPool`, `…WithPreferredSubnetSize`, `TestAddSubnets`, `TestRequestSyntaxCheck`.
#[test]
fn reads_and_refuses() {
    let check = |subnet, range, gateway, expected: &str| assert_eq!(shown(parse(subnet, range, gateway)), expected);
    check("", "", "", "any IPv4 None");
    check("0.0.0.0/24", "", "", "any IPv4 Some(24)");
    check("0.0.0.0/0", "", "", "any IPv4 None");
    check("::/64", "", "", "any IPv6 Some(64)");
    check("::ffff:0.0.0.0/120", "", "", "any IPv4 Some(24)");
    check("10.1.0.0/16", "", "10.1.0.1", "10.1.0.0/16 via 10.1.0.1");
    check("::ffff:10.1.0.0/112", "", "::ffff:10.1.0.1", "10.1.0.0/16 via 10.1.0.1");
    check("fd00::/64", "fd00::8000/113", "fd00::1", "fd00::/64 (range fd00::8000/113) via fd00::1");
    check("10.1.0.0/16", "10.1.2.0/24", "10.1.0.1", "10.1.0.0/16 (range 10.1.2.0/24) via 10.1.0.1");
    // A range that covers the subnet is no limit.
    check("10.1.0.0/16", "10.1.0.0/16", "", "10.1.0.0/16");
    check("10.1.0.0/16", "10.0.0.0/8", "", "10.1.0.0/16");

    let syntax = "write an address and a prefix length, such as 10.1.0.0/16";
    for bad in ["/24", "0.0.0.0/AB", "10.0.0.0/33", "10.0.0/24", "fd00::/129", "ten", "10.0.0.0/ 8", "10.0.0.0/-1"] {
        check(bad, "", "", &format!("invalid address pool: `{bad}` is not a subnet ({syntax})"));
    }
    check("10.0.0.0", "", "", "invalid address pool: `10.0.0.0` is not a subnet (add a prefix length, such as /24)");
    check(
        "10.1.2.3/16",
        "",
        "",
        "invalid subnet: 10.1.2.3/16 has bits set after its prefix length, it should be 10.1.0.0/16",
    );
    check(
        "0.0.0.5/24",
        "",
        "",
        "invalid subnet: 0.0.0.5/24 has bits set after its prefix length, it should be 0.0.0.0/24",
    );
    check(
        "10.1.0.0/16",
        "10.1.2.3/24",
        "",
        "invalid range: 10.1.2.3/24 has bits set after its prefix length, it should be 10.1.2.0/24",
    );
    check("10.1.0.0/16", "x", "", &format!("invalid address subpool: `x` is not a range ({syntax})"));
    check(
        "10.1.0.0/16",
        "10.2.0.0/24",
        "",
        "invalid address subpool: 10.2.0.0/24 is not inside the subnet 10.1.0.0/16",
    );
    check(
        "10.1.0.0/16",
        "fd00::/64",
        "",
        "pool and subpool are of incompatible address families: 10.1.0.0/16 and fd00::/64",
    );
    check("", "10.1.2.0/24", "", "invalid address subpool: 10.1.2.0/24 needs a subnet that holds it, give one");
    check(
        "0.0.0.0/16",
        "10.1.2.0/24",
        "",
        "invalid address subpool: 10.1.2.0/24 needs a subnet that holds it, give one",
    );
    check("", "", "10.0.0.1", "gateway 10.0.0.1 needs a subnet that holds it, give one");
    check("10.1.0.0/16", "", "10.2.0.1", "gateway 10.2.0.1 is not in the subnet 10.1.0.0/16, choose one inside it");
    check("10.1.0.0/16", "", "fd00::1", "gateway fd00::1 is not in the subnet 10.1.0.0/16, choose one inside it");
    check("10.1.0.0/16", "", "10.1", "invalid gateway: `10.1` is not an IP address");
    assert_eq!(parse("x", "", "").map_err(|error| error.kind()), Err(Kind::Invalid));
}

/// Upstream `TestKeyString`: what is written to a record is read back.
#[test]
fn requests_survive_a_record() {
    for request in [
        parse("", "", ""),
        parse("0.0.0.0/24", "", ""),
        parse("10.1.0.0/16", "10.1.2.0/24", "10.1.0.1"),
        parse("fd00::/64", "", ""),
    ] {
        let request = request.expect("valid");
        let text = serde_json::to_string(&request).expect("JSON");
        assert_eq!(serde_json::from_str::<PoolRequest>(&text).expect("read back"), request, "{text}");
    }
    let text = serde_json::to_string(&parse("10.1.0.0/16", "", "").expect("valid")).expect("JSON");
    assert_eq!(text, r#"{"subnet":{"static":{"prefix":"10.1.0.0/16"}}}"#);
}

/// Upstream `TestOverlappingRequests`, `TestAddSubnets`, `TestRequestFromSamePool`, `TestAddReleasePoolID`.
#[test]
fn overlap() {
    let check = |allocated: &str, asked: &str, free: bool| {
        let allocated: Vec<Pool> = allocated.split_whitespace().map(pool).collect();
        let result = check_overlap(&pool(asked), &allocated);
        assert_eq!(result.is_ok(), free, "{asked} among {allocated:?}: {result:?}");
        assert!(result.is_ok_and(|()| true) || check_kind(&pool(asked), &allocated));
    };
    // Whole subnets: exact, partial and containing matches, neighbours on either side.
    for (one, other, free) in [
        ("10.0.0.0/8", "10.0.0.0/8", false),
        ("10.0.0.0/8", "10.0.0.0/16", false),
        ("10.0.0.0/8", "10.255.255.255/32", false),
        ("10.0.0.0/8", "0.0.0.0/1", false),
        ("10.0.0.0/8", "11.0.0.0/8", true),
        ("10.0.0.0/8", "9.0.0.0/8", true),
        ("192.168.0.0/20", "192.168.1.0/24", false),
        ("192.168.0.0/20", "192.168.16.0/24", true),
        ("192.168.0.0/20", "192.168.15.255/32", false),
        ("ea1:c39::/64", "ea1:c39::/48", false),
        ("ea1:c39::/64", "ea1:c39::/80", false),
        ("ea1:c39::/64", "ea1:c39:0:1::/64", true),
        ("ea1:c39::/64", "ea1:c38:ffff:ffff::/64", true),
        ("::/1", "0.0.0.0/1", true),
    ] {
        check(one, other, free);
        check(other, one, free);
        check(&format!("200.0.0.0/24 {one} fdff::/64"), other, free);
    }
    // Ranges of the very same subnet, also where they overlap; no other mixture.
    check("10.0.0.0/8>10.10.0.0/16", "10.0.0.0/8>10.10.0.0/16", false);
    check("10.0.0.0/8>10.10.0.0/16", "10.0.0.0/8>10.10.0.0/17", true);
    check("10.0.0.0/8>10.10.0.0/16", "10.0.0.0/8>10.11.0.0/16", true);
    check("10.0.0.0/8", "10.0.0.0/8>10.11.0.0/16", true);
    check("10.0.0.0/8>10.11.0.0/16", "10.0.0.0/8", false);
    check("10.0.0.0/8>10.11.0.0/16", "10.0.0.0/9>10.12.0.0/16", false);
    check("", "10.0.0.0/8", true);
}

fn check_kind(asked: &Pool, allocated: &[Pool]) -> bool {
    check_overlap(asked, allocated).is_err_and(|error| {
        error.kind() == Kind::Forbidden
            && error.to_string().starts_with("Pool overlaps with other one on this address space: ")
    })
}
