//! Counting what `cargo test` prints.

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn parse(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let mut tally = Self::default();
        let (mut passed, mut failed) = (false, false);
        for part in counts.split(['.', ';']) {
            let Some((count, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(count) = count.parse() else { continue };
            match what {
                "passed" => (tally.passed, passed) = (count, true),
                "failed" => (tally.failed, failed) = (count, true),
                "ignored" => tally.ignored = count,
                _ => {}
            }
        }
        (passed && failed).then_some(tally)
    }
}

/// What one test program said so far.
struct Program {
    name: String,
    tally: Option<Tally>,
    /// Documentation tests print several results that add up.
    adds: bool,
}

/// The programs of one `cargo test`.
///
/// A kernel test runs itself again in a namespace, and the output of that run holds a result line too. So of each program only
/// the last result counts.
#[derive(Default)]
pub(super) struct Results {
    programs: Vec<Program>,
}

impl Results {
    /// Takes one line of cargo's output.
    pub(super) fn line(&mut self, line: &str) {
        let line = without_colour(line);
        let line = line.trim_end();
        if let Some(program) = heading(line) {
            self.programs.push(program);
        } else if let (Some(tally), Some(program)) = (Tally::parse(line), self.programs.last_mut()) {
            match &mut program.tally {
                Some(sum) if program.adds => sum.add(tally),
                last => *last = Some(tally),
            }
        }
    }

    /// Returns the sum, and the programs that ended without a result: each counts as one failure.
    pub(super) fn finish(self) -> (Tally, Vec<String>) {
        let mut sum = Tally::default();
        let mut silent = Vec::new();
        for program in self.programs {
            match program.tally {
                Some(tally) => sum.add(tally),
                None => {
                    sum.failed += 1;
                    silent.push(program.name);
                }
            }
        }
        (sum, silent)
    }
}

/// Recognises the line with which cargo announces a test program.
fn heading(line: &str) -> Option<Program> {
    let program = |name: &str, adds| Program { name: name.to_owned(), tally: None, adds };
    if let Some(name) = line.strip_prefix("     Running ") {
        return (name.ends_with(')') && name.contains(" (")).then(|| program(name, false));
    }
    let name = line.strip_prefix("   Doc-tests ")?;
    Some(program(&format!("doc-tests of {name}"), true))
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64, ignored: u64, silent: &[&str]) {
        let mut results = Results::default();
        output.lines().for_each(|line| results.line(line));
        let (tally, programs) = results.finish();
        assert_eq!(tally, Tally { passed, failed, ignored }, "{output}");
        assert_eq!(programs, silent);
    }

    const A: &str = "     Running unittests src/lib.rs (target/debug/deps/a-1)\n";
    const B: &str = "     Running tests/b.rs (target/debug/deps/b-2)\n";

    #[test]
    fn programs_are_summed() {
        let ok = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
        let bad = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n";
        check(&format!("{A}{ok}{B}{bad}"), 7, 2, 1, &[]);
    }

    #[test]
    fn a_run_inside_a_test_is_not_counted_twice() {
        let inner = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 6 filtered out; finished in 0s\n";
        let outer = "test result: FAILED. 6 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s\n";
        check(&format!("{A}{inner}{inner}{outer}"), 6, 1, 0, &[]);
    }

    #[test]
    fn a_crash_is_a_failure_with_a_name() {
        let ok = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
        check(&format!("{A}running 9 tests\n{B}{ok}"), 3, 1, 0, &["unittests src/lib.rs (target/debug/deps/a-1)"]);
    }

    #[test]
    fn parts_of_documentation_tests_add_up() {
        let one = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
        check(&format!("   Doc-tests pontoon\n{one}{one}"), 2, 0, 0, &[]);
    }

    #[test]
    fn colours_do_not_hide_anything() {
        let heading = "\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m tests/b.rs (b-2)\n";
        let ok = "test result: \u{1b}[32mok\u{1b}[m. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        check(&format!("{heading}{ok}"), 3, 0, 0, &[]);
    }

    #[test]
    fn words_alone_are_no_result() {
        check(&format!("{A}test result: as expected, 3 passed\n"), 0, 1, 0, &[&A[13..A.len() - 1]]);
    }
}
