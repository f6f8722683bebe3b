//! Prints the static nftables ruleset, ready for `nft -f`.

#![forbid(unsafe_code)]

fn main() {
    print!("{}", pontoon_core::firewall::ruleset::text());
}
