//! Sets and maps: what their keys and values are.

use super::attributes::{Writer, find, find_text, find_u32};
use super::numbers::{LIST_ELEMENT, set, userdata as records};
use super::userdata;

/// Each type in a concatenation takes this many bits of the type number.
const TYPE_BITS: u32 = 6;

/// The type of one part of a key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// An IPv4 address.
    Ipv4Addr,
    /// An IPv6 address.
    Ipv6Addr,
    /// A MAC address.
    EtherAddr,
    /// The number of a transport protocol.
    InetProto,
    /// A port of a transport protocol.
    InetService,
    /// A packet mark.
    Mark,
    /// The number of an interface.
    IfIndex,
    /// The type of an address according to the routes.
    FibAddressType,
    /// The name of an interface.
    IfName,
    /// A type that only the `nft` program knows.
    Other {
        /// Its number there.
        id: u32,
        /// Length in bytes.
        length: u32,
    },
}

impl DataType {
    const KNOWN: [Self; 9] = [
        Self::Ipv4Addr,
        Self::Ipv6Addr,
        Self::EtherAddr,
        Self::InetProto,
        Self::InetService,
        Self::Mark,
        Self::IfIndex,
        Self::FibAddressType,
        Self::IfName,
    ];

    /// Length in bytes.
    pub fn length(self) -> u32 {
        match self {
            Self::InetProto => 1,
            Self::InetService => 2,
            Self::Ipv4Addr | Self::Mark | Self::IfIndex | Self::FibAddressType => 4,
            Self::EtherAddr => 6,
            Self::Ipv6Addr | Self::IfName => 16,
            Self::Other { length, .. } => length,
        }
    }

    /// The number that the `nft` program gives the type.
    fn id(self) -> u32 {
        match self {
            Self::Ipv4Addr => 7,
            Self::Ipv6Addr => 8,
            Self::EtherAddr => 9,
            Self::InetProto => 12,
            Self::InetService => 13,
            Self::Mark => 19,
            Self::IfIndex => 20,
            Self::FibAddressType => 38,
            Self::IfName => 41,
            Self::Other { id, .. } => id,
        }
    }

    fn byte_order(self) -> u32 {
        match self {
            Self::Mark | Self::IfIndex | Self::FibAddressType | Self::IfName => 1,
            Self::Other { .. } => 0,
            _ => 2,
        }
    }
}

/// The number of a concatenation of types.
fn type_id(types: &[DataType]) -> u32 {
    types.iter().fold(0, |id, part| (id << TYPE_BITS) | part.id())
}

/// Length of a key or value of these types: the parts of a concatenation
/// start at multiples of four bytes.
fn length(types: &[DataType]) -> u32 {
    match types {
        [single] => single.length(),
        parts => parts.iter().map(|part| part.length().next_multiple_of(4)).sum(),
    }
}

/// Byte order for printing; a concatenation has none of its own.
fn byte_order(types: &[DataType]) -> u32 {
    match types {
        [single] => single.byte_order(),
        _ => 0,
    }
}

/// Splits the number of a concatenation; `total` is its length in bytes.
fn types(mut id: u32, total: u32) -> Vec<DataType> {
    let mut ids = Vec::new();
    while id != 0 {
        ids.insert(0, id & ((1 << TYPE_BITS) - 1));
        id >>= TYPE_BITS;
    }
    let known = |id: u32| DataType::KNOWN.into_iter().find(|known| known.id() == id);
    let taken: u32 = ids.iter().filter_map(|&id| known(id)).map(|part| part.length().next_multiple_of(4)).sum();
    ids.iter().map(|&id| known(id).unwrap_or(DataType::Other { id, length: total.saturating_sub(taken) })).collect()
}

/// What a map gives for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapData {
    /// A value, or several that follow each other.
    Values(Vec<DataType>),
    /// A verdict.
    Verdict,
}

/// A set, or a map if it has data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name, unique in the table; never a word of the `nft` language,
    /// which could then not print what it can read.
    pub name: String,
    /// The parts of a key.
    pub key: Vec<DataType>,
    /// What a key leads to.
    pub data: Option<MapData>,
    /// Whether an element can be a range of keys.
    pub interval: bool,
    /// A note for people.
    pub comment: Option<String>,
}

impl Set {
    /// Returns what is needed to change its elements.
    pub fn reference(&self) -> SetRef {
        SetRef {
            name: self.name.clone(),
            layout: match (self.interval, self.key.len()) {
                (false, _) => Layout::Keys,
                (true, 1) => Layout::Boundaries,
                (true, _) => Layout::Ranges,
            },
        }
    }

