//! The choice of addresses in one pool.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{ip, pool};
use crate::error::Kind;
use crate::ipam::*;

/// Takes addresses until the pool refuses, at most `limit`.
fn take_all(used: &mut AddressSet, pool: &Pool, limit: usize) -> Vec<String> {
    let mut taken = Vec::new();
    while taken.len() < limit {
        match choose_address(used, pool, None, Order::Lowest) {
            Ok(address) => {
                assert!(used.insert(address), "{address} given twice");
                taken.push(address.to_string());
            }
            Err(error) => {
                assert_eq!(error, IpamError::NoAvailableAddresses { pool: *pool });
                assert_eq!(error.kind(), Kind::Exhausted);
                break;
            }
        }
    }
    taken
}

fn first_and_last(text: &str) -> (usize, String, String) {
    let taken = take_all(&mut AddressSet::new(), &pool(text), 5000);
    let end = |address: Option<&String>| address.cloned().unwrap_or_default();
    (taken.len(), end(taken.first()), end(taken.last()))
}

/// Upstream `TestGetAddress`, `TestRequest`, `TestUnusualSubnets`: lowest first, to the last one, for each length.
#[test]
fn gives_the_lowest_first_for_every_length() {
    let check = |text: &str, count: usize, first: &str, last: &str| {
        assert_eq!(first_and_last(text), (count, first.to_owned(), last.to_owned()), "{text}");
    };
    check("192.168.0.0/21", 2046, "192.168.0.1", "192.168.7.254");
    check("192.168.0.0/24", 254, "192.168.0.1", "192.168.0.254");
    check("192.168.0.0/25", 126, "192.168.0.1", "192.168.0.126");
    check("192.168.0.0/28", 14, "192.168.0.1", "192.168.0.14");
    check("192.168.0.0/29", 6, "192.168.0.1", "192.168.0.6");
    check("192.168.0.0/30", 2, "192.168.0.1", "192.168.0.2");
    check("192.168.0.0/31", 2, "192.168.0.0", "192.168.0.1");
    check("192.168.0.0/32", 1, "192.168.0.0", "192.168.0.0");
    check("fd00::/120", 255, "fd00::1", "fd00::ff");
    check("fd00::/126", 3, "fd00::1", "fd00::3");
    check("fd00::/127", 2, "fd00::", "fd00::1");
    check("fd00::/128", 1, "fd00::", "fd00::");
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    check(&format!("{last}/128"), 1, last, last);
    for length in 11..=20 {
        let text = format!("10.0.0.0/{length}");
        assert_eq!(take_all(&mut AddressSet::new(), &pool(&text), 2), ["10.0.0.1", "10.0.0.2"]);
    }
}

/// Upstream `TestRequestReleaseAddressFromSubPool`, `TestGetAddressSubPoolEqualPool`: a range is used to its ends, which are
/// ordinary addresses of the subnet, except where they are the subnet's own.
#[test]
fn a_range_limits_automatic_choice() {
    assert_eq!(
        first_and_last("172.28.0.0/16>172.28.30.0/24"),
        (256, "172.28.30.0".to_owned(), "172.28.30.255".to_owned())
    );
    assert_eq!(
        first_and_last("172.28.0.0/24>172.28.0.0/25"),
        (127, "172.28.0.1".to_owned(), "172.28.0.127".to_owned())
    );
    assert_eq!(first_and_last("10.0.0.0/24>10.0.0.0/24"), first_and_last("10.0.0.0/24"));
    assert_eq!(first_and_last("10.0.0.0/30>10.0.0.0/32").0, 0);
    let mut used = AddressSet::new();
    let pool = pool("172.28.0.0/16>172.28.30.0/24");
    take_all(&mut used, &pool, 256);
    used.remove(ip("172.28.30.7"));
    assert_eq!(take_all(&mut used, &pool, 9), ["172.28.30.7"]);
    assert_eq!(pool.with_length(ip("172.28.30.7")).to_string(), "172.28.30.7/16");
}

/// Upstream `TestSerializeRequestReleaseAddressFromSubPool`: serial order passes a released address and comes back to it.
#[test]
fn serial_order_continues_and_wraps() {
    let pool = pool("172.28.0.0/16>172.28.30.0/29");
    let mut used = AddressSet::new();
    let mut after = None;
    let mut next = |used: &mut AddressSet| {
        let address = choose_address(used, &pool, None, Order::Serial { after })?;
        after = Some(address);
        used.insert(address);
        Ok::<_, IpamError>(address.to_string())
    };
    assert_eq!(next(&mut used).as_deref(), Ok("172.28.30.0"));
    assert_eq!(next(&mut used).as_deref(), Ok("172.28.30.1"));
    used.remove(ip("172.28.30.0"));
    for last in 2..8 {
        assert_eq!(next(&mut used), Ok(format!("172.28.30.{last}")));
    }
    assert_eq!(next(&mut used).as_deref(), Ok("172.28.30.0"));
    assert!(next(&mut used).is_err());
    used.remove(ip("172.28.30.0"));
    assert_eq!(next(&mut used).as_deref(), Ok("172.28.30.0"), "also where the cursor stands");
}

