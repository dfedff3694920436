//! Reads from the output of test programs how many tests passed and failed, and which.

use std::collections::BTreeSet;

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

/// What the summary of nextest, or those of Rust's own test programs in `output` add
/// up to. Nextest repeats what the programs say, one test at a time.
pub(crate) fn count(output: &str) -> Count {
    let sum = |counts: &dyn Fn(&str) -> Option<String>| {
        let found: Vec<String> = output.lines().map(str::trim).filter_map(counts).collect();
        let whole = found.iter().map(|counts| parts(counts)).fold(Count::default(), Count::plus);
        (!found.is_empty()).then_some(whole)
    };
    sum(&nextest).or_else(|| sum(&plain)).unwrap_or_default()
}

/// The counts in nextest's last line.
fn nextest(line: &str) -> Option<String> {
    let summary = line.strip_prefix("Summary [")?;
    summary.rsplit_once(": ").map(|(_, counts)| counts.to_owned())
}

/// The counts in the last line of a test program.
fn plain(line: &str) -> Option<String> {
    let result = line.strip_prefix("test result: ")?;
    result.split_once(". ").map(|(_, counts)| counts.to_owned())
}

fn parts(counts: &str) -> Count {
    let parts = counts.split([',', ';']).map(str::trim);
    parts.map(part).fold(Count::default(), Count::plus)
}

/// What a person needs of `output` to see what failed: without what tests said that
/// passed.
pub(crate) fn without_passed(output: &str) -> String {
    let mut shown = String::new();
    let mut passed = false;
    for line in output.lines() {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        passed = match word {
            "PASS" => true,
            "FAIL" | "TIMEOUT" | "SIGABRT" | "SIGSEGV" | "Summary" | "error:" => false,
            _ => passed,
        };
        if !passed {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown
}

/// The tests in `output` of nextest or of test programs that began and did not pass:
/// those that failed, and, where the output breaks off, those that were slow then.
pub(crate) fn unpassed(output: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in output.lines() {
        match verdict(line.trim()) {
            Some((name, true)) => {
                names.remove(&name);
            }
            Some((name, false)) => {
                names.insert(name);
            }
            None => {}
        }
    }
    // Nextest repeats what the programs say, which do not name their package.
    let whole = names.iter().filter_map(|name| name.split_once(' '));
    let whole: BTreeSet<String> = whole.map(|(_, test)| test.to_owned()).collect();
    names.retain(|name| !whole.contains(name));
    names
}

/// A test, and whether it passed, if this line says so.
fn verdict(line: &str) -> Option<(String, bool)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (word, name) = match words.as_slice() {
        // `FAIL [   0.4s] (566/904) fleet tests::it_works`.
        [word, bracket, .., package, name] if bracket.starts_with('[') => {
            (*word, format!("{package} {name}"))
        }
        ["test", name, "...", word] => (*word, (*name).to_owned()),
        ["test", name, "has", "been", "running", ..] => ("SLOW", (*name).to_owned()),
        _ => return None,
    };
    match word {
        "PASS" | "LEAK" | "ok" => Some((name, true)),
        "FAIL" | "FAILED" | "TIMEOUT" | "TERMINATING" | "SLOW" | "SIGABRT" | "SIGSEGV" => {
            Some((name, false))
        }
        _ => None,
    }
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
    fn nextest_repeats_what_programs_say() {
        let said = "PASS [ 0.1s] x\n test result: ok. 1 passed; 0 failed\n";
        check(&format!("{said}{said} Summary [ 0.2s] 2 tests run: 2 passed, 0 skipped"), 2, 0);
    }

    #[test]
    fn what_passed_is_not_shown_again() {
        let output = "a\n  PASS [ 0.1s] x\nsaid by x\n  FAIL [ 0.1s] y\nsaid by y\nSummary [] z\n";
        let shown = without_passed(output);
        assert_eq!(shown, "a\n  FAIL [ 0.1s] y\nsaid by y\nSummary [] z\n");
    }

    #[test]
    fn what_failed_or_hung_is_named() {
        let named = |output: &str, wanted: &[&str]| {
            assert_eq!(unpassed(output).iter().collect::<Vec<_>>(), wanted, "{output}");
        };
        let passed = "PASS [ 0.1s] (1/4) fleet a::b\nSLOW [> 60.000s] (2/4) agent::real slow";
        named(passed, &["agent::real slow"]);
        named(&format!("{passed}\n  PASS [ 61.0s] (2/4) agent::real slow"), &[]);
        let failed = "TERMINATING [> 240.000s] (─────) agent::real hung\n\
            TIMEOUT [ 240.004s] (3/4) agent::real hung\nFAIL [ 0.4s] (4/4) fleet c::d\n\
            test c::d ... FAILED\nSummary [ 241.0s] 4 tests run: 2 passed, 1 failed, 1 timed out, 0 skipped";
        named(failed, &["agent::real hung", "fleet c::d"]);
        named("test a::b ... ok\ntest c::d ... FAILED\ntest result: FAILED. 1 passed", &["c::d"]);
        let slow = "test e::f has been running for over 60 seconds";
        named(slow, &["e::f"]);
        named(&format!("{slow}\ntest e::f ... ok"), &[]);
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