    pub(super) fn write(&self, id: u32, body: &mut Writer) {
        body.text(set::NAME, &self.name);
        body.u32(set::FLAGS, self.flags());
        body.u32(set::KEY_TYPE, type_id(&self.key));
        body.u32(set::KEY_LENGTH, length(&self.key));
        match &self.data {
            Some(MapData::Values(types)) => {
                body.u32(set::DATA_TYPE, type_id(types));
                body.u32(set::DATA_LENGTH, length(types));
            }
            Some(MapData::Verdict) => {
                body.u32(set::DATA_TYPE, set::DATA_VERDICT);
                body.u32(set::DATA_LENGTH, 0);
            }
            None => {}
        }
        body.u32(set::ID, id);
        if self.interval && self.key.len() > 1 {
            body.nest(set::DESCRIPTION, |description| {
                description.nest(set::DESCRIPTION_CONCAT, |fields| {
                    for part in &self.key {
                        fields.nest(LIST_ELEMENT, |field| {
                            field.u32(set::FIELD_LENGTH, part.length());
                        });
                    }
                });
            });
        }
        body.bytes(set::USERDATA, &self.userdata());
    }

    fn flags(&self) -> u32 {
        let mut flags = 0;
        if self.interval {
            flags |= set::FLAG_INTERVAL;
            if self.key.len() > 1 {
                flags |= set::FLAG_CONCAT;
            }
        }
        if self.data.is_some() {
            flags |= set::FLAG_MAP;
        }
        flags
    }

    fn userdata(&self) -> Vec<u8> {
        let order = |types: &[DataType]| byte_order(types).to_ne_bytes();
        let mut stored = Vec::new();
        userdata::push(&mut stored, records::SET_KEY_BYTE_ORDER, &order(&self.key));
        match &self.data {
            Some(MapData::Values(types)) => {
                userdata::push(&mut stored, records::SET_DATA_BYTE_ORDER, &order(types));
            }
            Some(MapData::Verdict) => {
                userdata::push(&mut stored, records::SET_DATA_BYTE_ORDER, &order(&[]));
            }
            None => {}
        }
        if let Some(comment) = &self.comment {
            userdata::push_text(&mut stored, records::SET_COMMENT, comment);
        }
        stored
    }

    /// Reads a set; none for one that belongs to a single rule.
    pub(super) fn read(attributes: &[u8]) -> Option<Self> {
        let flags = find_u32(attributes, set::FLAGS).unwrap_or(0);
        if flags & set::FLAG_ANONYMOUS != 0 {
            return None;
        }
        let number = |kind| find_u32(attributes, kind).unwrap_or(0);
        let data = (flags & set::FLAG_MAP != 0).then(|| match number(set::DATA_TYPE) {
            set::DATA_VERDICT => MapData::Verdict,
            id => MapData::Values(types(id, number(set::DATA_LENGTH))),
        });
        let comment = find(attributes, set::USERDATA)
            .and_then(|stored| userdata::find(stored, records::SET_COMMENT))
            .map(super::attributes::text);
        Some(Self {
            name: find_text(attributes, set::NAME)?,
            key: types(number(set::KEY_TYPE), number(set::KEY_LENGTH)),
            data,
            interval: flags & set::FLAG_INTERVAL != 0,
            comment,
        })
    }
}

/// Writes a set that exists only inside one rule and never changes.
pub(super) fn write_anonymous(key: DataType, size: u32, id: u32, body: &mut Writer) {
    body.text(set::NAME, ANONYMOUS_NAME);
    body.u32(set::FLAGS, set::FLAG_ANONYMOUS | set::FLAG_CONSTANT);
    body.u32(set::KEY_TYPE, key.id());
    body.u32(set::KEY_LENGTH, key.length());
    body.u32(set::ID, id);
    body.nest(set::DESCRIPTION, |description| {
        description.u32(set::DESCRIPTION_SIZE, size);
    });
    let mut stored = Vec::new();
    let order = key.byte_order().to_ne_bytes();
    userdata::push(&mut stored, records::SET_KEY_BYTE_ORDER, &order);
    body.bytes(set::USERDATA, &stored);
}

/// The kernel replaces `%d` by a number that makes the name unique.
pub(super) const ANONYMOUS_NAME: &str = "__set%d";

/// What is needed to read or change the elements of a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetRef {
    /// The name of the set.
    pub name: String,
    /// How its elements are stored.
    pub layout: Layout,
}

/// How the elements of a set are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layout {
    /// An element is one key.
    Keys,
    /// An element has the first and the last key of a range.
    Ranges,
    /// A range is two elements: its first key, and the key after its last.
    Boundaries,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concatenations_have_a_number_and_a_padded_length() {
        use DataType::*;
        let key = [Ipv4Addr, InetProto, InetService];
        assert_eq!((type_id(&key), length(&key)), (0x730d, 12));
        assert_eq!(types(0x730d, 12), key);
        assert_eq!(type_id(&[IfName, IfName]), 0xa69);
        assert_eq!(length(&[InetService]), 2);
        let foreign = Other { id: 14, length: 4 };
        assert_eq!(types(7 << 6 | 14, 8), [Ipv4Addr, foreign]);
    }
}
