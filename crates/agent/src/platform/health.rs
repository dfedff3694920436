//! Health checks: what says whether the release works, until when and how often in a
//! row, and the word of a person who knows better.

use super::clock::Stopwatch;
use super::probe::{Probe, has_network};
use super::store::Directory;
use crate::edges::{Health, Store, Verdict};
use engine::BootId;
use std::io;
use std::path::Path;
use std::time::Duration;
use types::{Seconds, Text};

/// Seconds that a check has at least, where it is run once.
const ONCE: u32 = 5;
/// Milliseconds before a check that failed is run again.
const AGAIN: u64 = 500;

/// Where Linux tells of its routes.
const ROUTES: &str = "/proc/net";

/// One check: passes when what it looks at is well, so many times in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it looks at.
    pub probe: Probe,
    /// It must have passed within so long; until then it is looked again.
    pub within: Seconds,
    /// How long between two looks; half a second where it is 0.
    pub every: Seconds,
    /// How many looks in a row have to find it well.
    pub successes: u32,
    /// Whether it says anything while the terminal has no network.
    pub network: NeedsNetwork,
}

/// Whether a check says anything while the terminal has no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NeedsNetwork {
    /// It has to pass without one, too.
    #[default]
    No,
    /// It can only pass with one: without, it is passed over.
    Yes,
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
            Word::Confirm => Verdict::Told,
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
    /// A program that has to end with status 0 within so long.
    pub fn command(command: Vec<String>, within: Seconds) -> Self {
        let (every, successes, network) = (Seconds(0), 1, NeedsNetwork::No);
        Self { probe: Probe::Command(command), within, every, successes, network }
    }

    /// What is wrong when the deadline is over; `None` as soon as the check passes.
    fn fault(&self) -> Option<Text> {
        let watch = Stopwatch::start();
        let deadline = u64::from(self.within.0) * 1000;
        let pause = (u64::from(self.every.0) * 1000).max(AGAIN);
        let mut passed = 0;
        loop {
            let left = deadline.saturating_sub(watch.millis());
            let fault = self.look(left);
            passed = if fault.is_none() { passed + 1 } else { 0 };
            if passed >= self.successes {
                return None;
            }
            if watch.millis() + pause >= deadline {
                let often = || format!("passed only {passed} of {} times", self.successes);
                return Some(fault.unwrap_or_else(often).into());
            }
            std::thread::sleep(Duration::from_millis(pause));
        }
    }

    /// What is wrong now; it is not waited for to pass. What takes longer to look at than
    /// a look may take is for the trial of a release only.
    pub(crate) fn once(&self) -> Option<Text> {
        if !self.probe.is_short() {
            return None;
        }
        self.look(u64::from(self.within.0.max(ONCE)) * 1000).map(Text::from)
    }

    /// Looks once.
    fn look(&self, limit: u64) -> Option<String> {
        if self.network == NeedsNetwork::Yes && !has_network(Path::new(ROUTES)) {
            return None;
        }
        self.probe.fault(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(commands: &[&[&str]], fault: Option<&str>) {
        let to_check = |command: &&[&str]| {
            Check::command(command.iter().map(ToString::to_string).collect(), Seconds(1))
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
        let failing = Check::command(vec!["/bin/false".into()], Seconds(0));
        let mut checks = Checks::new(vec![failing], by_hand(dir.path(), 0));
        let mut store = Directory::open(dir.path()).unwrap();
        assert!(matches!(checks.check(), Verdict::Unhealthy(_)));
        Word::Confirm.say(&mut store, BOOT).unwrap();
        assert_eq!(checks.check(), Verdict::Told);
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
        assert_eq!(checks.check(), Verdict::Told);
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

    #[test]
    fn some_successes_in_a_row_are_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("marks");
        // Passes, fails, and passes from then on.
        let script = format!("echo x >> {0}; test $(wc -l < {0}) != 2", mark.display());
        let command = ["/bin/sh", "-c", &script].map(String::from).to_vec();
        let check = Check { successes: 2, ..Check::command(command, Seconds(30)) };
        assert_eq!(check.fault(), None);
        assert_eq!(std::fs::read_to_string(&mark).unwrap().lines().count(), 4);
        let never = Check { successes: 9, ..Check::command(vec!["/bin/true".into()], Seconds(1)) };
        assert!(never.fault().unwrap().as_str().starts_with("passed only "));
    }
}
