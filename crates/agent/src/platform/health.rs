//! Health checks: programs of the device that say whether its release works.

use super::clock::Stopwatch;
use crate::edges::{Health, Verdict};
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use types::{Seconds, Text};

/// How often a running check is looked at.
const LOOK: Duration = Duration::from_millis(20);
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

/// The checks of a device. None at all: healthy when the agent runs.
#[derive(Debug)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// These checks, in order.
    pub fn new(checks: Vec<Check>) -> Self {
        Self(checks)
    }
}

impl Health for Checks {
    fn check(&mut self) -> Verdict {
        self.0.iter().find_map(|check| check.fault()).map_or(Verdict::Healthy, Verdict::Unhealthy)
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

    /// Runs the program once.
    fn run(&self, watch: &Stopwatch, deadline: u64) -> Option<Text> {
        let name = self.command.first().map_or("", String::as_str);
        match self.ended(watch, deadline) {
            Ok(Some(status)) if status.success() => None,
            Ok(Some(status)) => Some(format!("check `{name}` ended with {status}").into()),
            Ok(None) => Some(format!("check `{name}` took longer than {} s", self.within.0).into()),
            Err(e) => Some(format!("check `{name}` could not be run: {e}").into()),
        }
    }

    /// How the program ended; `None` when it was ended at the deadline.
    fn ended(&self, watch: &Stopwatch, deadline: u64) -> io::Result<Option<ExitStatus>> {
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| io::Error::other("no program"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if watch.millis() >= deadline {
                return end(&mut child).map(|()| None);
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn end(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(commands: &[&[&str]], fault: Option<&str>) {
        let to_check = |command: &&[&str]| Check {
            command: command.iter().map(ToString::to_string).collect(),
            within: Seconds(1),
        };
        let verdict = Checks::new(commands.iter().map(to_check).collect()).check();
        match (verdict, fault) {
            (Verdict::Healthy, None) => {}
            (Verdict::Unhealthy(text), Some(part)) => {
                assert!(text.as_str().contains(part), "{text}");
            }
            (verdict, _) => panic!("{commands:?}: {verdict:?}"),
        }
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
