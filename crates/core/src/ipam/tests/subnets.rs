//! Default pools and the subnets chosen from them.

use ipnet::{IpNet, Ipv6Net};
use proptest::prelude::*;

use super::{net, nets};
use crate::error::Kind;
use crate::ipam::*;

/// `10.0.0.0/8:24 fd00::/48:64`.
fn pools(text: &str) -> Result<DefaultPools, IpamError> {
    DefaultPools::new(text.split_whitespace().map(|one| {
        let (base, size) = one.rsplit_once(':').expect("base:size");
        PoolConfig { base: net(base), size: size.parse().expect("a size") }
    }))
}

fn listed(pools: &DefaultPools) -> String {
    let texts: Vec<String> = pools.iter().map(|pool| format!("{}:{}", pool.base, pool.size)).collect();
    texts.join(" ")
}

fn choose_v4(pools_text: &str, size: Option<u8>, allocated: &str, reserved: &str) -> String {
    let (allocated, reserved) = (nets(allocated), nets(reserved));
    let query = SubnetQuery { family: Family::V4, size, allocated: &allocated, reserved: &reserved };
    let pools = pools(pools_text).expect("pools");
    choose_subnet(&pools, &query).map_or_else(|error| format!("{:?}", error.kind()), |net| net.to_string())
}

/// Upstream `TestNewAddrSpaceDedup`, and the validation of the constructor.
#[test]
fn default_pools_are_checked_sorted_and_disjoint() {
    let check = |given: &str, expected: &str| {
        let text = pools(given).map_or_else(|error| error.to_string(), |pools| listed(&pools));
        assert_eq!(text, expected);
    };
    check("", "");
    check("192.168.0.0/16:24 10.0.0.0/8:24", "10.0.0.0/8:24 192.168.0.0/16:24");
    check("10.10.0.0/16:24 10.0.0.0/8:24 10.10.0.0/16:24 11.0.0.0/8:9", "10.0.0.0/8:24 11.0.0.0/8:9");
    check("10.0.0.0/16:24 10.0.0.0/8:16", "10.0.0.0/8:16");
    check("10.1.2.3/16:24", "10.1.0.0/16:24");
    check("::ffff:10.1.0.0/112:24", "10.1.0.0/16:24");
    check("fd00::/8:64 10.0.0.0/8:16", "10.0.0.0/8:16 fd00::/8:64");
    check("10.0.0.0/16:8", "invalid default address pool 10.0.0.0/16 with size 8: the size must be between 16 and 32");
    check("10.0.0.0/8:0", "invalid default address pool 10.0.0.0/8 with size 0: the size must be between 8 and 32");
    check("10.0.0.0/8:33", "invalid default address pool 10.0.0.0/8 with size 33: the size must be between 8 and 32");
}

/// The table of section 4.3: 31 local networks, then none.
#[test]
fn built_in_pools() {
    let ula = derive_ula("host");
    let local = DefaultPools::local(Some(ula));
    assert_eq!(Ok(&local), DefaultPools::new(local.iter().copied()).as_ref(), "already normal");
    assert_eq!(listed(&DefaultPools::global()), "10.0.0.0/8:24");
    let mut allocated = Vec::new();
    let next = |allocated: &[IpNet], family| {
        choose_subnet(&local, &SubnetQuery { family, size: None, allocated, reserved: &[] })
    };
    while let Ok(subnet) = next(&allocated, Family::V4) {
        allocated.push(subnet);
    }
    assert_eq!(allocated.len(), 31);
    assert_eq!(allocated[..3], nets("172.17.0.0/16 172.18.0.0/16 172.19.0.0/16"));
    assert_eq!(allocated[15..17], nets("192.168.0.0/20 192.168.16.0/20"));
    let error = next(&allocated, Family::V4).expect_err("exhausted");
    assert!(error.to_string().starts_with("all predefined address pools have been fully subnetted"));
    assert!(error.to_string().contains("default-address-pools"));
    let v6 = next(&allocated, Family::V6).expect("a subnet");
    assert_eq!((v6.network(), v6.prefix_len()), (ula.network().into(), 64));
    assert!(!DefaultPools::local(None).has(Family::V6));
}

/// Upstream `TestDeriveULABaseNetwork`.
#[test]
fn ula_is_stable_per_host() {
    // The first eight bytes of SHA-256 of nothing are e3b0c442 98fc1c14.
    assert_eq!(derive_ula(""), "fd42:98fc:1c14::/48".parse::<Ipv6Net>().expect("a prefix"));
    assert_eq!(derive_ula("host"), derive_ula("host"));
    assert_ne!(derive_ula("host"), derive_ula("other"));
}

