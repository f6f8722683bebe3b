//! Prints the static nftables ruleset, ready for `nft -f`.

fn main() {
    print!("{}", pontoon_core::firewall::ruleset::text());
}
