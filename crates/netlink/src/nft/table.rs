//! Tables, chains and verdicts.

use super::attributes::{Writer, find, find_text, find_u32};
use super::numbers::{chain, data, table, userdata as records};
use super::userdata;

/// The packets that a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames that a bridge forwards.
    Bridge,
    /// ARP.
    Arp,
    /// Frames of single interfaces.
    Netdev,
}

impl Family {
    /// The number of the family, `NFPROTO_*` in the kernel.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The family with that number; none if this library does not know it.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6]
            .into_iter()
            .find(|family| family.number() == number)
    }
}

/// A table as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The packets it sees.
    pub family: Family,
    /// Its name, unique in the family.
    pub name: String,
    /// A note for people.
    pub comment: Option<String>,
    /// Who may change it.
    pub ownership: Ownership,
    /// Whether somebody put it to sleep (`NFT_TABLE_F_DORMANT`): it is there, and sees no packet.
    pub dormant: bool,
}

impl Table {
    pub(super) fn read(family: Family, attributes: &[u8]) -> Option<Self> {
        let flags = find_u32(attributes, table::FLAGS).unwrap_or(0);
        Some(Self {
            family,
            name: find_text(attributes, table::NAME)?,
            comment: read_comment(attributes, table::USERDATA),
            ownership: Ownership::from_flags(flags),
            dormant: flags & table::FLAG_DORMANT != 0,
        })
    }
}

/// Who may change a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// Everybody with the capability.
    #[default]
    Shared,
    /// Only the socket that made it; the table goes when the socket closes
    /// (kernel 5.12).
    Socket,
    /// Only the socket that made it; the table stays when the socket closes
    /// and can then be taken over by adding it again (kernel 6.9).
    Persistent,
}

impl Ownership {
    pub(super) fn flags(self) -> u32 {
        match self {
            Self::Shared => 0,
            Self::Socket => table::FLAG_OWNER,
            Self::Persistent => table::FLAG_OWNER | table::FLAG_PERSIST,
        }
    }

    fn from_flags(flags: u32) -> Self {
        if flags & table::FLAG_OWNER == 0 {
            Self::Shared
        } else if flags & table::FLAG_PERSIST == 0 {
            Self::Socket
        } else {
            Self::Persistent
        }
    }
}

/// A list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name, unique in the table.
    pub name: String,
    /// Where packets enter it; none for a chain that others jump to.
    pub base: Option<BaseChain>,
}

impl Chain {
    pub(super) fn write(&self, body: &mut Writer) {
        body.text(chain::NAME, &self.name);
        let Some(base) = &self.base else { return };
        body.text(chain::TYPE, base.kind.name());
        body.u32(chain::POLICY, u32::from(base.policy == Policy::Accept));
        body.nest(chain::HOOK, |hook| {
            hook.u32(chain::HOOK_NUMBER, base.hook.number());
            hook.bytes(chain::HOOK_PRIORITY, &base.priority.to_be_bytes());
        });
    }

    pub(super) fn read(attributes: &[u8]) -> Option<Self> {
        Some(Self { name: find_text(attributes, chain::NAME)?, base: BaseChain::read(attributes) })
    }
}

/// Where packets enter a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// The point in the packet's way.
    pub hook: Hook,
    /// What the chain may do.
    pub kind: ChainKind,
    /// Its order among the chains of the hook, the lowest first.
    pub priority: i32,
    /// What happens to packets that no rule decides about.
    pub policy: Policy,
}

impl BaseChain {
    fn read(attributes: &[u8]) -> Option<Self> {
        let hook = find(attributes, chain::HOOK)?;
        let kind = find_text(attributes, chain::TYPE)?;
        let policy = find_u32(attributes, chain::POLICY);
        Some(Self {
            hook: Hook::from_number(find_u32(hook, chain::HOOK_NUMBER)?)?,
            kind: ChainKind::from_name(&kind)?,
            priority: i32::from_be_bytes(*find(hook, chain::HOOK_PRIORITY)?.first_chunk()?),
            policy: match policy {
                Some(0) => Policy::Drop,
                _ => Policy::Accept,
            },
        })
    }
}

/// A point in the way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before the routing decision.
    Prerouting,
    /// To a local socket.
    Input,
    /// Through this host.
    Forward,
    /// From a local socket.
    Output,
    /// After the routing decision.
    Postrouting,
}

impl Hook {
    const ALL: [Self; 5] = [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.number() == number)
    }
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Accept and drop.
    Filter,
    /// Translate addresses; sees only the first packet of a flow.
    Nat,
    /// Change the route of packets that local sockets send.
    Route,
}

impl ChainKind {
    fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Filter, Self::Nat, Self::Route].into_iter().find(|kind| kind.name() == name)
    }
}

/// What happens to packets that no rule of a base chain decides about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They go on.
    #[default]
    Accept,
    /// They are lost.
    Drop,
}

/// A decision about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next base chain of the hook.
    Accept,
    /// It is lost.
    Drop,
    /// The next rule decides.
    Continue,
    /// The chain that jumped here goes on.
    Return,
    /// The named chain decides; if it does not, the next rule does.
    Jump(String),
    /// The named chain decides; if it does not, the caller of this one does.
    Goto(String),
}

impl Verdict {
    /// Writes the verdict as the value of a data attribute.
    pub(super) fn write(&self, body: &mut Writer) {
        let (code, target): (i32, _) = match self {
            Self::Drop => (0, None),
            Self::Accept => (1, None),
            Self::Continue => (-1, None),
            Self::Jump(target) => (-3, Some(target)),
            Self::Goto(target) => (-4, Some(target)),
            Self::Return => (-5, None),
        };
        body.nest(data::VERDICT, |verdict| {
            verdict.bytes(data::VERDICT_CODE, &code.to_be_bytes());
            if let Some(target) = target {
                verdict.text(data::VERDICT_CHAIN, target);
            }
        });
    }

    /// Reads the attributes inside a verdict; none for a code unknown here.
    pub(super) fn read(attributes: &[u8]) -> Option<Self> {
        let code = i32::from_be_bytes(*find(attributes, data::VERDICT_CODE)?.first_chunk()?);
        let target = || find_text(attributes, data::VERDICT_CHAIN);
        Some(match code {
            0 => Self::Drop,
            1 => Self::Accept,
            -1 => Self::Continue,
            -3 => Self::Jump(target()?),
            -4 => Self::Goto(target()?),
            -5 => Self::Return,
            _ => return None,
        })
    }
}

/// Reads the comment of a table, a chain or a rule.
pub(super) fn read_comment(attributes: &[u8], kind: u16) -> Option<String> {
    let stored = find(attributes, kind)?;
    userdata::find(stored, records::COMMENT).map(super::attributes::text)
}