/// Upstream `TestDynamicPoolAllocation`, `TestPredefinedPool…WithPreferredSubnetSize`, `TestStaticAllocation`,
/// `TestPoolAllocateAndRelease`, `TestMergeIter`, and reserved prefixes inside one another.
#[test]
fn chooses_the_lowest_free_subnet() {
    let check = |pools: &str, size, allocated: &str, reserved: &str, expected: &str| {
        let got = choose_v4(pools, size, allocated, reserved);
        assert_eq!(got, expected, "{pools} {size:?} allocated {allocated:?} reserved {reserved:?}");
    };
    let ten = "10.0.0.0/8:24";
    let two = "172.16.0.0/15:16 192.168.0.0/16:20";
    check(ten, None, "", "", "10.0.0.0/24");
    check(ten, None, "10.0.0.0/24", "", "10.0.1.0/24");
    check(ten, None, "10.0.1.0/24", "", "10.0.0.0/24");
    check(ten, None, "10.0.2.0/24 10.0.0.0/24", "10.0.1.0/24", "10.0.3.0/24");
    check(ten, None, "10.0.0.0/16", "", "10.1.0.0/24");
    check(ten, None, "10.0.0.128/25", "", "10.0.1.0/24");
    check(ten, None, "10.0.0.0/24", "10.0.0.0/24", "10.0.1.0/24");
    check(ten, None, "9.0.0.0/8 11.0.0.0/8 fd00::/8", "", "10.0.0.0/24");
    check(ten, None, "", "0.0.0.0/0", "Exhausted");
    check(ten, None, "", "8.0.0.0/6", "Exhausted");
    // Nested: the small prefix must not pull the choice back into the large one.
    check(ten, None, "", "10.0.0.0/16 10.0.0.2/32", "10.1.0.0/24");
    check(ten, None, "10.0.0.0/16", "10.0.0.2/32 10.0.200.0/24", "10.1.0.0/24");
    check(ten, None, "10.0.3.0/24", "10.0.0.0/16 10.1.0.53/32", "10.1.1.0/24");
    check("172.16.0.0/15:16", None, "", "172.16.0.0/15 172.17.9.9/32", "Exhausted");
    check(two, None, "172.16.0.0/16", "", "172.17.0.0/16");
    check(two, None, "172.16.0.0/16 172.17.0.0/16", "", "192.168.0.0/20");
    check(two, None, "172.16.0.0/15", "192.168.0.0/24", "192.168.16.0/20");
    check(two, None, "172.16.0.0/15 192.168.0.0/16", "", "Exhausted");
    check(two, Some(24), "", "", "172.16.0.0/24");
    check(two, Some(24), "172.16.0.0/16", "172.17.0.0/25", "172.17.1.0/24");
    check(two, Some(16), "172.16.0.0/15", "", "192.168.0.0/16");
    check(two, Some(14), "", "", "Invalid");
    check(two, Some(33), "", "", "Invalid");
    check("255.0.0.0/8:8", None, "255.255.255.255/32", "", "Exhausted");
    check("255.255.255.254/31:32", None, "255.255.255.254/32", "", "255.255.255.255/32");
    check("fd00::/8:64", None, "", "", "Invalid");
}

#[test]
fn does_not_run_over_the_end_of_ipv6() {
    let pools = pools("ffff::/16:16 8000::/1:1").expect("pools");
    let check = |allocated: &str, size, expected: Result<&str, Kind>| {
        let allocated = nets(allocated);
        let query = SubnetQuery { family: Family::V6, size, allocated: &allocated, reserved: &[] };
        assert_eq!(choose_subnet(&pools, &query).map_err(|error| error.kind()), expected.map(net));
    };
    check("", None, Ok("8000::/1"));
    check("ffff:ffff::/32", None, Err(Kind::Exhausted));
    check("8000::/1", Some(128), Err(Kind::Exhausted));
    check("8000::/2 c000::/3 e000::/4 f000::/5", Some(128), Ok("f800::/128"));
}

/// Prefixes of 10.0.0.0/24 and its neighbours.
fn small_prefix() -> impl Strategy<Value = IpNet> {
    (0u8..3, any::<u8>(), 20u8..=32)
        .prop_map(|(third, last, length)| IpNet::new_assert([10, 0, third, last].into(), length).trunc())
}

proptest! {
    /// The sweep finds what trying every aligned block in order finds.
    #[test]
    fn agrees_with_trying_every_block(
        allocated in prop::collection::vec(small_prefix().prop_filter("small", |p| p.prefix_len() >= 25), 0..12),
        reserved in prop::collection::vec(small_prefix(), 0..3),
        bases in prop::collection::vec((0u8..3, 24u8..=27, 0u8..=5), 1..3),
        size in prop::option::of(24u8..=31),
    ) {
        let pools = DefaultPools::new(bases.iter().map(|(third, length, more)| PoolConfig {
            base: IpNet::new_assert([10, 0, *third, 0].into(), *length),
            size: length + more,
        })).expect("pools");
        let free = |block: &IpNet| {
            allocated.iter().chain(&reserved).all(|taken| !taken.contains(block) && !block.contains(taken))
        };
        let expected = pools
            .iter()
            .filter(|pool| size.is_none_or(|size| size >= pool.base.prefix_len()))
            .flat_map(|pool| pool.base.subnets(size.unwrap_or(pool.size)).expect("a longer length"))
            .find(free);
        let query = SubnetQuery { family: Family::V4, size, allocated: &allocated, reserved: &reserved };
        prop_assert_eq!(choose_subnet(&pools, &query).ok(), expected);
    }

    /// Upstream `TestParallelPredefinedRequest*`: subnets given one after another, some given back, never overlap.
    #[test]
    fn subnets_given_never_overlap(steps in prop::collection::vec((any::<bool>(), prop::option::of(18u8..=24), any::<prop::sample::Index>()), 0..40)) {
        let pools = pools("10.0.0.0/16:20 10.2.0.0/18:19").expect("pools");
        let mut allocated: Vec<IpNet> = Vec::new();
        for (take, size, which) in steps {
            if take || allocated.is_empty() {
                let query = SubnetQuery { family: Family::V4, size, allocated: &allocated, reserved: &[] };
                if let Ok(subnet) = choose_subnet(&pools, &query) {
                    prop_assert!(check_overlap(&Pool::whole(subnet), &allocated.iter().map(|net| Pool::whole(*net)).collect::<Vec<_>>()).is_ok());
                    allocated.push(subnet);
                }
            } else {
                allocated.swap_remove(which.index(allocated.len()));
            }
        }
    }
}
