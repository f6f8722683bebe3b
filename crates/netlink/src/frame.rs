//! The frame around every netlink message, and the two messages that answer requests.
//!
//! ```text
//! 0        4      6      8        12       16
//! | length | kind | flags | sequence | port | payload, padded to 4 ...
//! ```

use crate::error::Refusal;

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;

const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
const ATTRIBUTE_MESSAGE: u16 = 1;
const ATTRIBUTE_OFFSET: u16 = 2;
const ATTRIBUTE_MISSING: u16 = 5;

/// One message to the kernel, without its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The message type, such as `RTM_NEWLINK`.
    pub kind: u16,
    /// Flags beyond `NLM_F_REQUEST` and `NLM_F_ACK`, such as `NLM_F_CREATE`.
    pub flags: u16,
    /// What follows the `nlmsghdr`: the family's header and the attributes.
    pub payload: Vec<u8>,
}

impl Request {
    /// Returns the bytes that the framed message takes, padding included.
    pub(crate) fn framed_len(&self) -> usize {
        align(HEADER + self.payload.len())
    }

    /// Appends the framed message.
    pub(crate) fn frame(&self, extra_flags: u16, sequence: u32, into: &mut Vec<u8>) {
        let length = u32::try_from(HEADER + self.payload.len())
            .expect("the send buffer, checked before framing, is far below 4 GiB");
        let flags = self.flags | extra_flags | libc::NLM_F_REQUEST as u16;
        into.extend_from_slice(&length.to_ne_bytes());
        into.extend_from_slice(&self.kind.to_ne_bytes());
        into.extend_from_slice(&flags.to_ne_bytes());
        into.extend_from_slice(&sequence.to_ne_bytes());
        into.extend_from_slice(&0u32.to_ne_bytes());
        into.extend_from_slice(&self.payload);
        into.resize(align(into.len()), 0);
    }
}

/// One message from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) port: u32,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// Returns what an `NLMSG_ERROR` or `NLMSG_DONE` says: `Ok` for an acknowledgement.
    ///
    /// `NLMSG_ERROR` echoes the request, or only its header if capped, between the error number
    /// and the extended attributes; `NLMSG_DONE` echoes nothing.
    pub(crate) fn answer(&self) -> Result<(), Refusal> {
        let errno = read_u32(self.payload, 0).map_or(0, |code| (code as i32).wrapping_neg());
        if errno == 0 {
            return Ok(());
        }
        let mut refusal = Refusal { errno, ..Refusal::default() };
        if self.flags & ACK_TLVS != 0 {
            self.extended(&mut refusal);
        }
        Err(refusal)
    }

    fn extended(&self, refusal: &mut Refusal) {
        let echoed = if i32::from(self.kind) == libc::NLMSG_DONE {
            0
        } else if self.flags & CAPPED != 0 {
            HEADER
        } else {
            read_u32(self.payload, 4).map_or(HEADER, |length| align(length as usize))
        };
        let rest = self.payload.get(4 + echoed..).unwrap_or_default();
        for (kind, value) in attributes(rest) {
            match kind {
                ATTRIBUTE_MESSAGE => {
                    let text = value.strip_suffix(&[0]).unwrap_or(value);
                    refusal.message = Some(String::from_utf8_lossy(text).into_owned());
                }
                ATTRIBUTE_OFFSET => refusal.offset = read_u32(value, 0),
                ATTRIBUTE_MISSING => refusal.missing = read_u32(value, 0),
                _ => {}
            }
        }
    }
}

/// Splits a datagram into its messages; stops at the first that is cut off.
pub(crate) fn frames(mut datagram: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let length = read_u32(datagram, 0)? as usize;
        let payload = datagram.get(HEADER..length)?;
        let frame = Frame {
            kind: read_u16(datagram, 4)?,
            flags: read_u16(datagram, 6)?,
            sequence: read_u32(datagram, 8)?,
            port: read_u32(datagram, 12)?,
            payload,
        };
        datagram = datagram.get(align(length)..).unwrap_or_default();
        Some(frame)
    })
}

/// Splits attributes into type (without its flag bits) and value; stops at the first cut off.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(read_u16(bytes, 0)?);
        let kind = read_u16(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(field.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn framed_messages_are_read_back_and_padded() {
        let request = Request { kind: 16, flags: libc::NLM_F_CREATE as u16, payload: vec![1, 2, 3, 4, 5] };
        let mut bytes = Vec::new();
        request.frame(libc::NLM_F_ACK as u16, 7, &mut bytes);
        request.frame(0, 8, &mut bytes);
        assert_eq!(bytes.len(), 2 * request.framed_len());
        let seen: Vec<_> = frames(&bytes).map(|frame| (frame.kind, frame.sequence, frame.payload.to_vec())).collect();
        let payload = request.payload;
        assert_eq!(seen, [(16, 7, payload.clone()), (16, 8, payload)]);
    }

    #[test]
    fn extended_attributes_follow_the_echo() {
        let mut payload = (-libc::EINVAL).to_ne_bytes().to_vec();
        payload.extend_from_slice(&20u32.to_ne_bytes());
        payload.extend_from_slice(&[0; 16]);
        payload.extend_from_slice(&[7, 0, 1, 0, b'n', b'o', 0, 0]);
        payload.extend_from_slice(&[8, 0, 2, 0]);
        payload.extend_from_slice(&36u32.to_ne_bytes());
        let frame = Frame { kind: libc::NLMSG_ERROR as u16, flags: ACK_TLVS, sequence: 1, port: 0, payload: &payload };
        let refusal = frame.answer().expect_err("the error number is not zero");
        assert_eq!(refusal.errno, libc::EINVAL);
        assert_eq!(refusal.message.as_deref(), Some("no"));
        assert_eq!(refusal.offset, Some(36));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for frame in frames(&bytes) {
                let _ = frame.answer();
            }
            prop_assert!(attributes(&bytes).count() <= 50);
        }
    }
}
