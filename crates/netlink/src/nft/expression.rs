//! Turning statements into the expressions of the kernel's virtual machine.
//!
//! ```text
//! register 1..4   16 bytes each, where values go; 8.. the same in 4-byte words
//! meta, payload, ct, fib   load into a register
//! bitwise, cmp, lookup     change it, stop the rule unless it fits
//! nat, masq, immediate     act on registers
//! ```

use std::net::IpAddr;

use super::attributes::Writer;
use super::element::Value;
use super::numbers::{LIST_ELEMENT, data, expression};
use super::set::{ANONYMOUS_NAME, DataType};
use super::statement::{Field, IpVersion, Membership, NatData, NatTarget, RejectWith, Relation, SourcePort, Statement};
use super::table::{Family, Verdict};

mod field;

use field::{NetworkLayer, Source};

const VERDICT_REGISTER: u32 = 0;
const NAT_SOURCE: u32 = 0;
const NAT_DESTINATION: u32 = 1;
const NAT_PORT_GIVEN: u32 = 1 << 1;
const NAT_RANDOM_PORT: u32 = 1 << 4;
const META_MARK: u32 = 3;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;

/// A set that a rule brings along.
#[derive(Debug)]
pub(super) struct AnonymousSet<'a> {
    pub(super) id: u32,
    pub(super) key: DataType,
    pub(super) values: &'a [Value],
}

/// The sets that the statements of a rule bring along; `first` is the number
/// of the first one and must not be used twice in a transaction.
pub(super) fn anonymous_sets(statements: &[Statement], first: u32) -> Vec<AnonymousSet<'_>> {
    statements
        .iter()
        .filter_map(|statement| match statement {
            Statement::AnyOf { field, values } => Some((field.data_type(), values)),
            _ => None,
        })
        .zip(first..)
        .map(|((key, values), id)| AnonymousSet { id, key, values })
        .collect()
}

/// Writes the list of expressions. `first_set` is as in [`anonymous_sets`].
pub(super) fn write(statements: &[Statement], family: Family, first_set: u32, list: &mut Writer) {
    let mut program = Program { list, family, layer: None, next_set: first_set };
    for statement in statements {
        program.statement(statement);
    }
}

/// Number of the register whose 4-byte words start at `word`.
fn register(word: u32) -> u32 {
    match word % 4 {
        0 => 1 + word / 4,
        _ => 8 + word,
    }
}

/// A rule being written.
struct Program<'a> {
    list: &'a mut Writer,
    family: Family,
    /// The network protocol that the rule has already compared.
    layer: Option<NetworkLayer>,
    next_set: u32,
}

