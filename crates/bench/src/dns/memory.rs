//! What a process has in memory.

use std::fs;

use rustix::process::Pid;

use crate::Outcome;

/// What a process has in memory, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All that is resident.
    pub(crate) resident: u64,
    /// The same, with pages that others have too counted in proportion.
    pub(crate) proportional: u64,
}

impl Memory {
    /// Asks the kernel about a process.
    pub(crate) fn of(pid: Pid) -> Outcome<Self> {
        let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
        parse(&fs::read_to_string(&path)?).ok_or_else(|| format!("{path} has no Rss or no Pss").into())
    }
}

fn parse(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory { resident: field("Rss:")?, proportional: field("Pss:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read() {
        let text = "0-1 ---p 0 0:0 0 [rollup]\nRss:   6120 kB\nPss:   4200 kB\nPss_Dirty:  10 kB\n";
        assert_eq!(parse(text), Some(Memory { resident: 6120, proportional: 4200 }));
        assert_eq!(parse("Rss: 1 kB\n"), None);
    }
}
