//! Records for user space: type, length, value, each length one byte.

/// Appends one record; a value over 255 bytes is cut.
pub(super) fn push(records: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    records.extend_from_slice(&[kind, length]);
    records.extend_from_slice(&value[..usize::from(length)]);
}

/// Appends a text with the zero that ends it. The kernel stores at most 256
/// bytes of records, so a longer comment is cut at a character.
pub(super) fn push_text(records: &mut Vec<u8>, kind: u8, text: &str) {
    let room = 250_usize.saturating_sub(records.len());
    let end = text.floor_char_boundary(room);
    let mut value = text.as_bytes()[..end].to_vec();
    value.push(0);
    push(records, kind, &value);
}

/// Returns the records of a comment alone, or nothing.
pub(super) fn comment(text: &str, kind: u8) -> Vec<u8> {
    let mut records = Vec::new();
    if !text.is_empty() {
        push_text(&mut records, kind, text);
    }
    records
}

/// Returns the value of the record of that type.
pub(super) fn find(mut records: &[u8], kind: u8) -> Option<&[u8]> {
    loop {
        let [found, length, rest @ ..] = records else {
            return None;
        };
        let value = rest.get(..usize::from(*length))?;
        if *found == kind {
            return Some(value);
        }
        records = &rest[value.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_comment_is_cut_at_a_character() {
        let records = comment(&"ä".repeat(200), 0);
        assert!(records.len() <= 256);
        let text = find(&records, 0).unwrap();
        assert!(std::str::from_utf8(text).is_ok());
        assert_eq!(find(&records, 1), None);
        assert_eq!(find(&[0, 9, 1], 0), None);
    }
}
