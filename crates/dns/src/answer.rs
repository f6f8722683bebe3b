//! Deciding what becomes of a query.

use std::net::IpAddr;

use domain::base::Name;
use domain::base::iana::{Class, OptRcode, Rcode, Rtype};

use crate::name::QueryName;
use crate::reply;
use crate::request::{Read, Request, Transport, read};
use crate::view::View;
use crate::zone::Target;

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is answered with this message.
    Reply(Vec<u8>),
    /// Other servers are asked.
    Forward,
    /// It is ignored.
    Drop,
}

/// Decides what becomes of a query from a sandbox that sees `view`.
///
/// `below` returns a random number below its argument, which is at least 1; it puts addresses in an order.
pub fn answer(query: &[u8], view: &View, transport: Transport, below: &mut impl FnMut(usize) -> usize) -> Decision {
    let request = match read(query) {
        Read::Query(request) => request,
        Read::Malformed(message) => return Decision::Reply(reply::without_question(message, Rcode::FORMERR)),
        Read::NotImplemented(message) => return Decision::Reply(reply::without_question(message, Rcode::NOTIMP)),
        Read::Nothing => return Decision::Drop,
    };
    if request.edns.is_some_and(|edns| edns.version != 0) {
        return Decision::Reply(reply::code(&request, transport, OptRcode::BADVERS));
    }
    Decision::Reply(match find(&request, view, below) {
        Found::Addresses(addresses) => reply::addresses(&request, transport, &addresses),
        Found::Pointer(target) => reply::pointer(&request, transport, &target),
        Found::Services(targets) => reply::services(&request, transport, &targets),
        Found::Unencodable => reply::code(&request, transport, OptRcode::SERVFAIL),
        Found::Nothing if stays(&request, view) => reply::code(&request, transport, OptRcode::NOERROR),
        Found::Nothing => return Decision::Forward,
    })
}

/// Returns the answer to a query that could not be answered, or nothing for what is no query.
pub(crate) fn failure(query: &[u8], transport: Transport, code: OptRcode) -> Option<Vec<u8>> {
    match read(query) {
        Read::Query(request) => Some(reply::code(&request, transport, code)),
        Read::Malformed(message) | Read::NotImplemented(message) => {
            Some(reply::without_question(message, code.rcode()))
        }
        Read::Nothing => None,
    }
}

/// What the networks of a sandbox know.
enum Found {
    /// A name, and its addresses of the family that was asked for.
    Addresses(Vec<IpAddr>),
    Pointer(Name<Vec<u8>>),
    Services(Vec<Target<Name<Vec<u8>>>>),
    /// Something that messages cannot carry.
    Unencodable,
    Nothing,
}

fn find(request: &Request<'_>, view: &View, below: &mut impl FnMut(usize) -> usize) -> Found {
    let question = &request.question;
    if question.qclass() != Class::IN {
        return Found::Nothing;
    }
    let Some(name) = QueryName::read(question.qname()) else { return Found::Nothing };
    match question.qtype() {
        // A name that has addresses of the other family only is known: other servers would not know better.
        Rtype::A => addresses(view.addresses(&name), IpAddr::is_ipv4, below),
        Rtype::AAAA => addresses(view.addresses(&name), IpAddr::is_ipv6, below),
        Rtype::MX => addresses(view.addresses(&name), |_| false, below),
        Rtype::PTR => match name.reverse_address().and_then(|address| view.pointer(&address)) {
            Some(target) => target.map_or(Found::Unencodable, Found::Pointer),
            None => Found::Nothing,
        },
        Rtype::SRV => services(view.services(&name)),
        _ => Found::Nothing,
    }
}

fn addresses(
    found: Option<Vec<IpAddr>>,
    wanted: impl Fn(&IpAddr) -> bool,
    below: &mut impl FnMut(usize) -> usize,
) -> Found {
    let Some(mut addresses) = found else { return Found::Nothing };
    addresses.retain(wanted);
    for last in (1..addresses.len()).rev() {
        addresses.swap(last, below(last + 1).min(last));
    }
    Found::Addresses(addresses)
}

fn services(found: Option<Vec<Target>>) -> Found {
    let Some(targets) = found else { return Found::Nothing };
    let encodable = targets.into_iter().map(Target::encodable).collect::<Option<_>>();
    encodable.map_or(Found::Unencodable, Found::Services)
}

/// A search list will be tried for names of one label; other servers would say that there is no such name, and the
/// client might stop there.
fn stays(request: &Request<'_>, view: &View) -> bool {
    let question = &request.question;
    let address = matches!(question.qtype(), Rtype::A | Rtype::AAAA);
    // The root counts as a label.
    address && question.qname().label_count() <= 2 && view.keeps_single_labels()
}
