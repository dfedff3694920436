//! Shows an update's progress: bars for people, lines of JSON for scripts.

use agent::Status;
use agent::platform::clock::Stopwatch;
use serde_json::json;
use std::io::{IsTerminal, Write};
use types::Report;

/// Characters of a full bar.
const BAR: u64 = 30;
/// The longest line that fits any terminal.
const LINE: usize = 79;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    People,
    Json,
}

impl Form {
    pub(super) fn new(json: bool) -> Self {
        if json { Self::Json } else { Self::People }
    }
}

/// Whether the outbox holds the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filed {
    /// It does.
    Yes,
    /// There is no room for it; the journal keeps it.
    Later,
}

/// What is shown so far.
pub(super) struct Shown {
    form: Form,
    watch: Stopwatch,
    last: Option<Point>,
}

/// What is worth a new line.
#[derive(Clone, PartialEq)]
struct Point {
    phase: String,
    done: u64,
    waiting: Option<String>,
}

impl Shown {
    pub(super) fn new(form: Form) -> Self {
        Self { form, watch: Stopwatch::start(), last: None }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, seen: &Status) {
        let waiting = seen.waiting.clone().or_else(|| seen.trouble.clone());
        let point = Point { phase: seen.phase.to_string(), done: seen.done, waiting };
        if self.last.as_ref() == Some(&point) {
            return;
        }
        match self.form {
            Form::Json => println!(
                "{}",
                json!({
                    "phase": seen.phase, "attempt": seen.attempt, "version": seen.version,
                    "done": seen.done, "total": seen.total, "waiting": point.waiting,
                })
            ),
            Form::People => self.draw(seen, &point),
        }
        self.last = Some(point);
    }

    /// Draws over the last line on a terminal; elsewhere each phase gets a line.
    fn draw(&self, seen: &Status, point: &Point) {
        let mut err = std::io::stderr();
        let same = self.last.as_ref().is_some_and(|last| last.phase == point.phase);
        let drawn = match err.is_terminal() {
            true => write!(err, "\r{:LINE$}", line(seen, point, self.watch.millis())),
            false if same => Ok(()),
            false => writeln!(err, "{}", point.phase),
        };
        // Nobody looks at a terminal that is gone.
        drop(drawn.and_then(|()| err.flush()));
    }

    /// Says how it ended.
    pub(super) fn end(&mut self, report: &Report, filed: Filed) {
        self.clear();
        match self.form {
            Form::Json => {
                println!("{}", json!({ "report": report, "filed": filed == Filed::Yes }));
            }
            Form::People => println!("{}", sentence(report)),
        }
        if (self.form, filed) == (Form::People, Filed::Later) {
            println!("the report is filed when the state directory has room for it");
        }
    }

    /// Says that the terminal restarts.
    pub(super) fn restarts(&mut self) {
        self.clear();
        match self.form {
            Form::Json => println!("{}", json!({ "phase": "rebooting", "restart": true })),
            Form::People => println!(
                "the terminal restarts into the new release; `refit-agent status --why` tells \
                 afterwards whether it stayed"
            ),
        }
    }

    fn clear(&mut self) {
        let mut err = std::io::stderr();
        if self.form == Form::People && self.last.take().is_some() && err.is_terminal() {
            drop(write!(err, "\r{:LINE$}\r", "").and_then(|()| err.flush()));
        }
    }
}

/// Phase, bar, share and rate in one line; `millis` have passed.
fn line(seen: &Status, point: &Point, millis: u64) -> String {
    let mut line = format!("{:<11} ", point.phase);
    let done = seen.done.min(seen.total);
    if let (Some(full), Some(share)) =
        ((done * BAR).checked_div(seen.total), (done * 100).checked_div(seen.total))
    {
        let bar: String = (0..BAR).map(|n| if n < full { '█' } else { '░' }).collect();
        line.push_str(&format!("{bar} {share:>3} % of {} MiB", seen.total >> 20));
    }
    if seen.phase == "downloading" {
        let rate = seen.done.saturating_mul(1000) / millis.max(1);
        line.push_str(&format!(", {:.1} MiB/s", rate as f64 / f64::from(1 << 20)));
    }
    if let Some(why) = &point.waiting {
        line.push_str(&format!(": {why}"));
    }
    line.chars().take(LINE).collect()
}

/// A report as a sentence.
fn sentence(report: &Report) -> String {
    let version = report.version.as_ref().map_or("the update", |version| version.as_str());
    let (outcome, detail) = (report.outcome, report.detail.as_str());
    let detail = match detail {
        "" => String::new(),
        detail if detail == outcome.sentence() => String::new(),
        detail => format!(": {detail}"),
    };
    format!("{version}: {} ({}){detail}", outcome.sentence(), outcome.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phase: &str, done: u64, total: u64, waiting: Option<&str>, expected: &str) {
        let seen: Status = serde_json::from_value(json!({
            "device": "d", "product": "p", "slot": "A", "running": {}, "phase": phase,
            "attempt": null, "version": null, "done": done, "total": total, "waiting": waiting, "why": null,
            "trouble": null, "rule": null, "undelivered": 0, "last": null,
            "switches": agent::Switches::default(), "log": agent::Log::default(),
        }))
        .unwrap();
        let waiting = waiting.map(Into::into);
        let point = Point { phase: phase.into(), done, waiting };
        assert_eq!(line(&seen, &point, 2000), expected);
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let bar = |full: usize| format!("{}{}", "█".repeat(full), "░".repeat(30 - full));
        check("idle", 0, 0, None, "idle        ");
        let half = format!("downloading {}  50 % of 256 MiB, 64.0 MiB/s", bar(15));
        check("downloading", 128 << 20, 256 << 20, None, &half);
        check("verifying", 1, 1, None, &format!("verifying   {} 100 % of 0 MiB", bar(30)));
        let long = "x".repeat(200);
        let cut = format!("applying    : {}", "x".repeat(65));
        check("applying", 0, 0, Some(&long), &cut);
    }
}
