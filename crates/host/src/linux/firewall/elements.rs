//! Elements of the ruleset's sets, to and from the bytes that the kernel compares.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pontoon_core::firewall::ruleset::{Set, Type};
use pontoon_core::model::IfName;
use pontoon_core::objects::{Element, Verdict};
use pontoon_core::ports::{PortProto, PortRange};
use pontoon_netlink::nft::{self, ElementData, Part, Value};

/// Returns an element as netlink wants it.
pub(super) fn encode(element: &Element) -> nft::Element {
    let name = |name: &IfName| Part::interface(name.as_str());
    let prefix = |prefix: &IpNet| Part::prefix(prefix.addr(), prefix.prefix_len());
    match element {
        Element::Bridge(bridge) => nft::Element::new([name(bridge)]),
        Element::SameBridge(bridge) => nft::Element::new([name(bridge), name(bridge)]),
        Element::From(bridge, verdict) | Element::To(bridge, verdict) => {
            nft::Element::new([name(bridge)]).with_verdict(nft::Verdict::Jump(verdict.chain().to_owned()))
        }
        Element::Subnet(subnet)
        | Element::Masquerade(subnet)
        | Element::Routed(subnet)
        | Element::Unprotected(subnet) => nft::Element::new([prefix(subnet)]),
        Element::Snat(subnet, address) => nft::Element::new([prefix(subnet)]).with_values([Value::Address(*address)]),
        Element::OnLink(subnet, link) | Element::Trusted(subnet, link) => {
            nft::Element::new([prefix(subnet), name(link)])
        }
        Element::Open { ip, proto, ports: range } => {
            nft::Element::new([Part::address(*ip), Part::protocol(proto.number()), ports(*range)])
        }
        Element::Publish { host, proto, ports: range, to, port } => {
            let key = [Part::protocol(proto.number()), ports(*range)];
            let key = host.map(Part::address).into_iter().chain(key);
            nft::Element::new(key).with_values([Value::Address(*to)].into_iter().chain(port.map(Value::Port)))
        }
    }
}

fn ports(range: PortRange) -> Part {
    Part::ports(range.first()..=range.last())
}

/// Returns what a kernel's element means; none if it is not one of ours.
pub(super) fn decode(set: &Set, element: &nft::Element) -> Option<Element> {
    let mut key = Reader::new(set.key, &element.key, element.key_end.as_deref().unwrap_or(&element.key));
    let decoded = match set.name.trim_end_matches(['4', '6']) {
        "bridges" => Element::Bridge(key.interface()?),
        "same_bridge" => {
            let bridge = key.interface()?;
            (key.interface()? == bridge).then_some(Element::SameBridge(bridge))?
        }
        "from" => Element::From(key.interface()?, verdict(element)?),
        "to" => Element::To(key.interface()?, verdict(element)?),
        "subnets" => Element::Subnet(key.prefix()?),
        "on_link" => Element::OnLink(key.prefix()?, key.interface()?),
        "trusted" => Element::Trusted(key.prefix()?, key.interface()?),
        "masquerade" => Element::Masquerade(key.prefix()?),
        "snat" => {
            let (address, _) = translation(set.name.ends_with('6'), element.data.as_ref()?)?;
            Element::Snat(key.prefix()?, address)
        }
        "routed" => Element::Routed(key.prefix()?),
        "unprotected" => Element::Unprotected(key.prefix()?),
        "open" | "open_range" => Element::Open { ip: key.address()?, proto: key.protocol()?, ports: key.ports()? },
        name if name.starts_with("publish") => {
            let host = if name.ends_with("any") { None } else { Some(key.address()?) };
            let (proto, ports) = (key.protocol()?, key.ports()?);
            let (to, port) = translation(set.name.ends_with('6'), element.data.as_ref()?)?;
            Element::Publish { host, proto, ports, to, port }
        }
        _ => return None,
    };
    // Such as one port in a set for ranges: it could not be found again.
    (decoded.set() == set.name).then_some(decoded)
}

fn verdict(element: &nft::Element) -> Option<Verdict> {
    let Some(ElementData::Verdict(nft::Verdict::Jump(chain))) = &element.data else { return None };
    [Verdict::FromInternal, Verdict::ToInternal, Verdict::ToNat].into_iter().find(|verdict| verdict.chain() == chain)
}

