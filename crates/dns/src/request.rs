//! Reading a query.

use domain::base::iana::{Opcode, Rtype};
use domain::base::opt::{Opt, OptRecord};
use domain::base::{Message, ParsedName, Question};

/// How a message travels; it is answered, and forwarded, the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams, which may be too small for an answer.
    Udp,
    /// A connection, on which each message comes after its length.
    Tcp,
}

impl Transport {
    /// Returns the size of the largest message, given what the client says of itself (RFC 6891 §6.2.3).
    pub(crate) fn limit(self, edns: Option<Edns>) -> usize {
        match self {
            // The largest datagram of IPv4 carries 65507 bytes.
            Self::Udp => usize::from(edns.map_or(0, |edns| edns.payload).clamp(512, 65507)),
            Self::Tcp => usize::from(u16::MAX),
        }
    }
}

/// What a client says of itself in an OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) payload: u16,
    pub(crate) version: u8,
}

/// A query, of which only the first question counts.
pub(crate) struct Request<'a> {
    pub(crate) message: &'a Message<[u8]>,
    pub(crate) question: Question<ParsedName<&'a [u8]>>,
    pub(crate) edns: Option<Edns>,
}

/// What a message turned out to be.
pub(crate) enum Read<'a> {
    Query(Request<'a>),
    /// A query that cannot be read beyond its header.
    Malformed(&'a Message<[u8]>),
    /// A request for something else: a notification, an update.
    NotImplemented(&'a Message<[u8]>),
    /// Not to be answered: no header, an answer, or nothing is asked.
    Nothing,
}

/// Reads a message.
pub(crate) fn read(octets: &[u8]) -> Read<'_> {
    let Ok(message) = Message::from_slice(octets) else { return Read::Nothing };
    let header = message.header();
    // Answers are never answered: two resolvers could talk for ever.
    if header.qr() {
        return Read::Nothing;
    }
    if header.opcode() != Opcode::QUERY {
        return Read::NotImplemented(message);
    }
    if message.header_counts().qdcount() == 0 {
        return Read::Nothing;
    }
    match (message.first_question(), edns(message)) {
        (Some(question), Ok(edns)) => Read::Query(Request { message, question, edns }),
        _ => Read::Malformed(message),
    }
}

/// The message cannot be read.
struct Unreadable;

/// Looks for the OPT record, of which there is at most one (RFC 6891 §6.1.1), and so reads the whole message.
fn edns(message: &Message<[u8]>) -> Result<Option<Edns>, Unreadable> {
    let mut found = None;
    for record in message.additional().map_err(|_| Unreadable)? {
        let record = record.map_err(|_| Unreadable)?;
        if record.rtype() != Rtype::OPT {
            continue;
        }
        let root = record.owner().is_root();
        let record = record.into_record::<Opt<_>>().map_err(|_| Unreadable)?.ok_or(Unreadable)?;
        let record = OptRecord::from(record);
        let edns = Edns { payload: record.udp_payload_size(), version: record.version() };
        if !root || found.replace(edns).is_some() {
            return Err(Unreadable);
        }
    }
    Ok(found)
}
