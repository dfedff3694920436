//! Reads from the output of test programs how many tests passed and failed.

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Passed.
    pub passed: u64,
    /// Failed, or did not end.
    pub failed: u64,
}

impl Count {
    /// Both counts together.
    pub(crate) fn plus(self, more: Self) -> Self {
        Self { passed: self.passed + more.passed, failed: self.failed + more.failed }
    }
}

/// What the summary lines of nextest and of Rust's own test programs in `output` add
/// up to.
pub(crate) fn count(output: &str) -> Count {
    output.lines().map(|line| summary(line.trim())).fold(Count::default(), Count::plus)
}

fn summary(line: &str) -> Count {
    let counts = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "));
    let counts = match counts {
        Some((_, counts)) => counts,
        None if line.starts_with("Summary [") => line.rsplit_once(": ").map_or("", |(_, c)| c),
        None => return Count::default(),
    };
    let parts = counts.split([',', ';']).map(str::trim);
    parts.map(part).fold(Count::default(), Count::plus)
}

/// `3 passed (1 slow)`, `2 failed`, `1 timed out`.
fn part(part: &str) -> Count {
    let Some((number, what)) = part.split_once(' ') else { return Count::default() };
    let Ok(number) = number.parse() else { return Count::default() };
    match what {
        what if what.starts_with("passed") => Count { passed: number, failed: 0 },
        "failed" | "timed out" | "exec failed" => Count { passed: 0, failed: number },
        _ => Count::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64) {
        assert_eq!(count(output), Count { passed, failed }, "{output}");
    }

    #[test]
    fn both_runners_are_understood() {
        check("", 0, 0);
        check("     Summary [   0.012s] 12 tests run: 12 passed, 3 skipped", 12, 0);
        check(
            "     Summary [  60.012s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 0 skipped",
            4,
            3,
        );
        check(
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            5,
            0,
        );
        check(
            "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
            5,
            2,
        );
    }

    #[test]
    fn several_programs_add_up() {
        check(
            "test result: ok. 5 passed; 0 failed\nnoise 9 passed\ntest result: ok. 2 passed; 1 failed",
            7,
            1,
        );
    }
}