impl Program<'_> {
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Compare { field, relation, value } => {
                self.load(&[*field]);
                self.compare(*relation, &value.bytes());
            }
            Statement::CompareBits { field, mask, relation, value } => {
                self.load(&[*field]);
                self.keep_bits(&mask.to_ne_bytes());
                self.compare(*relation, &value.to_ne_bytes());
            }
            Statement::Prefix { field, relation, address, length } => self.prefix(*field, *relation, *address, *length),
            Statement::AnyOf { field, .. } => {
                self.load(&[*field]);
                let id = self.next_set;
                self.next_set += 1;
                self.lookup(ANONYMOUS_NAME, |lookup| lookup.u32(lookup::SET_ID, id));
            }
            Statement::Lookup { fields, relation, set } => {
                self.load(fields);
                self.lookup(set, |lookup| {
                    if *relation == Membership::NotIn {
                        lookup.u32(lookup::FLAGS, lookup::INVERTED);
                    }
                });
            }
            Statement::VerdictMap { fields, map } => {
                self.load(fields);
                self.lookup_into(map, VERDICT_REGISTER);
            }
            Statement::ConnectionState(states) => self.connection(CT_STATE, states.0),
            Statement::ConnectionStatus(status) => self.connection(CT_STATUS, status.0),
            action => self.action(action),
        }
    }

    fn action(&mut self, statement: &Statement) {
        match statement {
            Statement::Dnat(target) => self.nat(NAT_DESTINATION, target),
            Statement::Snat(target) => self.nat(NAT_SOURCE, target),
            Statement::Masquerade(port) => self.expression("masq", |masq| {
                if *port == SourcePort::Random {
                    masq.u32(1, NAT_RANDOM_PORT);
                }
            }),
            Statement::Redirect(port) => {
                self.immediate(0, &port.to_be_bytes());
                self.expression("redir", |redirect| {
                    redirect.u32(1, register(0));
                    redirect.u32(3, NAT_PORT_GIVEN);
                });
            }
            Statement::SetMark(mark) => {
                self.immediate(0, &mark.to_ne_bytes());
                self.expression("meta", |meta| {
                    meta.u32(2, META_MARK);
                    meta.u32(3, register(0));
                });
            }
            Statement::Counter => self.expression("counter", |counter| {
                counter.u64(1, 0);
                counter.u64(2, 0);
            }),
            Statement::Reject(with) => self.reject(*with),
            Statement::Verdict(verdict) => self.verdict(verdict),
            // Comparisons, which `statement` has written.
            _ => {}
        }
    }

    fn expression(&mut self, name: &str, write: impl FnOnce(&mut Writer)) {
        self.list.nest(LIST_ELEMENT, |one| {
            one.text(expression::NAME, name);
            one.nest(expression::DATA, write);
        });
    }

    /// Loads the fields behind each other into the registers.
    fn load(&mut self, fields: &[Field]) {
        for field in fields {
            if let Some(layer) = field.layer() {
                self.require(layer);
            }
        }
        let mut word = 0;
        for field in fields {
            self.load_from(field.source(), register(word));
            word += field.data_type().length().div_ceil(4);
        }
    }

    fn load_from(&mut self, source: Source, register: u32) {
        match source {
            Source::Meta(key) => self.expression("meta", |meta| {
                meta.u32(2, key);
                meta.u32(1, register);
            }),
            Source::Connection(key) => self.expression("ct", |connection| {
                connection.u32(2, key);
                connection.u32(1, register);
            }),
            Source::Fib { flags } => self.expression("fib", |fib| {
                const ADDRESS_TYPE: u32 = 3;
                fib.u32(3, flags);
                fib.u32(2, ADDRESS_TYPE);
                fib.u32(1, register);
            }),
            Source::Payload { base, offset, length } => self.expression("payload", |payload| {
                payload.u32(1, register);
                payload.u32(2, base);
                payload.u32(3, offset);
                payload.u32(4, length);
            }),
        }
    }

    /// Compares the network protocol once where the family leaves it open.
    fn require(&mut self, layer: NetworkLayer) {
        if self.layer.replace(layer) == Some(layer) {
            return;
        }
        if let Some((key, value)) = layer.check(self.family) {
            self.load_from(Source::Meta(key), register(0));
            self.compare(Relation::Equal, &value);
        }
    }

    fn compare(&mut self, relation: Relation, value: &[u8]) {
        let operation = match relation {
            Relation::Equal => 0,
            Relation::NotEqual => 1,
            Relation::Less => 2,
            Relation::LessOrEqual => 3,
            Relation::Greater => 4,
            Relation::GreaterOrEqual => 5,
        };
        self.expression("cmp", |compare| {
            compare.u32(1, register(0));
            compare.u32(2, operation);
            compare.nest(3, |bytes| bytes.bytes(data::VALUE, value));
        });
    }

    fn keep_bits(&mut self, mask: &[u8]) {
        let length = u32::try_from(mask.len()).expect("a mask is as long as a field");
        self.expression("bitwise", |bitwise| {
            bitwise.u32(1, register(0));
            bitwise.u32(2, register(0));
            bitwise.u32(6, 0);
            bitwise.u32(3, length);
            bitwise.nest(4, |bytes| bytes.bytes(data::VALUE, mask));
            bitwise.nest(5, |bytes| bytes.bytes(data::VALUE, &vec![0; mask.len()]));
        });
    }

    /// Loads only the bytes that count if the prefix ends with a byte.
    fn prefix(&mut self, field: Field, relation: Membership, address: IpAddr, length: u8) {
        let relation = match relation {
            Membership::In => Relation::Equal,
            Membership::NotIn => Relation::NotEqual,
        };
        let octets = Value::Address(address).bytes();
        let bits = usize::from(length).min(octets.len() * 8);
        let whole = bits / 8;
        if let (0, 1.., Source::Payload { base, offset, .. }) = (bits % 8, whole, field.source()) {
            if let Some(layer) = field.layer() {
                self.require(layer);
            }
            let length = u32::from(length).min(field.data_type().length() * 8) / 8;
            let part = Source::Payload { base, offset, length };
            self.load_from(part, register(0));
            self.compare(relation, &octets[..whole]);
            return;
        }
        let mut mask = vec![0; octets.len()];
        mask[..whole].fill(u8::MAX);
        if bits % 8 != 0 {
            mask[whole] = u8::MAX << (8 - bits % 8);
        }
        let network: Vec<u8> = octets.iter().zip(&mask).map(|(o, m)| o & m).collect();
        self.load(&[field]);
        self.keep_bits(&mask);
        self.compare(relation, &network);
    }

    fn lookup(&mut self, set: &str, more: impl FnOnce(&mut Writer)) {
        self.expression("lookup", |lookup| {
            lookup.text(lookup::SET, set);
            lookup.u32(lookup::SOURCE, register(0));
            more(lookup);
        });
    }

    fn lookup_into(&mut self, map: &str, target: u32) {
        self.lookup(map, |lookup| lookup.u32(lookup::TARGET, target));
    }

    /// Holds if one of the bits is set.
    fn connection(&mut self, key: u32, bits: u32) {
        self.load_from(Source::Connection(key), register(0));
        self.keep_bits(&bits.to_ne_bytes());
        self.compare(Relation::NotEqual, &[0; 4]);
    }

    fn immediate(&mut self, word: u32, value: &[u8]) {
        self.expression("immediate", |immediate| {
            immediate.u32(1, register(word));
            immediate.nest(2, |bytes| bytes.bytes(data::VALUE, value));
        });
    }

    fn verdict(&mut self, verdict: &Verdict) {
        self.expression("immediate", |immediate| {
            immediate.u32(1, VERDICT_REGISTER);
            immediate.nest(2, |value| verdict.write(value));
        });
    }

    fn nat(&mut self, kind: u32, target: &NatTarget) {
        let (version, port) = match target {
            NatTarget::To(address, port) => {
                let version = IpVersion::of(*address);
                self.immediate(0, &Value::Address(*address).bytes());
                if let Some(port) = port {
                    self.immediate(version.address_words(), &port.to_be_bytes());
                }
                (version, port.is_some())
            }
            NatTarget::Map { version, fields, map, data } => {
                self.load(fields);
                self.lookup_into(map, register(0));
                (*version, *data == NatData::AddressAndPort)
            }
        };
        self.expression("nat", |nat| {
            nat.u32(1, kind);
            nat.u32(2, version.family_number());
            nat.u32(3, register(0));
            if port {
                nat.u32(5, register(version.address_words()));
                nat.u32(7, NAT_PORT_GIVEN);
            }
        });
    }

    fn reject(&mut self, with: RejectWith) {
        const TCP_RESET: u32 = 1;
        const ICMP_ANY: u32 = 2;
        let (kind, code) = match with {
            RejectWith::PortUnreachable => (ICMP_ANY, 1),
            RejectWith::AdminProhibited => (ICMP_ANY, 3),
            RejectWith::TcpReset => (TCP_RESET, 0),
        };
        self.expression("reject", |reject| {
            reject.u32(1, kind);
            reject.u8(2, code);
        });
    }
}

mod lookup {
    pub(super) const SET: u16 = 1;
    pub(super) const SOURCE: u16 = 2;
    pub(super) const TARGET: u16 = 3;
    pub(super) const SET_ID: u16 = 4;
    pub(super) const FLAGS: u16 = 5;
    pub(super) const INVERTED: u32 = 1;
}
