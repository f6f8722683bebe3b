//! One query as bytes, and what its answer must be. Written by hand, so that what is measured is not checked by itself.

use std::net::Ipv4Addr;

/// The header of a message (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// A query for the A record of a name of one label, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    message: Vec<u8>,
    expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The query itself.
    Echo,
    /// An answer with this one address.
    Address(Ipv4Addr),
}

impl Question {
    /// Makes a query for `name`, a label of at most 63 bytes.
    pub(crate) fn new(name: &str, expected: Expected) -> Self {
        // Recursion desired; one question.
        let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.push(u8::try_from(name.len()).expect("labels are short"));
        message.extend_from_slice(name.as_bytes());
        // The root; type A, class IN.
        message.extend_from_slice(&[0, 0, 1, 0, 1]);
        Self { message, expected }
    }

    /// Gives the message another id, and returns it.
    pub(crate) fn numbered(&mut self, id: u16) -> &[u8] {
        self.message[..2].copy_from_slice(&id.to_be_bytes());
        &self.message
    }

    /// Says what is wrong with a reply of the right id, if anything is.
    pub(crate) fn verify(&self, reply: &[u8]) -> Result<(), String> {
        let right = match self.expected {
            Expected::Echo => reply.get(2..) == self.message.get(2..),
            Expected::Address(address) => self.address_in(reply) == Some(address),
        };
        if right { Ok(()) } else { Err(format!("{:?} was expected, this came: {reply:?}", self.expected)) }
    }

    /// Returns the address in a good answer: this question, no error, not cut off, one record.
    fn address_in(&self, reply: &[u8]) -> Option<Ipv4Addr> {
        let (header, rest) = reply.split_at_checked(HEADER)?;
        let is_answer = header[2] & 0x82 == 0x80 && header[3] & 0x0f == 0 && header[4..8] == [0, 1, 0, 1];
        let record = rest.strip_prefix(&self.message[HEADER..]).filter(|_| is_answer)?;
        let fields = after_name(record)?;
        // Type A, class IN, a time to live, four bytes.
        let (kind, data) = fields.split_at_checked(10)?;
        if kind[..4] != [0, 1, 0, 1] || kind[8..] != [0, 4] {
            return None;
        }
        data.first_chunk::<4>().map(|&octets| octets.into())
    }
}

/// Returns the id of a message.
pub(crate) fn id(message: &[u8]) -> Option<u16> {
    message.first_chunk().map(|&octets| u16::from_be_bytes(octets))
}

/// Returns what follows a name: labels up to the root, or up to a pointer (RFC 1035 §4.1.4).
fn after_name(mut record: &[u8]) -> Option<&[u8]> {
    loop {
        record = match *record.first()? {
            0 => return record.get(1..),
            192.. => return record.get(2..),
            length => record.get(1 + usize::from(length)..)?,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

    fn question() -> Question {
        Question::new("n1", Expected::Address(ADDRESS))
    }

    fn answer(owner: &[u8]) -> Vec<u8> {
        let mut message = question().message;
        message[2] |= 0x80;
        message[7] = 1;
        message.extend_from_slice(owner);
        message.extend_from_slice(&[0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 3]);
        message
    }

    #[test]
    fn an_answer_is_read_with_its_name_written_out_or_pointed_to() {
        for owner in [b"\xc0\x0c".as_slice(), b"\x02n1\x00"] {
            assert_eq!(question().verify(&answer(owner)), Ok(()));
        }
    }

    #[test]
    fn every_byte_that_matters_is_looked_at() {
        let good = answer(b"\xc0\x0c");
        // Beside the id, which the caller compares: whose authority, what is available, the owner's pointer, the time to live.
        let free: Vec<usize> = [0, 1, 3].into_iter().chain(8..HEADER).chain([20, 21]).chain(26..30).collect();
        for at in (0..good.len()).filter(|at| !free.contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 0x82;
            assert!(question().verify(&bad).is_err(), "byte {at}");
        }
        for length in 0..good.len() {
            assert!(question().verify(&good[..length]).is_err(), "{length} bytes");
        }
        let mut failed = good;
        failed[3] = 2;
        assert!(question().verify(&failed).is_err());
    }

    #[test]
    fn an_echo_is_the_query_itself() {
        let mut question = Question::new("n1", Expected::Echo);
        let sent = question.numbered(7).to_vec();
        assert_eq!((id(&sent), question.verify(&sent)), (Some(7), Ok(())));
        assert!(question.verify(&sent[..sent.len() - 1]).is_err());
    }
}
