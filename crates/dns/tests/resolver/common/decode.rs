//! A reader of DNS messages that forgives nothing.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns a message as text, a line for the header and one for each question and record.
///
/// # Panics
///
/// Panics if the message is not exactly as long as its parts, or a name points anywhere but backwards.
pub(crate) fn render(message: &[u8]) -> String {
    let mut reader = Reader { message, at: 0 };
    let id = reader.number();
    let flags = reader.number();
    let counts = [reader.number(), reader.number(), reader.number(), reader.number()];
    let mut body = String::new();
    for _ in 0..counts[0] {
        let name = reader.name();
        let (kind, class) = (reader.number(), reader.number());
        writeln!(body, "? {name} {} {}", class_name(class), kind_name(kind)).unwrap();
    }
    let mut extended = 0;
    for (sign, count) in ["=", "@", "+"].into_iter().zip(&counts[1..]) {
        for _ in 0..*count {
            let (line, code) = reader.record();
            extended |= code;
            writeln!(body, "{sign} {line}").unwrap();
        }
    }
    assert_eq!(reader.at, message.len(), "bytes after the last record of {message:?}");
    format!("{id} {}\n{body}", header(flags, extended))
}

/// Returns the names of the code and of the flags.
fn header(flags: u16, extended: u16) -> String {
    let code = extended << 4 | flags & 15;
    let code = match code {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        16 => "BADVERS".into(),
        other => format!("code {other}"),
    };
    let opcode = match flags >> 11 & 15 {
        0 => String::new(),
        other => format!(" opcode {other}"),
    };
    let bits = [(15, "qr"), (10, "aa"), (9, "tc"), (8, "rd"), (7, "ra"), (6, "z"), (5, "ad"), (4, "cd")];
    let set: String =
        bits.iter().filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, name)| format!(" {name}")).collect();
    format!("{code}{opcode}{set}")
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let taken = &self.message[self.at..self.at + count];
        self.at += count;
        taken
    }

    fn number(&mut self) -> u16 {
        let octets = self.take(2);
        u16::from_be_bytes([octets[0], octets[1]])
    }

    fn name(&mut self) -> String {
        let mut text = String::new();
        let mut length = 1;
        let mut end = None;
        loop {
            let here = self.at;
            let first = usize::from(self.take(1)[0]);
            if first >= 0xc0 {
                let target = (first & 0x3f) << 8 | usize::from(self.take(1)[0]);
                assert!(target < here, "a name points forward");
                end.get_or_insert(self.at);
                self.at = target;
                continue;
            }
            assert!(first < 64, "a label of {first} bytes");
            length += first + 1;
            if first == 0 {
                break;
            }
            text.push_str(&self.take(first).escape_ascii().to_string());
            text.push('.');
        }
        assert!(length <= 256, "a name of {length} bytes");
        self.at = end.unwrap_or(self.at);
        if text.is_empty() { ".".into() } else { text }
    }

    /// Returns the record as a line, and the upper bits of the code if it is an OPT record.
    fn record(&mut self) -> (String, u16) {
        let name = self.name();
        let (kind, class) = (self.number(), self.number());
        let ttl = u32::from(self.number()) << 16 | u32::from(self.number());
        let length = usize::from(self.number());
        let end = self.at + length;
        if kind == 41 {
            assert_eq!((name.as_str(), length), (".", 0));
            return (format!("OPT version {} payload {class}", ttl >> 16 & 255), (ttl >> 24) as u16);
        }
        let data = match kind {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)).unwrap()).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)).unwrap()).to_string(),
            12 => self.name(),
            33 => format!("{} {} {} {}", self.number(), self.number(), self.number(), self.name()),
            _ => self.take(length).escape_ascii().to_string(),
        };
        assert_eq!(self.at, end, "the length of a record");
        (format!("{name} {ttl} {} {} {data}", class_name(class), kind_name(kind)), 0)
    }
}

fn class_name(class: u16) -> String {
    if class == 1 { "IN".into() } else { format!("class {class}") }
}

fn kind_name(kind: u16) -> String {
    let known = [(1, "A"), (6, "SOA"), (12, "PTR"), (15, "MX"), (16, "TXT"), (28, "AAAA"), (33, "SRV"), (255, "ANY")];
    known.iter().find(|(number, _)| *number == kind).map_or(format!("type {kind}"), |(_, name)| (*name).into())
}
