//! Health checks: programs of the device that say whether its release works, and
//! the word of a person who knows better.

use super::clock::Stopwatch;
use super::program;
use super::store::Directory;
use crate::edges::{Health, Store, Verdict};
use engine::BootId;
use std::io;
use std::time::Duration;
use types::{Seconds, Text};

/// Seconds that a check has at least, where it is run once.
const ONCE: u32 = 5;
/// Milliseconds before a check that failed is run again.
const AGAIN: u64 = 500;

/// One check: passes when the program ends with status 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Program and arguments, without a shell.
    pub command: Vec<String>,
    /// It must have passed within so long; until then it is run again.
    pub within: Seconds,
}

/// What a person says about a release on trial. It counts in the boot in which it
/// was said, once, and more than any check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It stays.
    Confirm,
    /// It goes.
    Rollback,
}

/// The document that holds the word: the word, a space, the boot.
const WORD: &str = "word";

impl Word {
    fn text(self, boot: BootId) -> String {
        let word = match self {
            Self::Confirm => "confirm",
            Self::Rollback => "rollback",
        };
        format!("{word} {:032x}", u128::from_be_bytes(boot.0))
    }

    /// Leaves the word for the agent.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn say(self, store: &mut Directory, boot: BootId) -> io::Result<()> {
        store.replace(WORD, self.text(boot).as_bytes())
    }

    /// Takes the word that was said in `boot`, if one was.
    fn take(store: &mut Directory, boot: BootId) -> Option<Self> {
        let said = store.read(WORD).ok()??;
        store.remove(WORD).ok()?;
        [Self::Confirm, Self::Rollback].into_iter().find(|word| word.text(boot).as_bytes() == said)
    }
}

/// Waits for a person's word.
#[derive(Debug)]
pub struct ByHand {
    /// Where it is left.
    pub store: Directory,
    /// The boot that runs.
    pub boot: BootId,
    /// How long a release waits to be confirmed; 0 when nobody has to.
    pub within: Seconds,
}

impl ByHand {
    fn word(&mut self) -> Option<Verdict> {
        Word::take(&mut self.store, self.boot).map(|word| match word {
            Word::Confirm => Verdict::Healthy,
            Word::Rollback => Verdict::Unhealthy("someone said `rollback`".into()),
        })
    }

    fn wait(&mut self) -> Verdict {
        let watch = Stopwatch::start();
        while watch.millis() < u64::from(self.within.0) * 1000 {
            if let Some(verdict) = self.word() {
                return verdict;
            }
            std::thread::sleep(Duration::from_millis(AGAIN));
        }
        match self.within.0 {
            0 => Verdict::Healthy,
            seconds => Verdict::Unhealthy(format!("nobody said `confirm` in {seconds} s").into()),
        }
    }
}

/// The checks of a device. None at all: healthy when the agent runs.
#[derive(Debug)]
pub struct Checks {
    checks: Vec<Check>,
    by_hand: ByHand,
}

impl Checks {
    /// These checks, in order, unless someone says what is to be done.
    pub fn new(checks: Vec<Check>, by_hand: ByHand) -> Self {
        Self { checks, by_hand }
    }
}

impl Health for Checks {
    fn check(&mut self) -> Verdict {
        if let Some(verdict) = self.by_hand.word() {
            return verdict;
        }
        match self.checks.iter().find_map(Check::fault) {
            Some(fault) => Verdict::Unhealthy(fault),
            None => self.by_hand.wait(),
        }
    }

    fn check_trusted(&mut self) -> Verdict {
        let fault = self.checks.iter().find_map(Check::fault);
        fault.map_or(Verdict::Healthy, Verdict::Unhealthy)
    }
}

impl Check {
    /// What is wrong when the deadline is over; `None` as soon as the check passes.
    fn fault(&self) -> Option<Text> {
        let watch = Stopwatch::start();
        let deadline = u64::from(self.within.0) * 1000;
        let mut fault = self.run(&watch, deadline)?;
        while watch.millis() + AGAIN < deadline {
            std::thread::sleep(Duration::from_millis(AGAIN));
            fault = self.run(&watch, deadline)?;
        }
        Some(fault)
    }