/// Upstream `TestGetSameAddress`, `TestRequestSyntaxCheck`, `TestUnusualSubnets`.
#[test]
fn a_preferred_address_is_checked() {
    let check = |used: &str, pool_text: &str, wanted: &str, expected: &str| {
        let used: AddressSet = used.split_whitespace().map(ip).collect();
        let result = choose_address(&used, &pool(pool_text), Some(ip(wanted)), Order::Lowest);
        let text = result.map_or_else(|error| error.to_string(), |address| address.to_string());
        assert_eq!(text, expected);
    };
    check("", "192.168.100.0/24", "192.168.100.250", "192.168.100.250");
    check("192.168.100.250", "192.168.100.0/24", "192.168.100.250", "Address already in use: 192.168.100.250");
    check("", "192.168.100.0/24", "::ffff:192.168.100.250", "192.168.100.250");
    check("", "10.0.0.0/16>10.0.1.0/24", "10.0.9.9", "10.0.9.9");
    check("", "10.0.0.0/24", "10.0.0.0", "Address already in use: 10.0.0.0");
    check("", "10.0.0.0/24", "10.0.0.255", "Address already in use: 10.0.0.255");
    check("", "fd00::/64", "fd00::", "Address already in use: fd00::");
    check("", "fd00::/120", "fd00::ff", "fd00::ff");
    check("", "10.0.0.2/31", "10.0.0.4", "requested address is out of range: 10.0.0.4 is not in 10.0.0.2/31");
    check("", "10.0.0.0/24", "fd00::1", "requested address is out of range: fd00::1 is not in 10.0.0.0/24");
}

#[test]
fn gateway_is_the_lowest_or_the_one_asked_for() {
    let used: AddressSet = [ip("10.0.0.7")].into_iter().collect();
    let pool = pool("10.0.0.0/24");
    assert_eq!(choose_gateway(&used, &pool, None), Ok(ip("10.0.0.1")));
    assert_eq!(choose_gateway(&used, &pool, Some(ip("10.0.0.254"))), Ok(ip("10.0.0.254")));
    let error = choose_gateway(&used, &pool, Some(ip("10.0.0.7"))).expect_err("taken");
    assert_eq!(error.to_string(), "failed to allocate gateway (10.0.0.7)");
    assert_eq!(error.kind(), Kind::Forbidden);
    let cause = std::error::Error::source(&error).expect("a cause");
    assert_eq!(cause.to_string(), "Address already in use: 10.0.0.7");
}

/// Section 4.8 step 5 of the behaviour: auxiliary addresses.
#[test]
fn auxiliary_addresses_lie_in_the_subnet() {
    let check = |text: &str| {
        let used: AddressSet = [ip("10.0.0.7")].into_iter().collect();
        check_auxiliary(&used, &pool("10.0.0.0/24>10.0.0.128/25"), "nas", text)
    };
    assert_eq!(check("10.0.0.5"), Ok(ip("10.0.0.5")));
    let outside = check("10.0.1.5").expect_err("outside");
    assert_eq!(outside.to_string(), "auxiliary address: (nas:10.0.1.5) must belong to the master pool: 10.0.0.0/24");
    assert_eq!(outside.kind(), Kind::Forbidden);
    assert_eq!(
        check("ten").expect_err("no address").to_string(),
        "invalid auxiliary address nas: `ten` is not an IP address"
    );
    assert_eq!(check("10.0.0.7").expect_err("taken").kind(), Kind::Forbidden);
}

/// Upstream address set tests, and `PoolStatus`: counts are of 128 bits and stop at the greatest 64-bit number.
#[test]
fn status_counts() {
    let check = |used: &str, text: &str, in_use: u64, available: u64| {
        let used: AddressSet = used.split_whitespace().map(ip).collect();
        assert_eq!(status(&used, &pool(text)), PoolStatus { in_use, available }, "{text}");
    };
    check("", "10.0.0.0/24", 2, 254);
    check("10.0.0.1 10.0.0.9 10.0.1.1", "10.0.0.0/24", 4, 252);
    check("10.0.0.0 10.0.0.255", "10.0.0.0/24", 2, 254);
    check("10.0.0.1 10.0.0.200", "10.0.0.0/24>10.0.0.128/25", 4, 126);
    check("10.0.0.0", "10.0.0.0/31", 1, 1);
    check("", "fd00::/64", 1, u64::MAX);
    check("", "fd00::/8", 1, u64::MAX);
    check("fd00::1", "fd00::/127", 1, 1);
    check("fd00::", "fd00::/128", 1, 0);
}

proptest! {
    /// Upstream `TestAllocateRandomDeallocate`, `TestRequestReleaseAddressDuplicate`, the release patterns: no address is given
    /// twice, none is lost, kept-back ones are never given, and the count always adds up.
    #[test]
    fn nothing_twice_and_nothing_lost(
        text in prop::sample::select(vec!["10.0.0.0/28", "10.0.0.0/31", "10.0.0.0/27>10.0.0.8/29", "fd00::/124", "fd00::/127"]),
        serial in any::<bool>(),
        steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 0..120),
    ) {
        let pool = pool(text);
        let capacity = take_all(&mut AddressSet::new(), &pool, 100).len();
        let (mut used, mut model, mut after) = (AddressSet::new(), BTreeSet::new(), None);
        for (step, which) in steps {
            if step > 0 {
                let order = if serial { Order::Serial { after } } else { Order::Lowest };
                match choose_address(&used, &pool, None, order) {
                    Ok(address) => {
                        prop_assert!(pool.contains(address) && !pool.is_reserved(address));
                        prop_assert!(pool.sub.is_none_or(|sub| sub.contains(&address)));
                        prop_assert!(model.insert(address) && used.insert(address));
                        after = Some(address);
                    }
                    Err(_) => prop_assert_eq!(model.len(), capacity),
                }
            } else if !model.is_empty() {
                let address = *which.get(&model.iter().copied().collect::<Vec<_>>());
                prop_assert!(model.remove(&address) && used.remove(address));
            }
            prop_assert_eq!(status(&used, &pool).available as usize, capacity - model.len());
        }
        for address in &model {
            used.remove(*address);
        }
        prop_assert!(used.is_empty());
    }
}
