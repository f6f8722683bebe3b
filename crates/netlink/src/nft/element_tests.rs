use proptest::prelude::*;

use super::*;
use crate::nft::attributes::Writer;

fn round_trip(elements: &[Element], layout: Layout) -> Vec<Element> {
    let mut list = Writer::default();
    for element in elements {
        element.write(layout, &mut list);
    }
    let list = list.into_bytes();
    super::elements(read_entries(&list).collect(), layout)
}

#[test]
fn prefixes_and_single_values() {
    let net = Element::new([Part::prefix(Ipv4Addr::new(10, 1, 2, 3), 16)]);
    assert_eq!(net.key, [10, 1, 0, 0]);
    assert_eq!(net.key_end.as_deref(), Some(&[10, 1, 255, 255][..]));
    let host = Element::new([Part::prefix(Ipv4Addr::new(10, 1, 2, 3), 32)]);
    let address = Element::new([Part::address(Ipv4Addr::new(10, 1, 2, 3))]);
    assert_eq!(host, address);
    assert_eq!(address.key_end, None);
    let all = Element::new([Part::prefix(Ipv6Addr::LOCALHOST, 0)]);
    assert_eq!(all.key_end, Some(vec![255; 16]));
}

#[test]
fn concatenations_are_padded() {
    let element = Element::new([Part::address(Ipv4Addr::LOCALHOST), Part::protocol(6), Part::ports(80..=90)]);
    assert_eq!(element.key, [127, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0]);
    let last = element.key_end.as_deref();
    assert_eq!(last, Some(&[127, 0, 0, 1, 6, 0, 0, 0, 0, 90, 0, 0][..]));
}

#[test]
fn keys_step_across_bytes() {
    assert_eq!(successor(&[0, 255]), Some(vec![1, 0]));
    assert_eq!(successor(&[255, 255]), None);
    assert_eq!(predecessor(&[1, 0]), Some(vec![0, 255]));
    assert_eq!(predecessor(&[0, 0]), None);
}

#[test]
fn adjacent_ranges_stay_apart() {
    let ranges =
        [(0, 5), (6, 6), (7, 255), (256, u16::MAX)].map(|(first, last)| Element::new([Part::ports(first..=last)]));
    assert_eq!(round_trip(&ranges, Layout::Boundaries), ranges);
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Accept),
        Just(Verdict::Drop),
        Just(Verdict::Continue),
        Just(Verdict::Return),
        "[a-z]{1,30}".prop_map(Verdict::Jump),
        "[a-z]{1,30}".prop_map(Verdict::Goto),
    ]
}

fn data() -> impl Strategy<Value = Option<ElementData>> {
    prop_oneof![
        Just(None),
        prop::collection::vec(any::<u8>(), 1..64).prop_map(|v| Some(ElementData::Value(v))),
        verdict().prop_map(|verdict| Some(ElementData::Verdict(verdict))),
    ]
}

proptest! {
    #[test]
    fn keys_and_ranges_come_back(
        keys in prop::collection::btree_map(any::<[u8; 12]>(), (any::<[u8; 12]>(), data()), 0..40)
    ) {
        let elements: Vec<Element> = keys
            .into_iter()
            .map(|(key, (last, data))| Element {
                key: key.to_vec(),
                key_end: (last != key).then(|| last.to_vec()),
                data,
            })
            .collect();
        prop_assert_eq!(round_trip(&elements, Layout::Ranges), elements);
    }

    #[test]
    fn boundaries_come_back(mut cuts in prop::collection::btree_set(any::<u32>(), 0..40), kept in data()) {
        if cuts.len() % 2 == 1 {
            cuts.pop_last();
        }
        let cuts: Vec<u32> = cuts.into_iter().collect();
        let elements: Vec<Element> = cuts
            .chunks(2)
            .map(|pair| Element {
                key: pair[0].to_be_bytes().to_vec(),
                key_end: Some(pair[1].to_be_bytes().to_vec()),
                data: kept.clone(),
            })
            .collect();
        prop_assert_eq!(round_trip(&elements, Layout::Boundaries), elements);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        super::elements(read_entries(&bytes).collect(), Layout::Boundaries);
    }
}