    /// What is wrong now; it is not waited for to pass.
    pub(crate) fn once(&self) -> Option<Text> {
        self.run(&Stopwatch::start(), u64::from(self.within.0.max(ONCE)) * 1000)
    }

    /// Runs the program once.
    fn run(&self, watch: &Stopwatch, deadline: u64) -> Option<Text> {
        let name = self.command.first().map_or("", String::as_str);
        let left = deadline.saturating_sub(watch.millis());
        match program::run(&self.command, &[], left).map(|ended| ended.status) {
            Ok(Some(status)) if status.success() => None,
            Ok(Some(status)) => Some(format!("check `{name}` ended with {status}").into()),
            Ok(None) => Some(format!("check `{name}` took longer than {} s", self.within.0).into()),
            Err(e) => Some(format!("check `{name}` could not be run: {e}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(commands: &[&[&str]], fault: Option<&str>) {
        let to_check = |command: &&[&str]| Check {
            command: command.iter().map(ToString::to_string).collect(),
            within: Seconds(1),
        };
        let dir = tempfile::tempdir().unwrap();
        let by_hand = by_hand(dir.path(), 0);
        let verdict = Checks::new(commands.iter().map(to_check).collect(), by_hand).check();
        match (verdict, fault) {
            (Verdict::Healthy, None) => {}
            (Verdict::Unhealthy(text), Some(part)) => {
                assert!(text.as_str().contains(part), "{text}");
            }
            (verdict, _) => panic!("{commands:?}: {verdict:?}"),
        }
    }

    const BOOT: BootId = BootId([7; 16]);

    fn by_hand(dir: &std::path::Path, within: u32) -> ByHand {
        ByHand { store: Directory::open(dir).unwrap(), boot: BOOT, within: Seconds(within) }
    }

    #[test]
    fn a_word_counts_more_than_checks_once_and_in_its_boot() {
        let dir = tempfile::tempdir().unwrap();
        let failing = Check { command: vec!["/bin/false".into()], within: Seconds(0) };
        let mut checks = Checks::new(vec![failing], by_hand(dir.path(), 0));
        let mut store = Directory::open(dir.path()).unwrap();
        assert!(matches!(checks.check(), Verdict::Unhealthy(_)));
        Word::Confirm.say(&mut store, BOOT).unwrap();
        assert_eq!(checks.check(), Verdict::Healthy);
        assert!(matches!(checks.check(), Verdict::Unhealthy(_)));
        Word::Confirm.say(&mut store, BootId([8; 16])).unwrap();
        assert!(matches!(checks.check(), Verdict::Unhealthy(_)));
        let mut checks = Checks::new(Vec::new(), by_hand(dir.path(), 0));
        Word::Rollback.say(&mut store, BOOT).unwrap();
        assert!(matches!(checks.check(), Verdict::Unhealthy(_)));
        assert_eq!(checks.check(), Verdict::Healthy);
    }

    #[test]
    fn a_release_that_has_to_be_confirmed_by_hand_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut checks = Checks::new(Vec::new(), by_hand(dir.path(), 1));
        assert!(matches!(checks.check(), Verdict::Unhealthy(_)));
        let mut store = Directory::open(dir.path()).unwrap();
        Word::Confirm.say(&mut store, BOOT).unwrap();
        assert_eq!(checks.check(), Verdict::Healthy);
    }

    #[test]
    fn checks_decide() {
        check(&[], None);
        check(&[&["/bin/true"], &["/bin/true", "x"]], None);
        check(&[&["/bin/true"], &["/bin/false"]], Some("`/bin/false` ended"));
        check(&[&["/bin/sleep", "60"]], Some("longer than 1 s"));
        check(&[&["/no/such/check"]], Some("could not be run"));
        check(&[&[]], Some("could not be run"));
    }

    #[test]
    fn a_check_that_passes_late_passes() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("test -e {0} || {{ touch {0}; exit 1; }}", mark.display());
        check(&[&["/bin/sh", "-c", &script]], None);
    }
}
