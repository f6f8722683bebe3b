//! Writing an answer.

use std::net::IpAddr;

use domain::base::iana::{OptRcode, Rcode};
use domain::base::message_builder::{
    AdditionalBuilder, AnswerBuilder, PushError, RecordSectionBuilder, StaticCompressor,
};
use domain::base::{Header, HeaderSection, Message, MessageBuilder, Name, ToName, Ttl};
use domain::rdata::{A, Aaaa, Ptr, Srv};

use crate::request::{Request, Transport};
use crate::zone::Target;

/// How long clients may keep an answer.
const TTL: Ttl = Ttl::from_secs(600);

/// The size of an OPT record without options.
const OPT_SIZE: usize = 11;

/// The largest query that we say we take. What comes over the loopback interface is not fragmented.
const PAYLOAD: u16 = 4096;

type Octets = StaticCompressor<Vec<u8>>;

/// Returns an answer that is only a code.
pub(crate) fn code(request: &Request<'_>, transport: Transport, code: OptRcode) -> Vec<u8> {
    finish(start(request, transport).additional(), request, code)
}

/// Returns the answer to a message of which only the header can be relied on.
pub(crate) fn without_question(message: &Message<[u8]>, code: Rcode) -> Vec<u8> {
    let mut section = HeaderSection::new();
    *section.header_mut() = header(message, code);
    section.as_slice().to_vec()
}

/// Returns the answer with the addresses of the name that was asked for.
pub(crate) fn addresses(request: &Request<'_>, transport: Transport, addresses: &[IpAddr]) -> Vec<u8> {
    let mut answer = start(request, transport);
    let pushed = addresses.iter().try_for_each(|&ip| push_address(&mut answer, request.question.qname(), ip));
    answer.header_mut().set_tc(pushed.is_err());
    finish(answer.additional(), request, OptRcode::NOERROR)
}

/// Returns the answer with the name of the address that was asked for.
pub(crate) fn pointer(request: &Request<'_>, transport: Transport, target: &Name<Vec<u8>>) -> Vec<u8> {
    let mut answer = start(request, transport);
    let pushed = answer.push((request.question.qname(), TTL, Ptr::new(target)));
    answer.header_mut().set_tc(pushed.is_err());
    finish(answer.additional(), request, OptRcode::NOERROR)
}

/// Returns the answer with the targets of a service, and beside it their addresses.
pub(crate) fn services(request: &Request<'_>, transport: Transport, targets: &[Target<Name<Vec<u8>>>]) -> Vec<u8> {
    let owner = request.question.qname();
    let mut answer = start(request, transport);
    let pushed = targets.iter().try_for_each(|target| {
        // Without priorities or weights: every target is as good.
        answer.push((owner, TTL, Srv::new(0, 0, target.port, &target.name)))
    });
    let mut additional = answer.additional();
    let pushed = pushed.and_then(|()| {
        let mut each = targets.iter().flat_map(|target| target.addresses.iter().map(move |&ip| (&target.name, ip)));
        each.try_for_each(|(name, ip)| push_address(&mut additional, name, ip))
    });
    additional.header_mut().set_tc(pushed.is_err());
    finish(additional, request, OptRcode::NOERROR)
}

/// Starts an answer, in which room is kept for the record that `finish` adds.
fn start(request: &Request<'_>, transport: Transport) -> AnswerBuilder<Octets> {
    let octets = StaticCompressor::new(Vec::with_capacity(512));
    let mut builder = MessageBuilder::from_target(octets).expect("a vector has room for a header");
    *builder.header_mut() = header(request.message, Rcode::NOERROR);
    let room = transport.limit(request.edns) - request.edns.map_or(0, |_| OPT_SIZE);
    // The builder refuses what reaches its limit, not only what exceeds it.
    builder.set_push_limit(room + 1);
    let mut builder = builder.question();
    builder.push(request.question).expect("a question of at most 259 bytes has room in 512");
    builder.answer()
}

/// Ends an answer; who spoke EDNS is answered in it (RFC 6891 §6.1.1).
fn finish(mut additional: AdditionalBuilder<Octets>, request: &Request<'_>, code: OptRcode) -> Vec<u8> {
    additional.header_mut().set_rcode(code.rcode());
    if request.edns.is_some() {
        additional.clear_push_limit();
        let opt = additional.opt(|opt| {
            opt.set_udp_payload_size(PAYLOAD);
            opt.set_rcode(code);
            Ok(())
        });
        opt.expect("room was kept for this record");
    }
    additional.finish().into_target()
}

fn push_address(
    section: &mut impl RecordSectionBuilder<Octets>,
    owner: impl ToName,
    address: IpAddr,
) -> Result<(), PushError> {
    match address {
        IpAddr::V4(address) => section.push((owner, TTL, A::new(address))),
        IpAddr::V6(address) => section.push((owner, TTL, Aaaa::new(address))),
    }
}

/// Returns the header of an answer: recursion is available, and nobody speaks with authority.
fn header(message: &Message<[u8]>, code: Rcode) -> Header {
    let asked = message.header();
    let mut header = Header::new();
    header.set_id(asked.id());
    header.set_opcode(asked.opcode());
    header.set_qr(true);
    header.set_rd(asked.rd());
    header.set_ra(true);
    header.set_cd(asked.cd());
    header.set_rcode(code);
    header
}
