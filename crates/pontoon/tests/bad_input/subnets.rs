//! Subnets that look odd: what is let in works, what cannot work is refused.

use std::process::Command;

use expect_test::expect;
use ipnet::IpNet;
use pontoon::{Attach, Config, Controller, DefaultPools, EndpointSpec, Error, NetworkSpec, SandboxSpec};

use super::kernel::{kernel, on_kernel};
use super::words;

/// Makes a network of one subnet, has a sandbox on it ask its gateway, and removes both.
fn tried(controller: &Controller, subnet: IpNet) -> Result<String, Error> {
    let v6 = subnet.addr().is_ipv6();
    let network = controller.create_network(NetworkSpec::new("odd").ipv4(!v6).ipv6(v6).subnet(subnet))?;
    let endpoints = vec![(network.id().into(), EndpointSpec::new("box"))];
    let sandbox = controller.attach(Attach { sandbox: SandboxSpec::new("box"), endpoints })?;
    let endpoint = sandbox.endpoints()[0].info()?;
    let gateway = if v6 { endpoint.gateway6 } else { endpoint.gateway4 }.expect("the network leads out");
    assert_eq!(controller.diagnose()?, [], "{subnet}");
    let told = match pings(sandbox.key(), &gateway.to_string()) {
        true => format!("{} reaches {gateway}", endpoint.addresses[0]),
        false => format!("{} does not reach {gateway}", endpoint.addresses[0]),
    };
    sandbox.delete()?;
    network.delete()?;
    Ok(told)
}

/// Asks a few times: whoever waits for an address to be resolved may lose a packet.
fn pings(namespace: &std::path::Path, to: &str) -> bool {
    let mut ping = Command::new("nsenter");
    ping.arg(format!("--net={}", namespace.display())).args(["ping", "-c", "1", "-w", "5", "-i", "0.2", to]);
    ping.output().expect("nsenter can be run").status.success()
}

#[test]
fn odd_subnets_work_or_are_refused() {
    on_kernel(|| {
        let pools = DefaultPools::local(Some("fd00:1::/48".parse().expect("a prefix")));
        let config = Config::new("/run/state").run_dir("/run/pontoon").default_pools(pools);
        let controller = Controller::open(config).expect("opens");
        // Forwarding stays on: what comes after the first network is what must not change.
        tried(&controller, "10.0.0.0/24".parse().expect("a prefix")).expect("works");
        tried(&controller, "fd00::/64".parse().expect("a prefix")).expect("works");
        controller.settle().expect("settles");
        let before = kernel();
        let mut told = String::new();
        for subnet in [
            "10.0.0.0/8",
            "10.0.0.0/30",
            "10.0.0.0/31",
            "10.0.0.0/32",
            "0.0.0.0/0",
            "0.0.0.0/31",
            "0.0.0.0/32",
            "0.0.0.0/8",
            "64.0.0.0/2",
            "127.0.0.0/16",
            "128.0.0.0/1",
            "169.254.0.0/16",
            "192.0.2.0/24",
            "224.0.0.0/24",
            "240.0.0.0/8",
            "255.255.255.255/32",
            "fd00::/126",
            "fd00::/127",
            "fd00::/128",
            "fc00::/7",
            "2000::/3",
            "8000::/1",
            "fe80::/64",
            "fe80::/80",
            "fec0::/10",
            "ff02::/64",
            "::/0",
            "::/8",
            "::/127",
            "::/128",
            "::1/128",
            "::ffff:0.0.0.0/96",
            "::ffff:10.0.0.0/104",
        ] {
            let outcome = tried(&controller, subnet.parse().expect("a prefix"));
            told += &format!("{subnet}: {}\n", outcome.unwrap_or_else(|error| words(&error)));
            controller.settle().expect("settles");
            assert_eq!(kernel(), before, "{subnet}");
            assert!(controller.networks().is_empty() && controller.debts().is_empty(), "{subnet}");
        }
        expect![[r#"
            10.0.0.0/8: 10.0.0.2/8 reaches 10.0.0.1
            10.0.0.0/30: 10.0.0.2/30 reaches 10.0.0.1
            10.0.0.0/31: 10.0.0.1/31 reaches 10.0.0.0
            10.0.0.0/32: Invalid: '10.0.0.0/32' has no address left for an endpoint
            0.0.0.0/0: 172.17.0.2/16 reaches 172.17.0.1
            0.0.0.0/31: 172.17.0.1/31 reaches 172.17.0.0
            0.0.0.0/32: Invalid: '172.17.0.0/32' has no address left for an endpoint
            0.0.0.0/8: Invalid: invalid address pool: no default pool can give an IPv4 subnet of size /8; give a subnet, or add a pool to `default-address-pools`
            64.0.0.0/2: Invalid: '64.0.0.0/2' overlaps the loopback addresses 127.0.0.0/8
            127.0.0.0/16: Invalid: '127.0.0.0/16' overlaps the loopback addresses 127.0.0.0/8
            128.0.0.0/1: Invalid: '128.0.0.0/1' overlaps the multicast addresses 224.0.0.0/4
            169.254.0.0/16: 169.254.0.2/16 reaches 169.254.0.1
            192.0.2.0/24: 192.0.2.2/24 reaches 192.0.2.1
            224.0.0.0/24: Invalid: '224.0.0.0/24' overlaps the multicast addresses 224.0.0.0/4
            240.0.0.0/8: Invalid: '240.0.0.0/8' overlaps the reserved addresses 240.0.0.0/4
            255.255.255.255/32: Invalid: '255.255.255.255/32' overlaps the reserved addresses 240.0.0.0/4
            fd00::/126: fd00::2/126 reaches fd00::1
            fd00::/127: fd00::1/127 reaches fd00::
            fd00::/128: Invalid: 'fd00::/128' has no address left for an endpoint
            fc00::/7: fc00::2/7 reaches fc00::1
            2000::/3: 2000::2/3 reaches 2000::1
            8000::/1: Invalid: '8000::/1' clashes with the Link-Local prefix 'fe80::/64'
            fe80::/64: fe80::2/64 reaches fe80::1
            fe80::/80: Invalid: 'fe80::/80' clashes with the Link-Local prefix 'fe80::/64'
            fec0::/10: fec0::2/10 reaches fec0::1
            ff02::/64: Invalid: 'ff02::/64' is a multicast subnet, which a bridge cannot have
            ::/0: fd00:1::2/64 reaches fd00:1::1
            ::/8: Invalid: invalid address pool: no default pool can give an IPv6 subnet of size /8; give a subnet, or add a pool to `default-address-pools`
            ::/127: fd00:1::1/127 reaches fd00:1::
            ::/128: Invalid: 'fd00:1::/128' has no address left for an endpoint
            ::1/128: Invalid: '::1/128' overlaps the loopback addresses ::1/128
            ::ffff:0.0.0.0/96: Invalid: invalid address pool: `::ffff:0.0.0.0/96` is not a subnet (it maps IPv4 addresses, write them as IPv4)
            ::ffff:10.0.0.0/104: Invalid: invalid address pool: `::ffff:10.0.0.0/104` is not a subnet (it maps IPv4 addresses, write them as IPv4)
        "#]].assert_eq(&told);
    });
}