/// Reads an address and, if the map has it, a port.
fn translation(v6: bool, data: &ElementData) -> Option<(IpAddr, Option<u16>)> {
    let ElementData::Value(bytes) = data else { return None };
    let (address, rest) = bytes.split_at_checked(if v6 { 16 } else { 4 })?;
    let port = rest.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    Some((address_of(address)?, port))
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        _ => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
    }
}

/// Reads the parts of a key, each of which is a range.
struct Reader<'a> {
    types: &'a [Type],
    padded: bool,
    first: &'a [u8],
    last: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(types: &'a [Type], first: &'a [u8], last: &'a [u8]) -> Self {
        Self { types, padded: types.len() > 1, first, last }
    }

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (one, rest) = self.types.split_first()?;
        self.types = rest;
        let length = match one {
            Type::Ipv4 => 4,
            Type::Ipv6 | Type::Interface => 16,
            Type::Proto => 1,
            Type::Port => 2,
        };
        // Parts of a concatenation start at multiples of four bytes.
        let taken = if self.padded { usize::next_multiple_of(length, 4) } else { length };
        let (first, after_first) = self.first.split_at_checked(taken)?;
        let (last, after_last) = self.last.split_at_checked(taken)?;
        (self.first, self.last) = (after_first, after_last);
        Some((&first[..length], &last[..length]))
    }

    /// A part that must be one value.
    fn single(&mut self) -> Option<&'a [u8]> {
        self.next().filter(|(first, last)| first == last).map(|(first, _)| first)
    }

    fn interface(&mut self) -> Option<IfName> {
        let bytes = self.single()?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        IfName::new(std::str::from_utf8(&bytes[..end]).ok()?).ok()
    }

    fn address(&mut self) -> Option<IpAddr> {
        self.single().and_then(address_of)
    }

    fn prefix(&mut self) -> Option<IpNet> {
        let (first, last) = self.next()?;
        let bits = first.len() * 8;
        let same = first.iter().zip(last).take_while(|(one, other)| one == other).count();
        let within = first.get(same).zip(last.get(same)).map_or(0, |(one, other)| (one ^ other).leading_zeros());
        let length = (same * 8 + within as usize).min(bits);
        let prefix = IpNet::new(address_of(first)?, u8::try_from(length).ok()?).ok()?;
        (prefix.network() == address_of(first)? && prefix.broadcast() == address_of(last)?).then_some(prefix)
    }

    fn protocol(&mut self) -> Option<PortProto> {
        let number = *self.single()?.first()?;
        PortProto::ALL.into_iter().find(|proto| proto.number() == number)
    }

    fn ports(&mut self) -> Option<PortRange> {
        let (first, last) = self.next()?;
        let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        PortRange::new(number(first)?, number(last)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use pontoon_core::firewall::ruleset::SETS;

    use super::*;

    fn check(element: Element) {
        let set = SETS.iter().find(|set| set.name == element.set()).unwrap();
        assert_eq!(decode(set, &encode(&element)), Some(element));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let name = || IfName::new("pn-0123456789ab").unwrap();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let range = |first, last| PortRange::new(first, last).unwrap();
        check(Element::Bridge(name()));
        check(Element::SameBridge(name()));
        check(Element::From(name(), Verdict::FromInternal));
        check(Element::To(name(), Verdict::ToNat));
        for prefix in ["10.1.0.0/16", "10.0.0.1/32", "0.0.0.0/0", "128.0.0.0/1", "fd00::/64", "::/0", "fd00::1/128"] {
            check(Element::Subnet(net(prefix)));
            check(Element::Masquerade(net(prefix)));
            check(Element::Routed(net(prefix)));
            let address = if net(prefix).addr().is_ipv6() { "2001:db8::7" } else { "192.0.2.7" };
            check(Element::Snat(net(prefix), address.parse().unwrap()));
            check(Element::Unprotected(net(prefix)));
            check(Element::OnLink(net(prefix), name()));
            check(Element::Trusted(net(prefix), name()));
        }
        for ip in ["10.0.0.2", "fd00::2"].map(|ip| ip.parse::<IpAddr>().unwrap()) {
            for ports in [range(80, 80), range(80, 90), range(1, 65535)] {
                check(Element::Open { ip, proto: PortProto::Udp, ports });
                for host in [None, Some(ip)] {
                    check(Element::Publish { host, proto: PortProto::Tcp, ports, to: ip, port: None });
                }
            }
            for host in [None, Some(ip)] {
                check(Element::Publish { host, proto: PortProto::Tcp, ports: range(80, 80), to: ip, port: Some(8080) });
            }
        }
    }
}
