//! Writing and reading netlink attributes, which nest and whose numbers are
//! big-endian in every netfilter protocol.

const HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// A list of attributes being written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    overflown: bool,
}

impl Writer {
    /// A message body that starts with the header every netfilter message has.
    pub(crate) fn message(family: u8, resource: u16) -> Self {
        let [high, low] = resource.to_be_bytes();
        Self { bytes: vec![family, 0, high, low], overflown: false }
    }

    /// The same with the version of the header, which few messages need.
    pub(crate) fn versioned(family: u8, version: u8) -> Self {
        Self { bytes: vec![family, version, 0, 0], overflown: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether an attribute was longer than its 16-bit length can say; the
    /// kernel must not see such a message, it would ignore what follows.
    pub(crate) fn is_overflown(&self) -> bool {
        self.overflown
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(crate) fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let start = self.open_nest(kind);
        write(self);
        self.close(start);
    }

    /// Attributes inside another one, already written.
    pub(crate) fn nested_bytes(&mut self, kind: u16, value: &[u8]) {
        self.bytes(kind | NESTED, value);
    }

    /// Opens an attribute with attributes inside, for [`Writer::close`].
    pub(crate) fn open_nest(&mut self, kind: u16) -> usize {
        self.open(kind | NESTED)
    }

    /// Opens an attribute whose length [`Writer::close`] fills in.
    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    /// Ends the attribute opened at `start`.
    pub(crate) fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.overflown |= length == u16::MAX;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// An attribute being read: its type without flags, and its value.
pub(crate) type Attribute<'a> = (u16, &'a [u8]);

/// Reads the attributes in `bytes`; a truncated one ends the list.
pub(crate) fn read(mut bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let (length, kind) = (number16(bytes)?, number16(bytes.get(2..)?)?);
        let value = bytes.get(HEADER..usize::from(length))?;
        bytes = bytes.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        Some((kind & TYPE_MASK, value))
    })
}

/// Returns the value of the first attribute of that type.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    read(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// Returns a text attribute, without the zero that ends it.
pub(crate) fn find_text(bytes: &[u8], kind: u16) -> Option<String> {
    find(bytes, kind).map(text)
}

/// Returns a 32-bit number in network byte order.
pub(crate) fn find_u32(bytes: &[u8], kind: u16) -> Option<u32> {
    let value = find(bytes, kind)?.first_chunk()?;
    Some(u32::from_be_bytes(*value))
}

/// Returns a 64-bit number in network byte order.
pub(crate) fn find_u64(bytes: &[u8], kind: u16) -> Option<u64> {
    let value = find(bytes, kind)?.first_chunk()?;
    Some(u64::from_be_bytes(*value))
}

/// Reads a text that a zero or the end of the bytes ends.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

fn number16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_attributes_are_aligned_and_read_back() {
        let mut writer = Writer::default();
        writer.text(1, "br0x");
        writer.nest(2, |inner| {
            inner.u32(1, 7);
            inner.u64(2, 8);
            inner.u8(3, 9);
        });
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(find_text(&bytes, 1).as_deref(), Some("br0x"));
        let inner = find(&bytes, 2).unwrap();
        assert_eq!(find_u32(inner, 1), Some(7));
        assert_eq!(find_u64(inner, 2), Some(8));
        assert_eq!(find(inner, 3), Some(&[9][..]));
    }

    #[test]
    fn an_attribute_that_is_too_long_is_noticed() {
        let mut writer = Writer::default();
        writer.bytes(1, &[0; 65_000]);
        assert!(!writer.is_overflown());
        writer.bytes(1, &[0; 65_536]);
        assert!(writer.is_overflown());
    }

    #[test]
    fn truncated_bytes_end_the_list() {
        let mut writer = Writer::default();
        writer.u32(1, 7);
        writer.u32(2, 8);
        let bytes = writer.into_bytes();
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]).count(), end / 8);
        }
        assert_eq!(read(&[0, 0, 1, 0]).count(), 0);
    }
}
