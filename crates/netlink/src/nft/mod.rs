//! nftables: tables, chains, sets and rules as plain data, sent to the kernel
//! as one transaction and read back.
//!
//! ```text
//! [Change] -> change, expression (encode) -> transaction -> kernel
//! Element  <- element (decode)            <- read        <- kernel
//! ```
//!
//! The `nft` program is not needed; what is stored beside the objects for it
//! (byte orders, comments) lets it print them.

pub(crate) mod attributes;
mod change;
mod element;
mod expression;
mod monitor;
mod numbers;
mod read;
mod set;
mod statement;
mod table;
mod transaction;
mod userdata;

pub use change::Change;
pub use element::{Element, ElementData, Part, Value};
pub use monitor::{Monitor, Notice, Transaction};
pub use read::{RuleInfo, chains, elements, rules, sets, tables};
pub use set::{DataType, Layout, MapData, Set, SetRef};
pub use statement::{
    ADDRESS_TYPE_LOCAL, ConnectionState, ConnectionStatus, Field, IpVersion, Membership, NatData, NatTarget,
    RejectWith, Relation, Rule, SourcePort, Statement,
};
pub use table::{BaseChain, Chain, ChainKind, Family, Hook, Ownership, Policy, Table, Verdict};
pub use transaction::{Failure, TransactionError, apply};
