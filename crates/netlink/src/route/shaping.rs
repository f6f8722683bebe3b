//! How fast links send: token buckets, and redirecting what arrives to a link that has one.
//!
//! Attributes and structures are those of `linux/pkt_sched.h`, `linux/pkt_cls.h` and `linux/tc_act/tc_mirred.h`; numbers are in
//! the machine's byte order.

use crate::nft::attributes::{Writer, find, read};
use crate::{Error, Request, Socket};

/// `TC_H_ROOT`: what a link sends.
const ROOT: u32 = 0xffff_ffff;
/// `TC_H_INGRESS`: what arrives at a link.
const INGRESS: u32 = 0xffff_fff1;
/// The only handle that the discipline of what arrives may have.
const INGRESS_HANDLE: u32 = 0xffff_0000;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;

/// Length of `struct tcmsg`.
const HEADER: usize = 20;
/// Length of `struct tc_ratespec`; the rate is its last number.
const RATE: usize = 12;
/// `TC_LINKLAYER_ETHERNET`: without it the kernel asks for a table of transmission times.
const ETHERNET: u8 = 1;
/// The kernel counts a bucket's depth in steps of so many nanoseconds (`PSCHED_SHIFT`, net/pkt_sched.h).
const TICK: u64 = 64;
/// Of all protocols (`ETH_P_ALL`), with the first priority.
const EVERYTHING: u32 = 1 << 16 | (libc::ETH_P_ALL as u16).to_be() as u32;
/// `TC_U32_TERMINAL`: the filter decides.
const TERMINAL: u8 = 1;
/// `TC_ACT_STOLEN`.
const STOLEN: u32 = 4;
/// `TCA_EGRESS_REDIR`.
const REDIRECT: u32 = 1;

/// A token bucket (`tbf`): what a link sends waits until there are tokens for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// Bytes per second.
    pub rate: u64,
    /// How many bytes may be sent at once after a pause. One that was read may differ from what was set by the bytes of 64 ns.
    pub burst: u32,
    /// How many bytes may wait.
    pub limit: u32,
}

impl TokenBucket {
    /// Returns the request by which a link sends through it, whatever it sent through before; refused with `ENOENT` if the
    /// kernel has no token buckets.
    pub fn replace(&self, link: u32) -> Request {
        const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        request(libc::RTM_NEWQDISC, REPLACE, [link, 0, ROOT, 0], |message| {
            message.text(TCA_KIND, "tbf");
            message.nest(TCA_OPTIONS, |options| {
                options.bytes(TCA_TBF_PARMS, &self.parameters());
                options.bytes(TCA_TBF_RATE64, &self.rate.to_ne_bytes());
                options.bytes(TCA_TBF_BURST, &self.burst.to_ne_bytes());
            });
        })
    }

    /// Encodes `struct tc_tbf_qopt`: rate, peak rate, limit, and two numbers that other attributes say.
    fn parameters(&self) -> Vec<u8> {
        let mut bytes = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
        // A rate that needs 64 bits has an attribute of its own.
        let rate = u32::try_from(self.rate).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&rate.to_ne_bytes());
        bytes.extend_from_slice(&[0; RATE]);
        bytes.extend_from_slice(&self.limit.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes
    }

    fn decode(options: &[u8]) -> Option<Self> {
        let parameters = find(options, TCA_TBF_PARMS)?;
        let (limit, ticks) = (number(parameters, 2 * RATE)?, number(parameters, 2 * RATE + 4)?);
        let rate = match find(options, TCA_TBF_RATE64).and_then(|value| value.first_chunk()) {
            Some(rate) => u64::from_ne_bytes(*rate),
            None => u64::from(number(parameters, RATE - 4)?),
        };
        let burst = u128::from(ticks) * u128::from(TICK) * u128::from(rate) / 1_000_000_000;
        Some(Self { rate, burst: u32::try_from(burst).unwrap_or(u32::MAX), limit })
    }
}

/// Returns the request by which a link sends as the kernel has it by itself; refused with `ENOENT` if it does already.
pub fn delete_root(link: u32) -> Request {
    request(libc::RTM_DELQDISC, 0, [link, 0, ROOT, 0], |_| {})
}

/// Returns the request after which what arrives at a link can be redirected; refused with `EEXIST` if it can be already.
pub fn add_ingress(link: u32) -> Request {
    request(libc::RTM_NEWQDISC, super::CREATE, [link, INGRESS_HANDLE, INGRESS, 0], |message| {
        message.text(TCA_KIND, "ingress");
    })
}

/// Returns the request that undoes [`add_ingress`], with everything that was redirected.
pub fn delete_ingress(link: u32) -> Request {
    request(libc::RTM_DELQDISC, 0, [link, INGRESS_HANDLE, INGRESS, 0], |_| {})
}

