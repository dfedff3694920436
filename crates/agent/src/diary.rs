//! What the agent did, written down beside the update: into memory at once, and into
//! the store with the next words of a hook, before a restart, and with the report. What
//! a kill takes away of it changes nothing.

use crate::device::{Device, DeviceError};
use crate::log::{Log, Said};
use engine::{Another, Event, Reason};
use types::{AttemptId, Outcome};

/// What is not in the store yet.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    log: Log,
    /// The rule that stood in the way last.
    waits: Option<&'static str>,
}

impl Device {
    /// Notes what came of a command.
    pub(crate) fn note_event(&mut self, event: &Event) {
        let attempt = match event {
            Event::Ordered(order) => Some(order.attempt),
            _ => self.state.attempt(),
        };
        if let (Some(attempt), Some(what)) = (attempt, sentence(event)) {
            self.diary.waits = None;
            self.note_down(attempt, what);
        }
    }

    /// Notes which rule stands in the way, once as long as it is the same one.
    pub(crate) fn note_wait(&mut self, reason: &Reason) {
        let Some(attempt) = self.state.attempt() else { return };
        if self.is_idle() || self.diary.waits == Some(reason.word()) {
            return;
        }
        self.diary.waits = Some(reason.word());
        let why = reason.sentence(&self.options.rules.zone);
        self.note_down(attempt, format!("waits: {why}"));
    }

    /// Notes that something did not work and is tried again.
    pub(crate) fn note_setback(&mut self, outcome: Outcome, detail: &str) {
        if let Some(attempt) = self.state.attempt() {
            self.note_down(attempt, format!("not yet: {}", with_detail(outcome, detail)));
        }
    }

    pub(crate) fn note_down(&mut self, attempt: AttemptId, what: String) {
        let phase = self.state.phase().as_str().to_string();
        let at = Some(self.edges.clock.now().wall);
        self.diary.log.add(attempt, Said { at, phase, said: what, ..Said::default() });
    }

    /// Keeps what a program said, and what was noted before.
    pub(crate) fn log(&mut self, attempt: AttemptId, said: Said) {
        let at = Some(self.edges.clock.now().wall);
        self.diary.log.add(attempt, Said { at, ..said });
        self.keep_log();
    }

    /// Keeps what was noted. That there is no room for it does not stop an update.
    pub(crate) fn keep_log(&mut self) {
        let noted = std::mem::take(&mut self.diary.log);
        let Some(attempt) = noted.attempt else { return };
        drop(self.join(attempt, noted));
    }

    fn join(&mut self, attempt: AttemptId, noted: Log) -> Result<(), DeviceError> {
        let mut log: Log = self.read(Log::NAME)?;
        noted.entries.into_iter().for_each(|said| log.add(attempt, said));
        self.write(Log::NAME, &log)
    }
}

/// What happened, for people; nothing where the next thing says it as well.
fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::Ordered(order) => format!("ordered by {}", order.source),
        Event::Accepted(task) => {
            let place = task.target.map(|slot| format!(" for slot {slot}")).unwrap_or_default();
            format!("{} is accepted{place}", task.version)
        }
        Event::Ahead(task) => {
            format!("{} is accepted; it is fetched before the recovery writes it", task.version)
        }
        Event::AtHand(task) => {
            format!("{} is accepted; it is looked at before the recovery writes it", task.version)
        }
        Event::Staged(..) => "the whole package is kept on this terminal".into(),
        Event::Complete(_) => "the package gives what was signed; the recovery writes it".into(),
        // Why not was said before.
        Event::Unstaged(_) => "the recovery will fetch it while it writes".into(),
        Event::Away(task, _) => format!("{} is accepted; the recovery will write it", task.version),
        Event::Refused(outcome, why) => format!("refused: {}", with_detail(*outcome, why.as_str())),
        Event::PayloadFailed { another, outcome, detail, .. } => {
            let next = if *another == Another::None { "" } else { "; another payload is taken" };
            format!("a payload failed: {}{next}", with_detail(*outcome, detail.as_str()))
        }
        Event::Filled(_) => "everything is written".into(),
        Event::Sound(_) => "the medium holds what was signed".into(),
        Event::Unsound(_) => "the medium does not hold what was signed; written again".into(),
        Event::Armed(_) => "the bootloader is told; restarts".into(),
        Event::Switched => "the new release is switched on without a restart".into(),
        Event::Booted(start) => format!("started in slot {}", start.slot),
        Event::Returned(_) => "started in the new slot again".into(),
        Event::Healthy => "the release is healthy".into(),
        Event::Unhealthy(why, _) => format!("the release is not healthy: {why}"),
        Event::Committed(outcome, detail) => {
            format!("the release stays: {}", with_detail(*outcome, detail.as_str()))
        }
        Event::Reverted => "the old release runs".into(),
        Event::Stuck(why) => format!("cannot return to the old release: {why}"),
        Event::Failed(outcome, why, _) => {
            format!("failed: {}", with_detail(*outcome, why.as_str()))
        }
        Event::Sane(_) | Event::Unconfirmed(..) | Event::Reached(..) | Event::Filed => return None,
        // Said when it was met.
        Event::Stalled(..) => return None,
    })
}

fn with_detail(outcome: Outcome, detail: &str) -> String {
    match detail {
        "" => outcome.to_string(),
        detail if detail == outcome.sentence() => outcome.to_string(),
        detail => format!("{outcome}: {detail}"),
    }
}