/// Returns the request that redirects everything that arrives at a link to what another one sends, by an `u32` filter without
/// keys; [`add_ingress`] comes before it. Refused with `ENOENT` if the kernel lacks `u32` or `mirred`.
pub fn redirect_all(link: u32, to: u32) -> Request {
    request(libc::RTM_NEWTFILTER, super::CREATE, [link, 0, INGRESS_HANDLE, EVERYTHING], |message| {
        message.text(TCA_KIND, "u32");
        message.nest(TCA_OPTIONS, |options| {
            // `struct tc_u32_sel`.
            let mut selector = [0; 16];
            selector[0] = TERMINAL;
            options.bytes(TCA_U32_SEL, &selector);
            options.nest(TCA_U32_ACT, |actions| {
                actions.nest(1, |action| {
                    action.text(TCA_ACT_KIND, "mirred");
                    action.nest(TCA_ACT_OPTIONS, |options| options.bytes(TCA_MIRRED_PARMS, &mirred(to)));
                });
            });
        });
    })
}

/// Encodes `struct tc_mirred`: index, capabilities, what becomes of the packet, two reference counts, what is done, and where.
fn mirred(to: u32) -> Vec<u8> {
    [0, 0, STOLEN, 0, 0, REDIRECT, to].into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// Lists the links that send through a token bucket, by index.
pub fn buckets(socket: &mut Socket) -> Result<Vec<(u32, TokenBucket)>, Error> {
    let listed = socket.dump(&request(libc::RTM_GETQDISC, 0, [0; 4], |_| {}))?;
    let of = |payload: &[u8]| {
        let (link, parent) = (number(payload, 4)?, number(payload, 12)?);
        let options = options(payload, "tbf").filter(|_| parent == ROOT)?;
        Some((link, TokenBucket::decode(options)?))
    };
    Ok(listed.iter().filter_map(|(_, payload)| of(payload)).collect())
}

/// Lists the indices of the links to which everything is redirected that arrives at a link; none if there is no such link.
pub fn redirects(socket: &mut Socket, link: u32) -> Result<Vec<u32>, Error> {
    let listed = match socket.dump(&request(libc::RTM_GETTFILTER, 0, [link, 0, INGRESS_HANDLE, 0], |_| {})) {
        Err(Error::Refused(refusal)) if refusal.errno == libc::ENODEV => Vec::new(),
        listed => listed?,
    };
    let everything = |payload: &&[u8]| number(payload, 16) == Some(EVERYTHING);
    let payloads = listed.iter().map(|(_, payload)| payload.as_slice()).filter(everything);
    Ok(payloads.filter_map(|payload| redirected(options(payload, "u32")?)).collect())
}

/// Returns where a filter without keys redirects to.
fn redirected(options: &[u8]) -> Option<u32> {
    let keys = *find(options, TCA_U32_SEL)?.get(2)?;
    let (_, action) = read(find(options, TCA_U32_ACT)?).next()?;
    let is_mirred = find(action, TCA_ACT_KIND)?.starts_with(b"mirred\0");
    let mirred = find(find(action, TCA_ACT_OPTIONS)?, TCA_MIRRED_PARMS)?;
    let redirects = number(mirred, 20)? == REDIRECT;
    number(mirred, 24).filter(|_| keys == 0 && is_mirred && redirects)
}

/// Returns the options of a discipline or a filter of that kind.
fn options<'a>(payload: &'a [u8], kind: &str) -> Option<&'a [u8]> {
    let attributes = payload.get(HEADER..)?;
    let found = find(attributes, TCA_KIND)?;
    (found.strip_suffix(&[0])? == kind.as_bytes()).then(|| find(attributes, TCA_OPTIONS))?
}

/// Frames a message: `struct tcmsg` with interface, handle, parent and info, and attributes.
fn request(kind: u16, flags: u16, header: [u32; 4], write: impl FnOnce(&mut Writer)) -> Request {
    let mut payload = vec![0; 4];
    payload.extend(header.into_iter().flat_map(u32::to_ne_bytes));
    let mut attributes = Writer::default();
    write(&mut attributes);
    payload.extend(attributes.into_bytes());
    Request { kind, flags, payload }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let slow = TokenBucket { rate: 1_000_000, burst: 66_560, limit: 133_120 };
        let payload = TokenBucket { rate: 1 << 40, ..slow }.replace(7).payload;
        let read = TokenBucket::decode(options(&payload, "tbf").expect("of that kind")).expect("decodes");
        // The depth in ticks is the kernel's to say.
        assert_eq!(read, TokenBucket { rate: 1 << 40, burst: 0, ..slow });
        assert_eq!(number(&payload, 4), Some(7));
        let payload = redirect_all(7, 8).payload;
        assert_eq!(redirected(options(&payload, "u32").expect("of that kind")), Some(8));
        assert!(options(&payload, "tbf").is_none());
    }

    #[test]
    fn truncated_messages_are_survived() {
        for payload in [redirect_all(7, 8).payload, TokenBucket { rate: 1, burst: 1, limit: 1 }.replace(7).payload] {
            for end in 0..payload.len() {
                for kind in ["u32", "tbf"] {
                    let _ = options(&payload[..end], kind).map(|it| (redirected(it), TokenBucket::decode(it)));
                }
            }
        }
    }
}
